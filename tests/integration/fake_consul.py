"""A Consul agent that a test scripts: catalog and health with blocking queries, over HTTP."""
import json
import threading
import urllib.parse

import scripted


class FakeConsul:
    def __init__(self, token=None):
        self.changed = threading.Condition()
        self.index = 10
        self.services = {}   # name -> list of instances as the health API shows them
        self.broken = None   # what to answer instead: an HTTP status
        self.token = token
        self.seen = []       # paths with their queries
        fake = self

        class Handler(scripted.Handler):
            def do_GET(self):
                fake.answer(self)

        self.server = scripted.serve(Handler)
        self.port = self.server.server_port

    def answer(self, request):
        parts = urllib.parse.urlsplit(request.path)
        query = urllib.parse.parse_qs(parts.query, keep_blank_values=True)
        with self.changed:
            self.seen.append(request.path)
            if "index" in query:
                known = int(query["index"][0])
                self.changed.wait_for(lambda: self.index != known or self.broken, 60)
            status, body = self.find(parts.path, query, request.headers)
            index = self.index
        data = json.dumps(body).encode()
        try:
            request.answer(data, status, "application/json", X_Consul_Index=index)
        except OSError:
            pass  # the client did not wait

    def find(self, path, query, headers):
        if self.broken:
            return self.broken, "broken"
        if self.token is not None and headers.get("X-Consul-Token") != self.token:
            return 403, "Permission denied"
        if path == "/v1/agent/self":
            return 200, {"Config": {"Datacenter": "dc-test"}}
        if query.get("dc") != ["dc-test"]:
            return 500, "No path to datacenter"
        if path == "/v1/catalog/services":
            return 200, {name: sorted({tag for instance in instances
                                       for tag in instance["Service"]["Tags"]})
                         for name, instances in self.services.items()}
        prefix = "/v1/health/service/"
        if path.startswith(prefix):
            instances = self.services.get(urllib.parse.unquote(path[len(prefix):]), [])
            return 200, [i for i in instances
                         if all(tag in i["Service"]["Tags"] for tag in query.get("tag", []))]
        return 404, "not found"

    def set(self, broken=None, **services):
        """Changes services (None: gone) as one step of the index."""
        with self.changed:
            self.index += 1
            self.broken = broken
            for name, instances in services.items():
                if instances is None:
                    self.services.pop(name, None)
                else:
                    self.services[name] = instances
            self.changed.notify_all()

    def stop(self):
        self.set(broken=500)
        self.server.shutdown()
        self.server.server_close()


def instance(name, port, tags=(), address="127.0.0.1", status="passing"):
    return {
        "Node": {"Node": "node-a", "Address": "127.0.0.1", "Datacenter": "dc-test",
                 "TaggedAddresses": {"lan": "127.0.0.1"}, "Meta": {"rack-id": "r1"}},
        "Service": {"ID": f"{name}-{port}", "Service": name, "Tags": list(tags), "Port": port,
                    "Address": address, "Meta": {"version": "1"}},
        "Checks": [{"CheckID": "serfHealth", "Status": "passing"},
                   {"CheckID": f"service:{name}", "Status": status}],
    }

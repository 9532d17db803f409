"""A scripted Kubernetes API on loopback: lists with pages, watches with versions and bookmarks,
label and field selectors, bearer tokens, and every way to misbehave that a test asks for.

It speaks as much as kubectl needs too, which is how it is checked (kubernetes_kubectl.py).
"""
import base64
import copy
import gzip
import json
import ssl
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# plural: (path, kind, namespaced)
RESOURCES = {
    "pods": ("/api/v1", "Pod", True),
    "services": ("/api/v1", "Service", True),
    "endpoints": ("/api/v1", "Endpoints", True),
    "nodes": ("/api/v1", "Node", False),
    "namespaces": ("/api/v1", "Namespace", False),
    "endpointslices": ("/apis/discovery.k8s.io/v1", "EndpointSlice", True),
    "ingresses": ("/apis/networking.k8s.io/v1", "Ingress", True),
    "replicasets": ("/apis/apps/v1", "ReplicaSet", True),
    "jobs": ("/apis/batch/v1", "Job", True),
}
BOOKMARK_SECONDS = 0.3
GZIP_BYTES = 128 * 1024  # larger answers are packed for who takes that, as the real one does


def group_version(plural):
    return RESOURCES[plural][0].replace("/apis/", "").replace("/api/", "")


def matches_label(selector, labels):
    for term in filter(None, selector.split(",")):
        if "!=" in term:
            name, value = term.split("!=")
            if labels.get(name) == value:
                return False
        elif "=" in term:
            name, value = term.replace("==", "=").split("=")
            if labels.get(name) != value:
                return False
        elif term.startswith("!"):
            if term[1:] in labels:
                return False
        elif term not in labels:
            return False
    return True


def matches_field(selector, item):
    for term in filter(None, selector.split(",")):
        differs = "!=" in term
        name, value = term.replace("!=", "=").replace("==", "=").split("=")
        found = item
        for part in name.split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        if (found == value) == differs:
            return False
    return True


class KubernetesApi:
    """The state of a cluster; methods may be called from any thread."""

    def __init__(self, tls=None):
        self.lock = threading.Condition()
        self.version = 1000
        self.objects = {plural: {} for plural in RESOURCES}
        self.events = {plural: [] for plural in RESOURCES}  # (version, type, object)
        self.oldest = 0         # versions before this one are forgotten
        self.tokens = None      # accepted bearer tokens; None: all
        self.epoch = 0          # a new one ends all watches
        self.script = []        # functions (handler, plural, query) -> True when they answered
        self.requests = []      # (path, query, authorization)
        self.watching = 0
        self.bookmarks = 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                try:
                    api.answer(self)
                except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
                    self.close_connection = True

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls["cert"], tls["key"])
            if tls.get("client_ca"):
                context.load_verify_locations(tls["client_ca"])
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
            self.url = f"https://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.end_watches()
        self.server.shutdown()
        self.server.server_close()

    # ---- the cluster ----

    def put(self, plural, item):
        """Creates or changes an object."""
        item = copy.deepcopy(item)
        with self.lock:
            self.version += 1
            metadata = item["metadata"]
            metadata["resourceVersion"] = str(self.version)
            metadata.setdefault("uid", f"uid-{self.version}")
            item["kind"], item["apiVersion"] = RESOURCES[plural][1], group_version(plural)
            key = (metadata.get("namespace", ""), metadata["name"])
            change = "MODIFIED" if key in self.objects[plural] else "ADDED"
            self.objects[plural][key] = item
            self.events[plural].append((self.version, change, item))
            self.lock.notify_all()

    def delete(self, plural, name, namespace=""):
        with self.lock:
            self.version += 1
            item = copy.deepcopy(self.objects[plural].pop((namespace, name)))
            item["metadata"]["resourceVersion"] = str(self.version)
            self.events[plural].append((self.version, "DELETED", item))
            self.lock.notify_all()

    def compact(self):
        """Forgets the past: watches from earlier versions are Gone."""
        with self.lock:
            self.version += 1
            self.oldest = self.version
            for events in self.events.values():
                events.clear()

    def end_watches(self):
        with self.lock:
            self.epoch += 1
            self.lock.notify_all()

    def misbehave(self, function, times=1):
        """The next requests for resources are answered by function(handler, plural, query)."""
        with self.lock:
            self.script.extend([function] * times)

    # ---- answering ----

    def answer(self, handler):
        split = urllib.parse.urlsplit(handler.path)
        query = {k: v[0] for k, v in urllib.parse.parse_qs(split.query).items()}
        authorization = handler.headers.get("Authorization")
        with self.lock:
            self.requests.append((split.path, query, authorization))
            tokens = self.tokens
        if tokens is not None and authorization not in [f"Bearer {token}" for token in tokens]:
            return send_status(handler, 401, "Unauthorized", "Unauthorized")
        if answer_discovery(handler, split.path):
            return None
        plural, namespace, name = parse_path(split.path)
        if plural is None:
            return send_status(handler, 404, "NotFound", "the server could not find it")
        with self.lock:
            function = self.script.pop(0) if self.script else None
        if function is not None and function(handler, plural, query):
            return None
        if name is not None:
            return self.send_one(handler, plural, namespace, name)
        if query.get("watch") in ("true", "1"):
            return self.send_watch(handler, plural, namespace, query)
        return self.send_list(handler, plural, namespace, query)

    def send_one(self, handler, plural, namespace, name):
        with self.lock:
            item = self.objects[plural].get((namespace, name))
        if item is None:
            return send_status(handler, 404, "NotFound", f'{plural} "{name}" not found')
        return send_json(handler, 200, item)

    def is_selected(self, item, namespace, query):
        metadata = item["metadata"]
        return ((not namespace or metadata.get("namespace", "") == namespace)
                and matches_label(query.get("labelSelector", ""), metadata.get("labels", {}))
                and matches_field(query.get("fieldSelector", ""), item))

    def send_list(self, handler, plural, namespace, query):
        limit = int(query.get("limit", "0"))
        with self.lock:
            version, start = self.version, ("", "")
            if "continue" in query:
                version, *start = json.loads(base64.urlsafe_b64decode(query["continue"]))
                if version < self.oldest:
                    return send_status(handler, 410, "Expired", "the continue token is too old")
            found = [item for key, item in sorted(self.objects[plural].items())
                     if key > tuple(start) and self.is_selected(item, namespace, query)]
        metadata = {"resourceVersion": str(version)}
        if limit and len(found) > limit:
            last = found[limit - 1]["metadata"]
            token = json.dumps([version, last.get("namespace", ""), last["name"]])
            metadata["continue"] = base64.urlsafe_b64encode(token.encode()).decode()
            metadata["remainingItemCount"] = len(found) - limit
            found = found[:limit]
        return send_json(handler, 200, {"kind": RESOURCES[plural][1] + "List",
                                        "apiVersion": group_version(plural),
                                        "metadata": metadata, "items": found})

    def send_watch(self, handler, plural, namespace, query):
        since = int(query.get("resourceVersion") or 0)
        initial = None
        with self.lock:
            if query.get("sendInitialEvents") == "true":  # a list as events
                since = self.version
                initial = [item for _, item in sorted(self.objects[plural].items())]
            if since < self.oldest:
                return send_status(handler, 410, "Expired", "too old resource version")
            epoch = self.epoch
            self.watching += 1
        try:
            start_chunks(handler)
            if initial is not None:
                for item in initial:
                    if self.is_selected(item, namespace, query):
                        send_chunk(handler, event("ADDED", item))
                send_chunk(handler, bookmark(plural, since, {"k8s.io/initial-events-end": "true"}))
            self.stream(handler, plural, namespace, query, since, epoch)
        finally:
            # Before the client hears of the end: who counts then counts the next watch.
            with self.lock:
                self.watching -= 1
        handler.wfile.write(b"0\r\n\r\n")
        return None

    def stream(self, handler, plural, namespace, query, since, epoch):
        end = time.monotonic() + float(query.get("timeoutSeconds", "1800"))
        while time.monotonic() < end:
            with self.lock:
                if self.epoch != epoch:
                    return
                news = [e for e in self.events[plural] if e[0] > since]
                if not news:
                    self.lock.wait(BOOKMARK_SECONDS)
                    news = [e for e in self.events[plural] if e[0] > since]
                version = self.version
            for _, change, item in news:
                if self.is_selected(item, namespace, query):
                    send_chunk(handler, event(change, item))
            if news:
                since = news[-1][0]
            elif query.get("allowWatchBookmarks") == "true":
                # What the version says was seen in full: nothing newer of this kind exists.
                since = max(since, version)
                self.bookmarks += 1
                send_chunk(handler, bookmark(plural, version, {}))


# ---- HTTP ----

def event(change, item):
    return (json.dumps({"type": change, "object": item}) + "\n").encode()


def bookmark(plural, version, annotations):
    return event("BOOKMARK", {"kind": RESOURCES[plural][1], "apiVersion": group_version(plural),
                              "metadata": {"resourceVersion": str(version),
                                           "creationTimestamp": None, "annotations": annotations}})


def send_json(handler, status, value, headers=()):
    body = json.dumps(value).encode()
    packed = len(body) > GZIP_BYTES and "gzip" in handler.headers.get("Accept-Encoding", "")
    body = gzip.compress(body, 1) if packed else body
    handler.send_response(status)
    if packed:
        handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    for name, text in headers:
        handler.send_header(name, text)
    handler.end_headers()
    handler.wfile.write(body)


def send_status(handler, code, reason, message, headers=()):
    send_json(handler, code, {"kind": "Status", "apiVersion": "v1", "metadata": {},
                              "status": "Failure", "message": message, "reason": reason,
                              "code": code}, headers)


def start_chunks(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()


def send_chunk(handler, data):
    handler.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")
    handler.wfile.flush()


def parse_path(path):
    """(plural, namespace, name) of a resource's path."""
    for plural, (prefix, _, namespaced) in RESOURCES.items():
        rest = path[len(prefix) + 1:].split("/") if path.startswith(prefix + "/") else []
        if rest[:1] == [plural]:
            return plural, "", rest[1] if len(rest) > 1 else None
        if namespaced and len(rest) > 2 and rest[0] == "namespaces" and rest[2] == plural:
            return plural, rest[1], rest[3] if len(rest) > 3 else None
    return None, None, None


def answer_discovery(handler, path):
    """What a general client asks first."""
    groups = sorted({prefix for prefix, _, _ in RESOURCES.values() if prefix != "/api/v1"})
    if path == "/version":
        send_json(handler, 200, {"major": "1", "minor": "29", "gitVersion": "v1.29.0",
                                 "platform": "linux/amd64"})
    elif path == "/api":
        send_json(handler, 200, {"kind": "APIVersions", "versions": ["v1"]})
    elif path == "/apis":
        entries = []
        for prefix in groups:
            name, version = prefix.replace("/apis/", "").split("/")
            both = {"groupVersion": f"{name}/{version}", "version": version}
            entries.append({"name": name, "versions": [both], "preferredVersion": both})
        send_json(handler, 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": entries})
    elif path == "/api/v1" or path in groups:
        resources = [{"name": plural, "singularName": kind.lower(), "kind": kind,
                      "namespaced": namespaced, "verbs": ["get", "list", "watch"]}
                     for plural, (prefix, kind, namespaced) in RESOURCES.items() if prefix == path]
        send_json(handler, 200, {"kind": "APIResourceList", "apiVersion": "v1",
                                 "groupVersion": path.replace("/apis/", "").replace("/api/", ""),
                                 "resources": resources})
    else:
        return False
    return True


# ---- ways to misbehave ----

def refuse(code, reason, message="no", retry_after=None):
    def answer(handler, plural, query):
        headers = [("Retry-After", str(retry_after))] if retry_after is not None else []
        send_status(handler, code, reason, message, headers)
        return True
    return answer


def only_watch(function):
    """Leaves lists alone."""
    return lambda handler, plural, query: "watch" in query and function(handler, plural, query)


def send_raw(data):
    """A stream that says this and ends."""
    def answer(handler, plural, query):
        start_chunks(handler)
        send_chunk(handler, data)
        handler.wfile.write(b"0\r\n\r\n")
        return True
    return answer


def hang(seconds=3600):
    def answer(handler, plural, query):
        deadline = time.monotonic() + seconds
        handler.connection.settimeout(0.2)
        while time.monotonic() < deadline:
            try:
                if handler.connection.recv(1) == b"":
                    break
            except OSError as fault:
                if "timed out" not in str(fault):
                    break
        handler.close_connection = True
        return True
    return answer


def endless_object(handler, plural, query):
    start_chunks(handler)
    send_chunk(handler, b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"')
    while True:
        send_chunk(handler, b"x" * 65536)


def drip(data, seconds):
    """The answer in single bytes."""
    def answer(handler, plural, query):
        start_chunks(handler)
        for i in range(len(data)):
            send_chunk(handler, data[i:i + 1])
            time.sleep(seconds / len(data))
        handler.wfile.write(b"0\r\n\r\n")
        return True
    return answer


def pod(name, namespace="default", ip="127.0.0.1", port=80, annotations=None, labels=None,
        node="node-1", **status):
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels or {},
                         "annotations": annotations or {}},
            "spec": {"nodeName": node, "containers": [
                {"name": "main", "image": "image:1", "env": [{"name": "A", "value": "b" * 200}],
                 "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}]}]},
            "status": {"phase": "Running", "podIP": ip, "hostIP": "127.0.0.1",
                       "conditions": [{"type": "Ready", "status": "True"}], **status}}

"""kubernetes_sd end to end: the server against a scripted Kubernetes API whose pods are a real
target on loopback.

    kubernetes_discovery.py narthex folder
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kubernetes_fake as fake
from harness import http_get, start_narthex, wait_until

RELABEL = """
    relabel_configs:
    - source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
      regex: "true"
      action: keep
    - source_labels: [__meta_kubernetes_pod_name]
      target_label: pod
    - source_labels: [__meta_kubernetes_namespace]
      target_label: namespace
"""
SCRAPED = {"prometheus.io/scrape": "true"}


class Target:
    """Something to scrape."""

    def __init__(self):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                body = b"demo_value 42\n"
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Rig:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.target = Target()

    def pod(self, name, namespace="default", **more):
        more.setdefault("annotations", SCRAPED)
        return fake.pod(name, namespace, port=self.target.port, **more)

    def start(self, name, jobs):
        folder = tempfile.mkdtemp(prefix=name, dir=self.folder)
        config = "global: {scrape_interval: 1s}\nscrape_configs:\n" + jobs
        return start_narthex(self.program, folder, config).wait_ready()


def job(name, api, more="", role="pod", relabel=RELABEL):
    return (f"  - job_name: {name}\n    kubernetes_sd_configs:\n    - role: {role}\n"
            f"      api_server: {api.url}\n{more}{relabel}")


def pods_of(server, job_name="pods"):
    found = server.data("targets", state="active")["activeTargets"]
    return sorted(t["labels"]["pod"] for t in found if t["scrapePool"] == job_name)


def expect_pods(server, expected, job_name="pods", seconds=60):
    wait_until(lambda: pods_of(server, job_name) == sorted(expected),
               f"targets {expected} of {job_name}, not {pods_of(server, job_name)}", seconds)


def metric(server, name):
    """Sum of a family's series on /metrics."""
    text = http_get(server.url + "/metrics")[2].decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))


def has_logged(server, text):
    with open(server.log_path, errors="replace") as log:
        return text in log.read()


def expect_log(server, text):
    wait_until(lambda: has_logged(server, text), f"{text!r} in the log:\n" + server.log_tail())


def test_life(rig):
    """A pod appears, is scraped, changes, vanishes; the token rotates; the past is forgotten."""
    api = fake.KubernetesApi()
    api.tokens = {"first"}
    token_path = os.path.join(rig.folder, "token")
    with open(token_path, "w") as file:
        file.write("first\n")
    server = rig.start("life", job("pods", api, f"      authorization: {{credentials_file: "
                                                f"{token_path}}}\n"))
    try:
        api.put("pods", rig.pod("a"))
        api.put("pods", rig.pod("b", "shop"))
        api.put("pods", rig.pod("quiet", annotations={}))
        expect_pods(server, ["a", "b"])
        wait_until(lambda: [r["value"][1] for r in server.data(
            "query", query='demo_value{pod="b",namespace="shop"}')["result"]] == ["42"], "samples")
        api.put("pods", rig.pod("quiet"))
        expect_pods(server, ["a", "b", "quiet"])
        api.delete("pods", "b", "shop")
        expect_pods(server, ["a", "quiet"])

        # The token in the file is read again; until then the targets stay.
        with api.lock:
            api.tokens = {"second"}
        api.end_watches()
        expect_log(server, "401 Unauthorized")
        assert pods_of(server) == ["a", "quiet"]
        with open(token_path, "w") as file:
            file.write("second\n")
        api.put("pods", rig.pod("c"))
        expect_pods(server, ["a", "c", "quiet"])

        # What happened while nobody watched and was forgotten is found by a new list.
        wait_until(lambda: api.watching == 1, "the watch again")

        def refuse_meanwhile(*request):
            api.delete("pods", "a", "default")
            api.compact()
            return fake.refuse(503, "Unavailable")(*request)
        api.misbehave(refuse_meanwhile)
        api.end_watches()
        expect_pods(server, ["c", "quiet"])
        assert has_logged(server, "410"), server.log_tail()

        assert metric(server, "prometheus_sd_kubernetes_events_total") >= 6
        assert metric(server, "prometheus_sd_kubernetes_failures_total") >= 3
        assert metric(server, "narthex_sd_kubernetes_object_bytes") > 0
        watches = [q for path, q, _ in api.requests if "watch" in q]
        assert all(q["allowWatchBookmarks"] == "true" and int(q["timeoutSeconds"]) >= 300
                   and q["resourceVersion"] for q in watches), watches[:3]
        # A bookmark moves the version on: nobody asks from the first one again.
        assert api.bookmarks > 0
    finally:
        server.stop()
        api.stop()


def test_selection(rig):
    """Pages, namespaces and selectors."""
    api = fake.KubernetesApi()
    for i in range(1203):
        api.put("pods", rig.pod(f"p{i}", "many", labels={"app": "x" if i % 3 == 0 else "y"}))
    api.put("pods", rig.pod("elsewhere", "other", labels={"app": "x"}))
    drop = RELABEL.replace('regex: "true"', 'regex: "never"')
    more = "      namespaces: {names: [many, empty]}\n"
    selector = more + "      selectors: [{role: pod, label: 'app in (x),app=x', field: " \
        "'spec.nodeName=node-1'}]\n"
    selector = selector.replace("app in (x),", "")
    server = rig.start("selection", job("all", api, more, relabel=drop)
                       + job("some", api, selector, relabel=drop))
    try:
        def counts():
            return server.data("targets", state="dropped")["droppedTargetCounts"]
        wait_until(lambda: counts() == {"all": 1203, "some": 401}, "all pages", 60)
        lists = [(path, q) for path, q, _ in api.requests if "watch" not in q]
        assert {path for path, _ in lists} == {"/api/v1/namespaces/many/pods",
                                               "/api/v1/namespaces/empty/pods"}
        assert len([q for path, q in lists if "continue" in q]) == 2, lists
    finally:
        server.stop()
        api.stop()


def test_joins(rig):
    """Endpoint slices with their services, pods, nodes and namespaces."""
    api = fake.KubernetesApi()
    api.put("nodes", {"metadata": {"name": "node-1", "labels": {"zone": "z1"}}})
    api.put("namespaces", {"metadata": {"name": "shop", "labels": {"team": "red"}}})
    api.put("services", {"metadata": {"name": "web", "namespace": "shop"},
                         "spec": {"ipFamilyPolicy": "SingleStack"}})
    api.put("pods", rig.pod("web-1", "shop"))
    api.put("endpointslices", {
        "metadata": {"name": "web-x", "namespace": "shop",
                     "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"], "nodeName": "node-1",
                       "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"}}],
        "ports": [{"name": "http", "port": rig.target.port, "protocol": "TCP"}]})
    server = rig.start("joins", job("slices", api, "      attach_metadata: {node: true, "
                                                   "namespace: true}\n", role="endpointslice"))
    try:
        expect_pods(server, ["web-1"], "slices")
        found = server.data("targets", state="active")["activeTargets"][0]["discoveredLabels"]
        expected = {"service_name": "web", "pod_container_name": "main", "node_label_zone": "z1",
                    "namespace_label_team": "red", "endpointslice_port_name": "http"}
        for name, value in expected.items():
            assert found["__meta_kubernetes_" + name] == value, (name, found)
        # A change of what is joined reaches the target.
        api.put("nodes", {"metadata": {"name": "node-1", "labels": {"zone": "z2"}}})
        wait_until(lambda: server.data("targets", state="active")["activeTargets"][0][
            "discoveredLabels"]["__meta_kubernetes_node_label_zone"] == "z2", "the node's label")
    finally:
        server.stop()
        api.stop()


def test_hostile(rig):
    """Whatever the server does: an error that says so, and the last targets."""
    api = fake.KubernetesApi()
    api.put("pods", rig.pod("a"))
    server = rig.start("hostile", job("pods", api))
    cases = [
        ("broken JSON", fake.only_watch(fake.send_raw(b'{"type":"ADDED","object":{"metadata":')),
         "json: unexpected end"),
        ("not JSON", fake.only_watch(fake.send_raw(b"<html>")), "json"),
        ("nameless", fake.only_watch(fake.send_raw(b'{"type":"ADDED","object":{}}')),
         "no metadata.name"),
        ("another kind", fake.only_watch(fake.send_raw(
            b'{"type":"ADDED","object":{"kind":"Secret","metadata":{"name":"s"}}}')),
         "expected a Pod, got a Secret"),
        ("unknown event", fake.only_watch(fake.send_raw(b'{"type":"EXPLODED"}')), "EXPLODED"),
        ("error event", fake.only_watch(fake.send_raw(
            b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}')),
         "the server ended the watch: too old (410)"),
        ("forbidden", fake.refuse(403, "Forbidden", "pods is forbidden"), "pods is forbidden"),
        ("too many", fake.refuse(429, "TooManyRequests", "slow down", retry_after=1), "slow down"),
    ]
    try:
        expect_pods(server, ["a"])
        for i, (name, function, text) in enumerate(cases):
            wait_until(lambda: api.watching == 1, f"a watch before {name}")
            api.misbehave(function)
            api.end_watches()
            expect_log(server, text)
            assert pods_of(server) == ["a"], name
        # Lists that go wrong: after a 410 each of these answers the new list.
        for function, text in [
                (fake.send_raw(b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"na'),
                 "json: unexpected end"),
                (fake.send_raw(b'{"items":[]}'), "no metadata.resourceVersion"),
                (fake.endless_object, "a value of more than"),
                (fake.drip(b'{"metadata":{},"items":[{"metadata":{"name":"x"}}]}', 1),
                 "no metadata.resourceVersion")]:
            wait_until(lambda: api.watching == 1, "a watch", 120)
            api.misbehave(fake.only_watch(fake.refuse(410, "Expired")))
            api.misbehave(function)
            api.end_watches()
            wait_until(lambda: not api.script, "the list that goes wrong")
            expect_log(server, text)
            assert pods_of(server) == ["a"], text
        # A server that hangs holds up nothing, not even our own end.
        wait_until(lambda: api.watching == 1, "a watch", 120)
        api.misbehave(fake.hang())
        api.end_watches()
        wait_until(lambda: not api.script, "the request that hangs")
        assert pods_of(server) == ["a"]
        assert metric(server, "prometheus_sd_kubernetes_failures_total") >= len(cases)
        with open(f"/proc/{server.process.pid}/status") as status:
            peak_kib = int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1))
        assert peak_kib < 300 * 1024, f"{peak_kib} KiB"
        code, seconds = server.stop(5)
        assert code == 0, code
        print(f"stopped within {seconds:.1f} s")
    finally:
        if server.process.poll() is None:
            server.kill()
        api.stop()


def make_certificate(folder, name, *extension):
    paths = {"cert": os.path.join(folder, name + ".crt"), "key": os.path.join(folder, name + ".key")}
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
               f"/CN={name}", "-keyout", paths["key"], "-out", paths["cert"], *extension]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return paths


def test_tls_and_kubeconfig(rig):
    """A kubeconfig with certificates of both sides; a server nobody vouches for."""
    if shutil.which("openssl") is None:
        print("TLS: skipped, there is no openssl")
        return
    folder = tempfile.mkdtemp(prefix="tls", dir=rig.folder)
    mine = make_certificate(folder, "server", "-addext", "subjectAltName=IP:127.0.0.1")
    client = make_certificate(folder, "client")
    other = make_certificate(folder, "other")
    api = fake.KubernetesApi({**mine, "client_ca": client["cert"]})
    api.put("pods", rig.pod("a"))
    kubeconfig = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url,
                                               "certificate-authority": "server.crt"}}],
        "users": [{"name": "u", "user": {"client-certificate": "client.crt",
                                         "client-key": client["key"], "token": "t"}}]}
    with open(os.path.join(folder, "config"), "w") as file:
        json.dump(kubeconfig, file)
    kubeconfig["users"][0]["user"] = {"exec": {"command": "aws"}}
    with open(os.path.join(folder, "config-exec"), "w") as file:
        json.dump(kubeconfig, file)

    def with_file(name, path):
        return (f"  - job_name: {name}\n    kubernetes_sd_configs:\n    - role: pod\n"
                f"      kubeconfig_file: {path}\n{RELABEL}")
    server = rig.start("tls", with_file("pods", os.path.join(folder, "config"))
                       + with_file("exec", os.path.join(folder, "config-exec"))
                       + job("wrong", api, f"      tls_config: {{ca_file: {other['cert']}}}\n"))
    try:
        expect_pods(server, ["a"])
        expect_log(server, "certificate")
        expect_log(server, 'users with \\"exec\\" are not supported')
        assert pods_of(server, "wrong") == []
        assert metric(server, "prometheus_sd_failed_configs") == 1
        assert api.requests[0][2] == "Bearer t", api.requests[0]
    finally:
        server.stop()
        api.stop()


def test_http2(rig):
    """Lists and watches of several resources are streams of one HTTP/2 connection."""
    node = shutil.which("node")
    if node is None or shutil.which("openssl") is None:
        print("HTTP/2: skipped, there is no node or no openssl")
        return
    folder = tempfile.mkdtemp(prefix="http2", dir=rig.folder)
    mine = make_certificate(folder, "server", "-addext", "subjectAltName=IP:127.0.0.1")
    api = fake.KubernetesApi()
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "http2_relay.js")
    relay = subprocess.Popen([node, script, mine["cert"], mine["key"], api.url],
                             stdout=subprocess.PIPE, text=True)
    port = int(relay.stdout.readline())
    api.put("services", {"metadata": {"name": "web", "namespace": "shop"}})
    api.put("pods", rig.pod("web-1", "shop"))
    slices = {"metadata": {"name": "web-x", "namespace": "shop"}, "addressType": "IPv4",
              "endpoints": [{"addresses": ["127.0.0.1"], "targetRef": {
                  "kind": "Pod", "name": "web-1", "namespace": "shop"}}],
              "ports": [{"name": "http", "port": rig.target.port}]}
    api.put("endpointslices", slices)
    server = rig.start("http2", job("slices", api, f"      tls_config: {{ca_file: {mine['cert']}}}\n",
                                    role="endpointslice").replace(api.url,
                                                                  f"https://127.0.0.1:{port}"))
    try:
        expect_pods(server, ["web-1"], "slices")
        wait_until(lambda: api.watching == 3, "three watches")
        api.delete("pods", "web-1", "shop")
        wait_until(lambda: pods_of(server, "slices") == [], "the pod is gone")
        api.put("pods", rig.pod("web-1", "shop"))
        expect_pods(server, ["web-1"], "slices")
        api.end_watches()
        wait_until(lambda: api.watching == 3, "three watches again")
        api.delete("endpointslices", "web-x", "shop")
        expect_pods(server, [], "slices")
    finally:
        server.stop()
        relay.kill()
        sessions = relay.stdout.read().count("session")
        relay.wait()
        api.stop()
    # curl may open another one before it knows that the first can carry several streams.
    assert 1 <= sessions <= 3, sessions


def main():
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2]
    rig = Rig(program, tempfile.mkdtemp(prefix="kubernetes", dir=folder))
    tests = [test_life, test_selection, test_joins, test_hostile, test_tls_and_kubeconfig,
             test_http2]
    chosen = sys.argv[3:]
    for test in tests:
        if not chosen or test.__name__ in chosen:
            test(rig)
            print(f"{test.__name__}: fine", flush=True)
    shutil.rmtree(rig.folder, ignore_errors=True)


main()

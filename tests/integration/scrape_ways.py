#!/usr/bin/env python3
"""The ways to a target: HTTP/2 and without it, unix sockets, and proxies: by URL, by the environment,
not for some hosts, through CONNECT with headers of its own.

usage: scrape_ways.py NARTHEX WORK_FOLDER
"""
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.parse
import urllib.request

import harness
import scripted
from scrape_transport import Certificates, Origin, equal, job, wait_judged


class Proxy:
    """Passes requests on; keeps (method, target, X-Proxy-Key) of each."""

    def __init__(self):
        self.requests = []
        proxy = self

        class Handler(scripted.Handler):
            def note(self):
                proxy.requests.append((self.command, self.path, self.headers.get("X-Proxy-Key"),
                                       self.headers.get("Proxy-Authorization")))

            def do_GET(self):
                self.note()
                try:
                    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                    with direct.open(self.path, timeout=10) as answer:
                        body = answer.read()
                except (OSError, ValueError):
                    return self.send_error(502)
                return self.answer(body)

            def do_CONNECT(self):
                self.note()
                host, _, port = self.path.rpartition(":")
                upstream = socket.create_connection((host, int(port)), 10)
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=pump, args=(upstream, self.connection), daemon=True)
                back.start()
                pump(self.connection, upstream)
                back.join()
                self.close_connection = True

        self.port = scripted.serve(Handler).server_port

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def asked_for(self, end):
        return [request for request in self.requests if request[1].endswith(end)]


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


class UnixTarget(socketserver.ThreadingUnixStreamServer):
    """Says in its page which Host it was asked for."""
    daemon_threads = True

    class Handler(scripted.Handler):
        def do_GET(self):
            body = f'asked{{host="{self.headers["Host"]}",path="{self.path}"}} 1\n'.encode()
            self.answer(body)

        def address_string(self):
            return "unix"

        def log_message(self, *arguments):
            pass

    def __init__(self, path):
        super().__init__(path, self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def start_http2_target(certificates):
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        return None
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "http2_target.js")
    return subprocess.Popen([node, script, certificates.path("server.pem"),
                             certificates.path("server.key")], stdout=subprocess.PIPE, text=True)


def make_jobs(plain, tls, named, http2_ports, sockets, certificates):
    authority = (f"{{ca_file: {certificates.path('ca.pem')}, server_name: target.example}}")
    secure = {"scheme": "https", "tls_config": authority}
    relabel = "[{target_label: __unix_socket__, replacement: '%s'}]"
    jobs = [
        job("by_url", plain.port, "/by_url", proxy_url=named.url),
        job("not_for", plain.port, "/not_for", proxy_url=named.url, no_proxy="'127.0.0.0/8,x'"),
        job("for_others", plain.port, "/for_others", proxy_url=named.url, no_proxy="example.com"),
        job("with_user", plain.port, "/with_user",
            proxy_url=f"'http://u:p@127.0.0.1:{named.port}'"),
        job("no_such_proxy", plain.port, "/never", proxy_url=f"http://127.0.0.1:{sockets['free']}"),
        job("tunnel", tls.port, "/tunnel", **secure, proxy_url=named.url,
            proxy_connect_header="{X-Proxy-Key: [tunnel-key]}"),
        job("environment", plain.port, "/environment", proxy_from_environment="true"),
        job("environment_tls", tls.port, "/environment_tls", **secure,
            proxy_from_environment="true"),
        job("environment_not_for", plain.port, "/environment_not_for", host="localhost",
            proxy_from_environment="true"),
        job("no_environment", plain.port, "/no_environment"),
        job("unix", 1, "/a/path", host="unix.example",
            relabel_configs=relabel % sockets["there"]),
        job("unix_gone", 1, host="unix.example", relabel_configs=relabel % sockets["gone"]),
    ]
    if http2_ports:
        # Of their own: a request that may be HTTP/2 takes a free connection that is not.
        jobs += [job("http2", http2_ports[0], **secure),
                 job("http1", http2_ports[1], **secure, enable_http2="false")]
    return "".join(jobs)


def value_of(server, name, labels):
    return server.data("query", query=f"{name}{labels}")["result"][0]["value"][1]


def check(server, named, environment, http2):
    expected = {name: "" for name in (
        "by_url", "not_for", "for_others", "with_user", "tunnel", "environment", "environment_tls",
        "environment_not_for", "no_environment", "unix")}
    expected["no_such_proxy"] = "proxyconnect tcp: dial tcp 127.0.0.1"
    expected["unix_gone"] = "connect: no such file or directory"
    expected.update({"http2": "", "http1": ""} if http2 else {})
    wait_judged(server, expected)
    assert named.asked_for("/by_url") and named.asked_for("/for_others"), named.requests
    equal(named.asked_for("/not_for"), [])
    equal({request[3] for request in named.asked_for("/with_user")}, {"Basic dTpw"})
    tunnels = [request for request in named.requests if request[0] == "CONNECT"]
    equal({request[2] for request in tunnels}, {"tunnel-key"})
    equal({request[2] for request in named.requests if request[0] == "GET"}, {None})
    assert environment.asked_for("/environment"), environment.requests
    assert any(request[0] == "CONNECT" for request in environment.requests)
    for path in ("/environment_not_for", "/no_environment", "/by_url"):
        equal(environment.asked_for(path), [])
    equal(value_of(server, "asked", '{job="unix",host="unix.example:1",path="/a/path"}'), "1")
    if http2:
        equal(value_of(server, "http_version", '{job="http2"}'), "2")
        equal(value_of(server, "http_version", '{job="http1"}'), "1.1")


def main():
    program, work = sys.argv[1:3]
    with harness.WorkFolder(work) as folder:
        certificates = Certificates(folder)
        plain, tls = Origin(), Origin(certificates.server_context("server"))
        named, environment = Proxy(), Proxy()
        sockets = {"there": os.path.join(folder, "t"), "gone": os.path.join(folder, "g"),
                   "free": harness.free_port()}
        unix_target = UnixTarget(sockets["there"])
        http2 = [target for target in (start_http2_target(certificates) for _ in range(2))
                 if target]
        ports = [int(target.stdout.readline()) for target in http2]
        config = ("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n"
                  + make_jobs(plain, tls, named, ports, sockets, certificates))
        variables = dict(os.environ, http_proxy=environment.url, https_proxy=environment.url,
                         no_proxy="localhost")
        server = harness.start_narthex(program, folder, config, environment=variables).wait_ready()
        try:
            check(server, named, environment, http2)
        finally:
            status, _ = server.stop()
            unix_target.shutdown()
            for target in http2:
                target.terminate()
                target.wait(20)
        equal(status, 0)
        if not http2:
            print("left out: HTTP/2 (there is no node)")
    return 0


if __name__ == "__main__":
    sys.exit(main())

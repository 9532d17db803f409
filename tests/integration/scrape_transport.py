#!/usr/bin/env python3
"""How scrapes reach their targets: TLS with its own CA, names and client certificates, proxies,
redirects that leak nothing, passwords read again; and targets that drip or grow a million series.

usage: scrape_transport.py NARTHEX WORK_FOLDER
"""
import base64
import os
import re
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

import harness
import scripted

PAGE = b"page 1\n"
MILLION = 1000000
MILLION_PAGE = b"".join(b'churn{i="%d"} 1\n' % i for i in range(MILLION))
RESIDENT_MAX = 250 << 20  # the page is 18 MB; without the limit its series would need far more


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


class Origin:
    """One listener; keeps (path, Host, Authorization) of every request."""

    def __init__(self, context=None):
        self.requests = []
        self.passwords = {"right"}
        self.elsewhere = ""
        origin = self

        class Handler(scripted.Handler):
            def do_GET(self):
                given = self.headers.get("Authorization", "")
                origin.requests.append((self.path, self.headers.get("Host"), given))
                path = self.path
                if path.startswith("http://"):  # we are its proxy
                    with urllib.request.urlopen(path, timeout=10) as answer:
                        self.answer(answer.read())
                elif path == "/password":
                    word = base64.b64decode(given.partition(" ")[2]).decode().partition(":")[2]
                    self.answer(PAGE, 200 if word in origin.passwords else 401)
                elif path == "/leave":
                    self.answer(b"", 302, Location=f"{origin.elsewhere}/arrived")
                elif path == "/stay":
                    self.answer(b"", 302, Location="/stayed")
                elif path == "/million":
                    self.answer(MILLION_PAGE)
                elif path == "/drip":
                    self.drip()
                else:
                    self.answer(PAGE)

            def drip(self):
                """Each byte comes in time; the page never ends."""
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Connection", "close")
                self.end_headers()
                try:
                    while True:
                        for byte in b"drip 1\n":
                            self.wfile.write(bytes([byte]))
                            time.sleep(0.02)
                except OSError:
                    pass

        self.port = scripted.serve(Handler, context).server_port

    def of(self, path):
        return [request for request in self.requests if request[0] == path]


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        self.authority("ca")
        self.authority("other")
        self.issue("server", "subjectAltName=DNS:target.example", 2)
        self.issue("expired", "subjectAltName=DNS:target.example", -1)
        self.issue("client", "extendedKeyUsage=clientAuth", 2)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        try:
            subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60 * harness.PATIENCE)
        except (OSError, subprocess.SubprocessError) as fault:
            harness.skip(f"openssl: {fault} {getattr(fault, 'stderr', b'')!r}")

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                     "-nodes", "-days", "2", "-subj", f"/CN={name}",
                     "-keyout", self.path(name + ".key"), "-out", self.path(name + ".pem"))

    def issue(self, name, extension, days, authority="ca"):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-subj", f"/CN={name}", "-keyout", self.path(name + ".key"),
                     "-out", self.path(name + ".csr"))
        with open(self.path(name + ".ext"), "w") as file:
            file.write(extension + "\n")
        self.openssl("x509", "-req", "-in", self.path(name + ".csr"), "-CA",
                     self.path(authority + ".pem"), "-CAkey", self.path(authority + ".key"),
                     "-CAcreateserial", "-days", str(days), "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))

    def server_context(self, name, ask_client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        if ask_client:
            context.load_verify_locations(self.path("ca.pem"))
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def job(name, port, path="/page", host="127.0.0.1", **settings):
    lines = [f"- job_name: {name}", f"  metrics_path: {path}",
             f"  static_configs: [{{targets: ['{host}:{port}']}}]"]
    lines += [f"  {key}: {value}" for key, value in settings.items()]
    return "\n".join(lines) + "\n"


def make_jobs(origins, certificates, folder):
    plain, tls, old, mutual, proxy = origins
    path = certificates.path

    def block(ca, *more):
        return "{" + ", ".join([f"ca_file: {path(ca)}", *more]) + "}"
    named = "server_name: target.example"
    client = (f"cert_file: {path('client.pem')}", f"key_file: {path('client.key')}")
    auth = "{username: u, password_file: " + os.path.join(folder, "password") + "}"
    https = {"scheme": "https"}
    return "".join((
        job("good", plain.port),
        job("tls", tls.port, **https, tls_config=block("ca.pem", named)),
        job("tls_any", tls.port, **https, tls_config="{insecure_skip_verify: true}"),
        job("tls_name", tls.port, **https, tls_config=block("ca.pem")),
        job("tls_authority", tls.port, **https, tls_config=block("other.pem", named)),
        job("tls_expired", old.port, **https, tls_config=block("ca.pem", named)),
        job("tls_plain", plain.port, **https),
        job("plain_tls", tls.port),
        job("tls_client", mutual.port, **https, tls_config=block("ca.pem", named, *client)),
        job("tls_no_client", mutual.port, **https, tls_config=block("ca.pem", named)),
        job("proxy", plain.port, "/proxied", proxy_url=f"'http://127.0.0.1:{proxy.port}'"),
        job("password", plain.port, "/password", basic_auth=auth),
        job("leave", plain.port, "/leave", basic_auth="{username: u, password: secret}"),
        job("stay", plain.port, "/stay", basic_auth="{username: u, password: secret}"),
        job("no_follow", plain.port, "/stay", follow_redirects="false"),
        job("drip", plain.port, "/drip"),
        job("million", plain.port, "/million", scrape_interval="10s", scrape_timeout="10s",
            sample_limit="1000"),
    ))


# Job -> part of the last error; "" for up.
EXPECTED = {
    "good": "", "tls": "", "tls_any": "", "tls_client": "", "proxy": "", "leave": "", "stay": "",
    "tls_name": "x509: ",
    "tls_authority": "x509: certificate signed by unknown authority",
    "tls_expired": "x509: certificate has expired",
    "tls_plain": "http: server gave HTTP response to HTTPS client",
    "plain_tls": 'Get "http://127.0.0.1',
    # The server ends the connection while the request is on its way: by an alert or at once.
    "tls_no_client": 'Get "https://127.0.0.1',
    "password": "server returned HTTP status 401 Unauthorized",
    "no_follow": "server returned HTTP status 302 Found",
    "drip": "context deadline exceeded",
    "million": "sample limit exceeded",
}


def targets_of(server):
    return {t["scrapePool"]: t for t in server.data("targets")["activeTargets"]}


def wait_judged(server, expected):
    """Each is seen as it should be; a busy machine may make another scrape fail by then."""
    left = dict(expected)

    def all_judged():
        for job, target in targets_of(server).items():
            if job in left and left[job] in target["lastError"] and \
                    target["health"] == ("down" if left[job] else "up"):
                del left[job]
        return not left
    try:
        harness.wait_until(all_judged, "all targets judged", 60)
    except AssertionError:
        for job, target in targets_of(server).items():
            if job in left:
                print(job, target["health"], target["lastError"])
        raise


def resident_bytes(process):
    with open(f"/proc/{process.pid}/status") as file:
        return int(re.search(r"VmHWM:\s+(\d+)", file.read())[1]) << 10


def main():
    program, work = sys.argv[1:3]
    with harness.WorkFolder(work) as folder:
        certificates = Certificates(folder)
        plain, proxy, elsewhere = Origin(), Origin(), Origin()
        tls = Origin(certificates.server_context("server"))
        old = Origin(certificates.server_context("expired"))
        mutual = Origin(certificates.server_context("server", True))
        plain.elsewhere = f"http://localhost:{elsewhere.port}"
        password = os.path.join(folder, "password")
        with open(password, "w") as file:
            file.write("wrong\n")
        config = ("global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
                  + make_jobs((plain, tls, old, mutual, proxy), certificates, folder))
        server = harness.start_narthex(program, folder, config).wait_ready()
        try:
            wait_judged(server, EXPECTED)
            with open(password + ".new", "w") as file:
                file.write("right\n")
            os.rename(password + ".new", password)
            wait_judged(server, dict(EXPECTED, password=""))
            # The proxy saw the whole URL, the target the proxy's request.
            assert proxy.of(f"http://127.0.0.1:{plain.port}/proxied"), proxy.requests[:3]
            # Credentials stay with the host they are for.
            assert all(given.startswith("Basic ") for _, _, given in plain.of("/leave"))
            assert all(given.startswith("Basic ") for _, _, given in plain.of("/stayed")
                       if given) and any(given for _, _, given in plain.of("/stayed"))
            equal({given for _, _, given in elsewhere.of("/arrived")}, {""})
            # A million new series in one scrape made none, and needed little.
            series = server.data("query", query="count(churn)")["result"]
            equal(series, [])
            samples = server.data(
                "query", query='max_over_time(scrape_samples_scraped{job="million"}[1h])')["result"]
            equal(samples[0]["value"][1], str(MILLION))
            peak = resident_bytes(server.process)
            print(f"at most {peak >> 20} MiB resident")
            if os.environ.get("ASAN_OPTIONS") is None:
                assert peak < RESIDENT_MAX, peak
        finally:
            status, _ = server.stop()
        equal(status, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What outsiders try: TLS and passwords of --web.config.file, paths, heads, slow clients.

    security.py NARTHEX FOLDER
"""
import base64
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import harness

# bcrypt of "secret" and of "other", cost 4
HASH_SECRET = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
CONFIG = """\
global: {scrape_interval: 1h}
scrape_configs:
- job_name: none
  basic_auth: {username: scraper, password: hidden-password}
  authorization: null
  static_configs: []
"""


SECONDS_MAX = 20 * harness.PATIENCE


class Failures:
    def __init__(self):
        self.count, self.checks = 0, 0

    def check(self, good, what):
        self.checks += 1
        if not good:
            self.count += 1
            print(f"FAILED: {what}")


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_authority(folder, name):
    key, cert = os.path.join(folder, f"{name}.key"), os.path.join(folder, f"{name}.pem")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN={name}")
    return key, cert


def make_certificate(folder, name, authority, san, rsa=False):
    """Key and certificate signed by the authority."""
    key, cert = os.path.join(folder, f"{name}.key"), os.path.join(folder, f"{name}.pem")
    request, extra = os.path.join(folder, f"{name}.csr"), os.path.join(folder, f"{name}.ext")
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    openssl("req", "-newkey", *kind, "-nodes", "-keyout", key, "-out", request, "-subj",
            f"/CN={name}")
    with open(extra, "w") as file:
        file.write(f"subjectAltName={san}\n")
    openssl("x509", "-req", "-in", request, "-CA", authority[1], "-CAkey", authority[0],
            "-CAcreateserial", "-days", "2", "-extfile", extra, "-out", cert)
    return key, cert


class Running:
    """A Narthex with a web configuration."""

    def __init__(self, program, folder, name, web_config, *flags):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder)
        self.web = os.path.join(self.folder, "web.yml")
        self.set(web_config)
        config = os.path.join(self.folder, "narthex.yml")
        with open(config, "w") as file:
            file.write(CONFIG)
        self.port = harness.free_port()
        self.server = harness.Server(
            [program, f"--config.file={config}", f"--web.config.file={self.web}",
             f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address=127.0.0.1:{self.port}",
             *flags], f"http://127.0.0.1:{self.port}", os.path.join(self.folder, "log"))
        harness.wait_until(self.listens, "listening", 30)

    def listens(self):
        if self.server.process.poll() is not None:
            raise AssertionError(self.server.log_tail())
        try:
            socket.create_connection(("127.0.0.1", self.port), 5 * harness.PATIENCE).close()
            return "ready to receive" in self.server.log_tail()
        except OSError:
            return False

    def set(self, text):
        with open(self.web + ".new", "w") as file:
            file.write(text)
        os.rename(self.web + ".new", self.web)

    def ask(self, method, path, headers=None, body=None, context=None):
        """(status, headers, body); one connection."""
        if context:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=SECONDS_MAX,
                                                     context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def raw(self, data, seconds=SECONDS_MAX):
        """All bytes that come back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as stream:
            out = b""
            try:
                stream.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # answered before all was read: the answer is there
            try:
                while True:
                    part = stream.recv(65536)
                    if not part:
                        return out
                    out += part
            except (TimeoutError, ConnectionResetError):
                return out

    def stop(self):
        status, _ = self.server.stop()
        assert status == 0, self.server.log_tail()


def basic(user, password):
    text = f"{user}:{password}" if isinstance(password, str) else user.encode() + b":" + password
    data = text.encode() if isinstance(text, str) else text
    return {"Authorization": "Basic " + base64.b64encode(data).decode()}


# ---- passwords ----

def test_passwords(program, folder, failures):
    server = Running(program, folder, "passwords", f"""\
basic_auth_users:
  alice: {HASH_SECRET}
http_server_config:
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=1}}
""", "--web.enable-admin-api", "--web.enable-lifecycle")
    check = failures.check
    right = basic("alice", "secret")
    status, headers, body = server.ask("GET", "/api/v1/query?query=1", right)
    check(status == 200 and json.loads(body)["data"]["result"][1] == "1", "right password")
    check(headers.get("X-Frame-Options") == "deny" and
          headers.get("Strict-Transport-Security") == "max-age=1", f"configured headers: {headers}")
    for path in ("/", "/metrics", "/-/healthy", "/-/ready", "/api/v1/query?query=1", "/nothing",
                 "/API/V1/query", "//api//v1//query", "/api/v1/../v1/query", "/%2e%2e/metrics",
                 "/metrics/", "/api/v1/status/config", "/-/quit", "/-/reload", "/federate"):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "BREW"):
            status, headers, body = server.ask(method, path)
            check(status == 401 and headers.get("WWW-Authenticate") == "Basic",
                  f"{method} {path} without password: {status} {headers}")
            check(method == "HEAD" or body == b"Unauthorized\n", f"{method} {path}: {body[:50]}")
    for wrong in (basic("alice", "Secret"), basic("alice", ""), basic("ALICE", "secret"),
                  basic("bob", "secret"), basic("", "secret"), basic("alice", b"secret\0more"),
                  basic("alice ", "secret"), {"Authorization": "Basic"},
                  {"Authorization": "Basic !!!"}, {"Authorization": "Bearer secret"},
                  {"Authorization": "Basic " + base64.b64encode(b"alice").decode()},
                  {"Authorization": "Basic " + "A" * 20000}):
        for _ in range(2):  # the second time from the cache
            status, _, _ = server.ask("GET", "/api/v1/query?query=1", wrong)
            check(status in (401, 431), f"{str(wrong)[:60]}: {status}")
    lower = {"authorization": "bAsIc " + right["Authorization"][6:]}
    check(server.ask("GET", "/metrics", lower)[0] == 200, "scheme in other case")
    absolute = server.raw(b"GET http://127.0.0.1/metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    check(absolute.startswith(b"HTTP/1.1 401"), f"absolute form: {absolute[:40]}")
    check(server.ask("GET", "/nothing", right)[0] == 404, "unknown path with password")
    check(server.server.process.poll() is None, "still running")
    # A large body is refused before it is read.
    status = server.raw(b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 33000000\r\n\r\n")
    check(status.startswith(b"HTTP/1.1 401"), "body without password")
    test_secrets(server, right, failures)
    test_changes(server, right, failures)
    server.stop()


def test_secrets(server, right, failures):
    for path in ("status/config", "status/flags", "targets", "status/runtimeinfo"):
        body = server.ask("GET", f"/api/v1/{path}", right)[2].decode()
        failures.check("hidden-password" not in body and HASH_SECRET not in body, f"{path} tells")
    with open(server.server.log_path) as log:
        text = log.read()
    failures.check("hidden-password" not in text and HASH_SECRET[7:] not in text, "the log tells")


def test_changes(server, right, failures):
    """The file is looked at on every request."""
    check = failures.check
    server.set("basic_auth_users: [\n")
    status, _, body = server.ask("GET", "/metrics", right)
    check((status, body) == (500, b"Internal Server Error\n"), f"broken file: {status} {body}")
    server.set(f"basic_auth_users: {{carol: {HASH_SECRET}}}\n")
    check(server.ask("GET", "/metrics", right)[0] == 401, "user removed")
    check(server.ask("GET", "/metrics", basic("carol", "secret"))[0] == 200, "user added")
    server.set("{}\n")
    check(server.ask("GET", "/metrics")[0] == 200, "no users: everybody")


def test_rate(program, folder, failures):
    server = Running(program, folder, "rate", "rate_limit: {interval: 1h, burst: 3}\n")
    states = [server.ask("GET", "/-/healthy") for _ in range(5)]
    failures.check([s[0] for s in states] == [200, 200, 200, 429, 429], f"rate limit: {states}")
    failures.check(states[4][2] == b"Too Many Requests\n", f"rate limit body: {states[4]}")
    server.stop()


def test_bad_files(program, folder, failures):
    """A start with a bad file fails with Prometheus' text."""
    cases = [
        ("tls_server_config: {cert_file: x}\n", "missing one of key or key_file"),
        ("tls_server_config: {key_file: x}\n", "missing one of cert or cert_file"),
        ("tls_server_config: {cert: a, key: b, client_auth_type: Maybe}\n",
         "invalid ClientAuth: Maybe"),
        ("tls_server_config: {cert: a, key: b, client_ca: c}\n",
         "client CA's have been configured without a Client Auth Policy"),
        ("tls_server_config: {cert: a, key: b, min_version: TLS14}\n",
         "unknown TLS version: TLS14"),
        ("tls_server_config: {cert: a, key: b, cipher_suites: [ROT13]}\n", "unknown cipher: ROT13"),
        ("tls_server_config: {cert: a, key: b, curve_preferences: [Ed]}\n", "unknown curve: Ed"),
        ("tls_server_config: {cert: a, key: b}\n", "failed to find any PEM data in certificate"),
        ("tls_server_config: {cert_file: gone.pem, key: b}\n", "failed to read cert_file ("),
        ("basic_auth_users: {a: short}\n", "hashedSecret too short to be a bcrypted password"),
        ("http_server_config: {headers: {Server: x}}\n",
         "HTTP header \\\"Server\\\" can not be configured"),
        ("http_server_config: {headers: {X-Frame-Options: x}}\n",
         "invalid value for X-Frame-Options"),
        ("tls: {}\n", "field tls not found in type web.Config"),
    ]
    for index, (text, expected) in enumerate(cases):
        path = os.path.join(folder, f"bad{index}.yml")
        with open(path, "w") as file:
            file.write(text)
        run = subprocess.run(
            [program, f"--web.config.file={path}", f"--storage.tsdb.path={folder}/bad",
             "--web.listen-address=127.0.0.1:0"], capture_output=True, text=True, timeout=SECONDS_MAX,
            check=False)
        failures.check(run.returncode != 0 and expected in run.stdout + run.stderr,
                       f"{text!r}: {run.returncode} {run.stderr[-300:]}")


# ---- TLS ----

def client_context(authority, certificate=None, most=None, least=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority[1])
    if certificate:
        context.load_cert_chain(certificate[1], certificate[0])
    if most:
        context.maximum_version = most
    if least:
        context.minimum_version = least
    return context


def asks(server, context, path="/-/healthy"):
    """Status, or None when TLS fails."""
    try:
        return server.ask("GET", path, context=context)[0]
    except (ssl.SSLError, ConnectionError, OSError):
        return None


def served_name(server, context):
    with socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX) as plain:
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
            return stream.getpeercert()["subject"][0][0][1], stream.cipher()[0], stream.version()


def test_tls(program, folder, failures):
    check = failures.check
    authority = make_authority(folder, "authority")
    stranger = make_authority(folder, "stranger")
    first = make_certificate(folder, "first", authority, "IP:127.0.0.1")
    second = make_certificate(folder, "second", authority, "IP:127.0.0.1", rsa=True)
    client = make_certificate(folder, "client", authority, "DNS:prober.example")
    other = make_certificate(folder, "other", authority, "DNS:other.example")
    foreign = make_certificate(folder, "foreign", stranger, "DNS:prober.example")
    base = f"cert_file: {first[1]}, key_file: {first[0]}"
    server = Running(program, folder, "tls", f"tls_server_config: {{{base}}}\n")
    plain = client_context(authority)
    check(asks(server, plain) == 200, "TLS")
    check(server.ask("GET", "/api/v1/query?query=1%2B1", context=plain)[0] == 200, "query over TLS")
    check(asks(server, client_context(stranger)) is None, "the client checks us")
    check(b"200" not in server.raw(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n", 5)[:20],
          "plain HTTP on the TLS port")
    check(served_name(server, plain)[0] == "first", "first certificate")
    # Files are read anew.
    for source, target in zip(second, first):
        shutil.copyfile(source, target + ".new")
    for target in first:
        os.rename(target + ".new", target)
    check(served_name(server, plain)[0] == "second", "second certificate, without restart")
    v12, v13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    server.set(f"tls_server_config: {{{base}, min_version: TLS13}}\n")
    check(asks(server, client_context(authority, most=v12)) is None, "TLS 1.2 is refused")
    check(asks(server, client_context(authority, least=v13)) == 200, "TLS 1.3 is taken")
    server.set(f"tls_server_config: {{{base}, max_version: TLS12, cipher_suites: "
               "[TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384], curve_preferences: [CurveP384]}\n")
    check(served_name(server, plain)[1:] == ("ECDHE-RSA-AES256-GCM-SHA384", "TLSv1.2"),
          "one suite")
    weak = client_context(authority)
    weak.set_ciphers("ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305")
    check(asks(server, weak) is None, "another suite is refused")
    server.set("tls_server_config: [\n")
    check(asks(server, plain) is None, "a broken file ends handshakes")
    ca = f"{base}, client_ca_file: {authority[1]}"
    policies = [
        # policy, more keys, (none, ours, other name, foreign)
        ("RequestClientCert", "", (200, 200, 200, 200)),
        ("RequireAnyClientCert", "", (None, 200, 200, 200)),
        ("VerifyClientCertIfGiven", "", (200, 200, 200, None)),
        ("RequireAndVerifyClientCert", "", (None, 200, 200, None)),
        ("RequireAndVerifyClientCert", ", client_allowed_sans: [prober.example]",
         (None, 200, None, None)),
    ]
    for policy, more, expected in policies:
        server.set(f"tls_server_config: {{{ca}, client_auth_type: {policy}{more}}}\n")
        got = tuple(asks(server, client_context(authority, certificate))
                    for certificate in (None, client, other, foreign))
        check(got == expected, f"{policy}{more}: {got}, expected {expected}")
    server.set(f"tls_server_config: {{{base}}}\nbasic_auth_users: {{alice: {HASH_SECRET}}}\n")
    check(asks(server, plain) == 401, "TLS and no password")
    check(server.ask("GET", "/-/healthy", basic("alice", "secret"), context=plain)[0] == 200,
          "TLS and password")
    server.stop()


# ---- heads, paths, slow clients ----

def test_heads(program, folder, failures):
    check = failures.check
    server = Running(program, folder, "heads", "{}\n", "--web.read-timeout=5s")
    inner = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\n"
    for what, data in [
            ("both lengths", head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            ("two lengths", head + b"Content-Length: 0\r\nContent-Length: 36\r\n\r\n"),
            ("same length twice", head + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n"),
            ("signed length", head + b"Content-Length: +0\r\n\r\n"),
            ("negative length", head + b"Content-Length: -1\r\n\r\n"),
            ("hex length", head + b"Content-Length: 0x0\r\n\r\n"),
            ("list of lengths", head + b"Content-Length: 0, 36\r\n\r\n"),
            ("length too large", head + b"Content-Length: 99999999999999999999\r\n\r\n"),
            ("unknown encoding", head + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
            ("two encodings", head + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"
                                     b"0\r\n\r\n"),
            ("blank before the colon", head + b"Content-Length : 0\r\n\r\n"),
            ("chunk size too large", head + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff0\r\n"),
            ("bad chunk size", head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")]:
        answer = server.raw(data + inner)
        check(b" 404 " not in answer and answer.startswith(b"HTTP/1.1 ")
              and not answer.startswith(b"HTTP/1.1 200"), f"{what}: {answer[:120]}")
    good = server.raw(head + b"Content-Type: application/x-www-form-urlencoded\r\n"
                      b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n7\r\nquery=1\r\n0\r\n\r\n")
    check(good.startswith(b"HTTP/1.1 200"), f"chunked: {good[:60]}")
    for what, data in [("long line", b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
                       ("long header", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200000 + b"\r\n\r\n"),
                       ("many headers", b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50000 + b"\r\n"),
                       ("garbage", bytes(range(256)) * 100), ("NULs", b"\0" * 100000)]:
        try:
            answer = server.raw(data)
        except (BrokenPipeError, ConnectionResetError):
            answer = b""
        check(not answer.startswith(b"HTTP/1.1 2"), f"{what}: {answer[:60]}")
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
                 "/static/../../../etc/passwd", "//etc/passwd", "/api/v1/label/..%2f..%2fx/values",
                 "/metrics%00.html", "/-/../metrics"):
        answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        check(b"root:" not in answer and answer.startswith(b"HTTP/1.1 "), f"{path}: {answer[:60]}")
    check(server.ask("GET", "/-/healthy")[0] == 200, "healthy at the end")
    server.stop()


def test_slow(program, folder, failures):
    """Clients that drip a byte now and then are ended; others are answered meanwhile."""
    server = Running(program, folder, "slow", "{}\n", "--web.read-timeout=1s")
    slow = []
    for start in (b"", b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
                  b"POST /api/v1/query HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"):
        for _ in range(20):
            stream = socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX)
            slow.append(stream)
            try:
                stream.sendall(start)
            except OSError:
                pass  # ended already, which is seen below
    deadline = time.monotonic() + 30 * harness.PATIENCE
    ended = set()
    while len(ended) < len(slow) and time.monotonic() < deadline:
        failures.check(server.ask("GET", "/-/healthy")[0] == 200, "others while clients drip")
        for stream in slow:
            try:
                stream.send(b"a")
            except OSError:
                ended.add(stream)
        time.sleep(0.2)
    failures.check(len(ended) == len(slow), f"{len(slow) - len(ended)} slow clients stay")
    for stream in slow:
        stream.close()
    failures.check(server.ask("GET", "/-/healthy")[0] == 200, "healthy at the end")
    server.stop()


# ---- what the server reads, shows and redirects to ----

LEAKS = """\
global: {scrape_interval: 1s}
scrape_configs:
- job_name: proxy
  proxy_url: "http://u:hidden-proxy@127.0.0.1:1"
  static_configs: [{targets: ["127.0.0.1:1"]}]
- job_name: injected
  http_headers: {X-Key: {secrets: [hidden-header]}}
  static_configs:
  - targets: ["127.0.0.1:1"]
    labels: {evil: "line1\\nlevel=ERROR msg=injected <script>"}
- job_name: http
  http_sd_configs: [{url: "http://u:hidden-@-sd@127.0.0.1:1/x", refresh_interval: 1s}]
- job_name: consul
  consul_sd_configs: [{server: "127.0.0.1:1", token: hidden-consul, refresh_interval: 1s}]
- job_name: kubernetes
  kubernetes_sd_configs: [{role: pod, api_server: "https://u:hidden-kube@127.0.0.1:1"}]
- job_name: docker
  docker_sd_configs: [{host: "http://u:hidden-docker@127.0.0.1:1", refresh_interval: 1s}]
- job_name: token
  oauth2: {client_id: a, client_secret: hidden-oauth, token_url: "http://127.0.0.1:1"}
  static_configs: [{targets: ["127.0.0.1:1"]}]
"""


def log_of(server):
    with open(server.log_path, errors="replace") as log:
        return log.read()


def test_leaks(program, folder, failures):
    """No password is shown, wherever it stands, and what clients and targets send makes no lines of
    the log."""
    work = os.path.join(folder, "leaks")
    server = harness.start_narthex(program, work, LEAKS, "--host-metrics.disable",
                                   "--log.level=debug")
    try:
        server.wait_ready()
        harness.wait_until(lambda: len([t for t in server.data("targets")["activeTargets"]
                                        if t["lastError"]]) == 3, "failed scrapes")
        harness.wait_until(lambda: log_of(server).count("Unable to refresh") >= 3,
                           "failed discovery")
        hostile = "%0Alevel%3DERROR%20msg%3Dinjected"
        texts = {}
        for path in ("status/config", "status/flags", "targets", "scrape_pools/config?scrapePool=http",
                     "scrape_pools/config?scrapePool=docker", "scrape_pools/config?scrapePool=proxy",
                     "why?target=127.0.0.1:1", "why?match[]=up", "metadata", "status/self_metrics",
                     f"query?query={hostile}", f"series?match[]={hostile}",
                     f"label/{hostile}/values", f"targets?scrapePool={hostile}"):
            texts[path] = harness.http_get(f"{server.url}/api/v1/{path}")[2].decode()
        texts["/metrics"] = harness.http_get(server.url + "/metrics")[2].decode()
    finally:
        server.stop()
    with open(server.log_path) as log:
        texts["the log"] = log.read()
    for where, text in texts.items():
        failures.check("hidden-" not in text and "-sd@" not in text, f"{where} shows a password")
    failures.check("xxxxx" in texts["status/config"], "masked URLs")
    injected = [line for line in texts["the log"].splitlines() if line.startswith("level=ERROR")]
    failures.check(not injected, f"lines made by others: {injected}")


def test_import(program, folder, failures):
    """?path= reads regular files below the data folder, and no others."""
    work = os.path.join(folder, "import")
    server = harness.start_narthex(program, work, CONFIG, "--host-metrics.disable",
                                   "--web.enable-admin-api")
    data = os.path.join(work, "narthex-data")

    def ask(path):
        request = urllib.request.Request(
            f"{server.url}/api/v1/admin/tsdb/import?path={urllib.parse.quote(path)}", method="POST")
        try:
            with urllib.request.urlopen(request, timeout=SECONDS_MAX) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read().decode()

    try:
        server.wait_ready()
        with open(os.path.join(work, "outside"), "w") as file:
            file.write("hidden-content 1\n")
        with open(os.path.join(data, "good.om"), "w") as file:
            file.write(f"m 1 {int(time.time())}\n# EOF\n")
        os.symlink(os.path.join(work, "outside"), os.path.join(data, "link"))
        os.symlink(work, os.path.join(data, "up"))
        os.symlink("good.om", os.path.join(data, "inside"))
        os.mkfifo(os.path.join(data, "pipe"))
        for path in ("link", "up/outside", "../outside", "wal/../../outside", "/etc/passwd", "pipe",
                     "wal", ".", "good.om\0", "/" + os.path.join(data, "good.om")):
            status, body = ask(path)
            failures.check(status == 400 and "hidden-content" not in body and "root:" not in body
                           and 'invalid parameter \\"path\\"' in body, f"{path!r}: {status} {body}")
        for path in ("good.om", "./good.om", "inside"):
            failures.check(ask(path)[0] == 200, f"{path}: {ask(path)}")
    finally:
        server.stop()


def test_redirects(program, folder, failures):
    """No path leads to another host or makes headers of its own; Host is there once."""
    server = Running(program, folder, "redirects", "{}\n")
    check = failures.check
    for path in ("//evil.example/", "/.//evil.example", "/x/..//evil.example", "/%2f/evil.example/",
                 "/\\evil.example/", "/%5cevil.example/", "http://h//evil.example/-/healthy/",
                 "https://h//evil.example/", "evil.example", "*", "/metrics//..//..//evil.example",
                 "/graph?x=%0d%0aX-Bad:1", "/%0d%0aX-Bad:%201/", "/API/v1/label/%0d%0aX-Bad:1/values/"):
        answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
        places = [line[10:] for line in head if line.lower().startswith(b"location: ")]
        check(all(p.startswith(b"/") and p[1:2] not in (b"/", b"\\") for p in places),
              f"{path}: {places}")
        check(not any(line.startswith(b"X-Bad") for line in head), f"{path}: {head}")
    for hosts, status in (("", 400), ("Host: a\r\n", 200), ("Host: a\r\nHost: b\r\n", 400),
                          ("host: a\r\nHOST: a\r\n", 400), ("Host:\r\n", 200)):
        answer = server.raw(f"GET /-/healthy HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
        check(answer.startswith(f"HTTP/1.1 {status} ".encode()), f"{hosts!r}: {answer[:40]}")
    old = server.raw(b"GET /-/healthy HTTP/1.0\r\n\r\n")
    check(b" 200 " in old[:20], f"HTTP/1.0 has no Host: {old[:40]}")
    long_query = "query=" + "+".join(["1"] * 200000)
    answer = server.raw(f"GET /api/v1/query?{long_query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    check(answer[:12] in (b"HTTP/1.1 414", b"HTTP/1.1 431"), f"long query: {answer[:40]}")
    many = "&".join(f"match[]=a{i}" for i in range(100000))
    status, _, body = server.ask("POST", "/api/v1/series", {
        "Content-Type": "application/x-www-form-urlencoded"}, many)
    check(status in (200, 400), f"100,000 selectors: {status} {body[:100]}")
    server.stop()


def test_idle(program, folder, failures):
    """Connections that say nothing take no place for ever."""
    server = Running(program, folder, "idle", "{}\n", "--web.max-connections=40",
                     "--web.read-timeout=1s")
    idle = [socket.create_connection(("127.0.0.1", server.port), SECONDS_MAX) for _ in range(60)]
    failures.check(server.ask("GET", "/-/healthy")[0] == 200, "others get a place in the end")
    for stream in idle:
        stream.close()
    server.stop()


def main():
    program, build_folder = sys.argv[1:3]
    if shutil.which("openssl") is None:
        harness.skip("openssl is not installed")
    failures = Failures()
    with tempfile.TemporaryDirectory(dir=build_folder) as folder:
        test_passwords(program, folder, failures)
        test_rate(program, folder, failures)
        test_bad_files(program, folder, failures)
        test_tls(program, folder, failures)
        test_heads(program, folder, failures)
        test_slow(program, folder, failures)
        test_leaks(program, folder, failures)
        test_import(program, folder, failures)
        test_redirects(program, folder, failures)
        test_idle(program, folder, failures)
    print(f"{failures.checks} checks, {failures.count} failed")
    sys.exit(1 if failures.count else 0)


if __name__ == "__main__":
    main()

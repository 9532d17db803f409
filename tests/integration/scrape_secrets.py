#!/usr/bin/env python3
"""Secrets of scrapes: each that is kept in a file is read again when the file changes; OAuth2 with a
secret and with a signed assertion, which openssl checks; what redirects show to whom.

usage: scrape_secrets.py NARTHEX WORK_FOLDER
"""
import base64
import json
import os
import subprocess
import sys
import urllib.parse

import harness
import scripted
from scrape_transport import Certificates, equal, targets_of

PAGE = b"page 1\n"
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Guard:
    """Answers /NAME when the request shows the secret that NAME wants now."""

    def __init__(self, folder, context=None):
        self.folder = folder
        self.wanted = {}     # path -> (header, value)
        self.locations = {}  # path -> where to
        self.seen = {}       # path -> headers of the latest request
        self.token_wanted = ""
        self.public_key = None
        self.assertions = []
        guard = self

        class Handler(scripted.Handler):
            def do_GET(self):
                guard.seen[self.path] = self.headers
                header, value = guard.wanted.get(self.path, ("Host", None))
                if self.path in guard.locations:
                    self.answer(b"", 302, Location=guard.locations[self.path])
                else:
                    right = value in (None, self.headers.get(header))
                    self.answer(PAGE, 200 if right else 401)

            def do_POST(self):
                size = int(self.headers.get("Content-Length", "0"))
                form = dict(urllib.parse.parse_qsl(self.rfile.read(size).decode()))
                try:
                    token = guard.token(self.headers, form)
                except AssertionError as fault:
                    return self.answer(str(fault).encode(), 400)
                answer = {"access_token": token, "token_type": "bearer", "expires_in": 1}
                return self.answer(json.dumps(answer).encode(), kind="application/json")

        self.port = scripted.serve(Handler, context).server_port

    def token(self, headers, form):
        """A token that tells what the client has shown."""
        if form["grant_type"] == "client_credentials":
            given = base64.b64decode(headers["Authorization"].partition(" ")[2]).decode()
            assert given == "id:" + self.token_wanted, given
            assert form["scope"] == "read write" and form["extra"] == "1", form
            return "by-secret"
        equal(form["grant_type"], JWT_GRANT)
        assert "Authorization" not in headers
        return "by-" + self.verify(form["assertion"])

    def verify(self, assertion):
        signed, _, signature = assertion.rpartition(".")
        path = os.path.join(self.folder, "assertion")
        with open(path + ".sig", "wb") as file:
            file.write(decode(signature))
        with open(path, "w") as file:
            file.write(signed)
        header, claims = (json.loads(decode(part)) for part in signed.split("."))
        digest = {"RS256": "-sha256", "RS384": "-sha384", "RS512": "-sha512"}[header["alg"]]
        good = subprocess.run(["openssl", "dgst", digest, "-verify", self.public_key, "-signature",
                               path + ".sig", path], capture_output=True, timeout=60)
        assert good.returncode == 0, good.stdout
        self.assertions.append((header, claims))
        return header["alg"]


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def basic(user, word):
    return "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()


def write(path, text):
    """Replaces the file at once, as a secret's mount does."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


class SecretFile:
    """A job whose secret is in a file; `wants` of a word is what its target must be shown."""

    def __init__(self, settings, header, wants):
        self.settings, self.header, self.wants = settings, header, wants


SECRETS = {
    "credentials": SecretFile("authorization: {type: Token, credentials_file: FILE}",
                              "Authorization", lambda word: f"Token {word}"),
    "bearer": SecretFile("bearer_token_file: FILE", "Authorization", lambda word: f"Bearer {word}"),
    "password": SecretFile("basic_auth: {username: u, password_file: FILE}", "Authorization",
                           lambda word: basic("u", word)),
    "username": SecretFile("basic_auth: {username_file: FILE, password: p}", "Authorization",
                           lambda word: basic(word, "p")),
    "header": SecretFile("http_headers: {X-Key: {files: [FILE]}}", "X-Key", lambda word: word),
}


def job(name, port, settings, **more):
    lines = [f"- job_name: {name}", f"  metrics_path: /{name}",
             f"  static_configs: [{{targets: ['{more.pop('host', '127.0.0.1')}:{port}']}}]"]
    lines += [f"  {key}: {value}" for key, value in more.items()]
    return "\n".join(lines + ["  " + settings if settings else ""]) + "\n"


def wait_health(server, jobs, health, text=""):
    def wrong():
        found = targets_of(server)
        return {name: (found[name]["health"], found[name]["lastError"]) for name in jobs
                if found[name]["health"] != health or text not in found[name]["lastError"]}
    try:
        harness.wait_until(lambda: not wrong(), f"all {health}", 60)
    except AssertionError:
        for name, status in wrong().items():
            print(name, *status)
        raise


def check_request(server, guard):
    """What every scrape says of itself."""
    wait_health(server, ["request", "unpacked", "proto"], "up")
    found = guard.seen["/request"]
    equal(found["User-Agent"], "Prometheus/3.14.0")
    equal(found["Accept"],
          "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
          "application/openmetrics-text;version=0.0.1;q=0.5,"
          "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
          "text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    equal(found["Accept-Encoding"], "gzip")
    equal(found["X-Prometheus-Scrape-Timeout-Seconds"], "0.25")
    equal(guard.seen["/unpacked"]["Accept-Encoding"], "identity")
    accept = guard.seen["/proto"]["Accept"]
    assert accept.startswith("application/vnd.google.protobuf;proto=io.prometheus.client."
                             "MetricFamily;encoding=delimited;q=0.6,"), accept
    assert accept.endswith("text/plain;version=0.0.4;q=0.2,*/*;q=0.1"), accept


def check_secret_files(server, guard, folder):
    path_of = {name: os.path.join(folder, "secret_" + name) for name in SECRETS}
    for round_number, word in enumerate(("one", "two", "three")):
        for name, secret in SECRETS.items():
            guard.wanted["/" + name] = (secret.header, secret.wants(word))
        wait_health(server, SECRETS, "down", "401 Unauthorized")
        for name, path in path_of.items():
            write(path, f"  {word}\n")  # what is around it does not count
        wait_health(server, SECRETS, "up")
        print(f"round {round_number + 1}: {len(SECRETS)} secret files were read again")
    for name, path in path_of.items():
        os.unlink(path)
    wait_health(server, SECRETS, "down", "unable to read")
    errors = {name: targets_of(server)[name]["lastError"] for name in SECRETS}
    assert "unable to read authorization credentials: " in errors["credentials"], errors
    assert "unable to read basic auth password: " in errors["password"], errors


def check_oauth2(server, guard, folder):
    secret = os.path.join(folder, "client_secret")
    guard.token_wanted = "s 1"
    write(secret, "s 2")
    wait_health(server, ["oauth2_secret"], "down", "oauth2: cannot fetch token: 400 Bad Request")
    write(secret, "s 1\n")
    # Names and secrets are form-encoded before they are put together (RFC 6749 2.3.1).
    guard.token_wanted = "s+1"
    wait_health(server, ["oauth2_secret"], "up")
    key = os.path.join(folder, "assertion_key")
    wait_health(server, ["oauth2_default", "oauth2_full"], "down", "client certificate key")
    subprocess.run(["openssl", "genrsa", "-out", key + ".first", "2048"], check=True,
                   capture_output=True, timeout=120)
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", key + ".second"],
                   check=True, capture_output=True, timeout=120)
    for form in ("first", "second"):
        public = f"{key}.{form}.pub"
        subprocess.run(["openssl", "rsa", "-in", f"{key}.{form}", "-pubout", "-out", public],
                       check=True, capture_output=True, timeout=60)
        guard.public_key = public
        if form == "second":  # signed with the first key still
            wait_health(server, ["oauth2_default", "oauth2_full"], "down", "400 Bad Request")
        os.rename(f"{key}.{form}", key)
        wait_health(server, ["oauth2_default", "oauth2_full"], "up")
    check_claims(guard)


def check_claims(guard):
    """Latest assertion of each algorithm."""
    latest = {header["alg"]: (header, claims) for header, claims in guard.assertions}
    header, claims = latest["RS256"]
    url = f"http://127.0.0.1:{guard.port}/token"
    equal(header, {"alg": "RS256", "typ": "JWT"})
    equal({k: claims[k] for k in ("iss", "sub", "aud")}, {"iss": "id", "sub": "id", "aud": url})
    equal(claims["exp"] - claims["iat"], 3600)
    assert "scope" not in claims and claims["jti"], claims
    header, claims = latest["RS384"]
    equal(header, {"alg": "RS384", "typ": "JWT", "kid": "key-7"})
    expected = {"iss": "me", "sub": "id", "aud": "them", "scope": "read write", "number": 7,
                "yes": True, "text": "7", "list": ["a", 1.5], "map": {"k": None}}
    equal({k: claims[k] for k in expected}, expected)
    ids = [claims["jti"] for _, claims in guard.assertions]
    equal(len(set(ids)), len(ids))


def check_tls_files(server, certificates):
    """Certificate, key and authority replaced under the same names."""
    def install(name, source):
        with open(certificates.path(source)) as file:
            write(certificates.path(name), file.read())
    install("used_ca.pem", "other.pem")
    install("used_client.pem", "stranger.pem")
    install("used_client.key", "stranger.key")
    wait_health(server, ["tls_ca"], "down", "x509: certificate signed by unknown authority")
    wait_health(server, ["tls_client"], "down")
    install("used_ca.pem", "ca.pem")
    install("used_client.pem", "client.pem")
    install("used_client.key", "client.key")
    wait_health(server, ["tls_ca", "tls_client"], "up")


def oauth2_job(name, port, more):
    return job(name, port, f"oauth2: {{client_id: id, token_url: 'http://127.0.0.1:{port}/token', "
                           f"{more}}}")


def make_config(guard, tls, mutual, certificates, folder):
    path = certificates.path
    key = os.path.join(folder, "assertion_key")
    text = "global: {scrape_interval: 250ms, scrape_timeout: 250ms}\nscrape_configs:\n"
    for name, secret in SECRETS.items():
        write(os.path.join(folder, "secret_" + name), "none")
        text += job(name, guard.port, secret.settings.replace(
            "FILE", os.path.join(folder, "secret_" + name)))
    text += job("request", guard.port, "")
    text += job("unpacked", guard.port, "enable_compression: false")
    text += job("proto", guard.port, "scrape_native_histograms: true")
    text += oauth2_job("oauth2_secret", guard.port, f"client_secret_file: {folder}/client_secret, "
                       "scopes: [read, write], endpoint_params: {extra: '1'}")
    text += oauth2_job("oauth2_default", guard.port,
                       f"grant_type: '{JWT_GRANT}', client_certificate_key_file: {key}")
    text += oauth2_job("oauth2_full", guard.port,
                       f"grant_type: '{JWT_GRANT}', client_certificate_key_file: {key}, "
                       "client_certificate_key_id: key-7, signature_algorithm: RS384, iss: me, "
                       "audience: them, scopes: [read, write], claims: {number: 7, yes: true, "
                       "text: '7', list: [a, 1.5], map: {k: null}}")
    for name, port, more in (("tls_ca", tls.port, ""), (
            "tls_client", mutual.port, f", cert_file: {path('used_client.pem')}, "
            f"key_file: {path('used_client.key')}")):
        ca = path("used_ca.pem") if name == "tls_ca" else path("ca.pem")
        text += job(name, port, f"tls_config: {{ca_file: {ca}, server_name: target.example{more}}}",
                    scheme="https")
    guard.wanted.update({"/oauth2_secret": ("Authorization", "Bearer by-secret"),
                         "/oauth2_default": ("Authorization", "Bearer by-RS256"),
                         "/oauth2_full": ("Authorization", "Bearer by-RS384")})
    return text


def main():
    program, work = sys.argv[1:3]
    with harness.WorkFolder(work) as folder:
        certificates = Certificates(folder)
        certificates.issue("stranger", "extendedKeyUsage=clientAuth", 2, "other")
        for name in ("used_ca.pem", "used_client.pem", "used_client.key"):
            source = {"used_ca.pem": "other.pem"}.get(name, name.replace("used_client", "stranger"))
            with open(certificates.path(source)) as file:
                write(certificates.path(name), file.read())
        guard = Guard(folder)
        tls = Guard(folder, certificates.server_context("server"))
        mutual = Guard(folder, certificates.server_context("server", True))
        config = make_config(guard, tls, mutual, certificates, folder)
        server = harness.start_narthex(program, folder, config).wait_ready()
        try:
            check_request(server, guard)
            check_secret_files(server, guard, folder)
            check_oauth2(server, guard, folder)
            check_tls_files(server, certificates)
        finally:
            status, _ = server.stop()
        equal(status, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Listening on a Unix socket: curl reaches it, permissions are the umask's, the same passwords are
asked for, a file left by a killed process is replaced and any other is not, and it goes at the end.

usage: unix_socket.py NARTHEX WORK_FOLDER
"""
import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile

import harness

# bcrypt of "secret", cost 4
WEB = "basic_auth_users: {alice: $2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW}\n"


def curl(path, target, *more):
    """(status, body)"""
    out = subprocess.run(["curl", "-s", "-g", "--max-time", "20", "--unix-socket", path, *more, "-w",
                          "\n%{http_code}", f"http://narthex{target}"], capture_output=True,
                         text=True, timeout=60, check=False).stdout
    body, _, status = out.rpartition("\n")
    return int(status), body


class Starter:
    def __init__(self, program, folder, sockets):
        self.program, self.folder, self.sockets = program, folder, sockets
        self.count = 0
        self.config = os.path.join(folder, "narthex.yml")
        with open(self.config, "w") as file:
            file.write("global: {scrape_interval: 1h}\n")

    def command(self, path, *flags, umask="022"):
        self.count += 1
        return ["sh", "-c", f'umask {umask}; exec "$@"', "sh", self.program,
                f"--config.file={self.config}", f"--storage.tsdb.path={self.folder}/data{self.count}",
                f"--web.listen-address=unix://{path}", "--host-metrics.disable", *flags]

    def start(self, path, *flags, umask="022"):
        server = harness.Server(self.command(path, *flags, umask=umask), "unix",
                                os.path.join(self.folder, f"log{self.count}"))

        def ready():
            assert server.process.poll() is None, server.log_tail()
            return os.path.exists(path) and curl(path, "/-/ready")[0] in (200, 401)
        harness.wait_until(ready, "ready on the socket", 30)
        return server

    def fails(self, path):
        """What a start that has to fail says."""
        run = subprocess.run(self.command(path), capture_output=True, text=True, timeout=60,
                             check=False)
        assert run.returncode == 1, (run.returncode, run.stderr)
        return run.stdout + run.stderr


def check_use(starter, path):
    server = starter.start(path)
    try:
        info = os.lstat(path)
        assert stat.S_ISSOCK(info.st_mode) and stat.S_IMODE(info.st_mode) == 0o755, info
        status, body = curl(path, "/api/v1/query?query=1%2B1")
        assert status == 200 and json.loads(body)["data"]["result"][1] == "2", body
        assert curl(path, "/metrics", "--compressed")[1].startswith("# HELP")
        assert curl(path, "/api/v1/query", "-d", "query=1%2B2")[0] == 200
        # Who asks is known as nobody, and is nobody else.
        assert json.loads(curl(path, "/api/v1/status/active_queries")[1])["data"] == []
        said = starter.fails(path)
        assert "another process listens there" in said, said
        assert os.lstat(path).st_ino == info.st_ino and curl(path, "/-/healthy")[0] == 200
    finally:
        assert server.stop()[0] == 0, server.log_tail()
    assert not os.path.exists(path), "the socket is still there"


def check_permissions(starter, path):
    server = starter.start(path, umask="0117")
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o660
    server.stop()
    if os.getuid() == 0 and shutil.which("setpriv"):
        server = starter.start(path, umask="0177")
        nobody = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "curl", "-s",
             "--unix-socket", path, "http://narthex/-/healthy"], capture_output=True, timeout=30,
            check=False)
        assert nobody.returncode != 0 and nobody.stdout == b"", nobody
        server.stop()


def check_passwords(starter, path):
    web = os.path.join(starter.folder, "web.yml")
    with open(web, "w") as file:
        file.write(WEB)
    server = starter.start(path, f"--web.config.file={web}")
    try:
        assert curl(path, "/metrics")[0] == 401
        assert curl(path, "/metrics", "-u", "alice:wrong")[0] == 401
        assert curl(path, "/metrics", "-u", "alice:secret")[0] == 200
        token = base64.b64encode(b"alice:secret").decode()
        assert curl(path, "/-/healthy", "-H", f"authorization: basic {token}")[0] == 200
    finally:
        server.stop()


def check_what_is_there(starter, path):
    # A killed process leaves its socket; the next start takes the place.
    server = starter.start(path)
    server.kill()
    assert os.path.exists(path)
    server = starter.start(path)
    # Another's socket in its place is not removed at the end.
    os.unlink(path)
    other = socket.socket(socket.AF_UNIX)
    other.bind(path)
    other.listen()
    server.stop()
    assert os.path.exists(path), "another's socket was removed"
    other.close()
    os.unlink(path)
    # Files are nobody's to replace.
    with open(path, "w") as file:
        file.write("kept")
    assert "no socket" in starter.fails(path)
    with open(path) as file:
        assert file.read() == "kept"
    os.unlink(path)
    os.symlink(os.path.join(starter.folder, "narthex.yml"), path)
    assert "no socket" in starter.fails(path)
    assert os.path.exists(starter.config)
    os.unlink(path)
    assert "No such file" in starter.fails(os.path.join(starter.sockets, "missing", "s"))


def main():
    program, folder = sys.argv[1:3]
    if shutil.which("curl") is None:
        harness.skip("curl is not installed")
    # The path of a socket is short: 107 bytes at most.
    with harness.WorkFolder(folder) as work, tempfile.TemporaryDirectory(prefix="nx-") as sockets:
        os.chmod(sockets, 0o755)
        starter = Starter(program, work, sockets)
        path = os.path.join(sockets, "s")
        check_use(starter, path)
        check_permissions(starter, path)
        check_passwords(starter, path)
        check_what_is_there(starter, path)
    print("unix socket: use, permissions, passwords, stale and foreign files")


main()

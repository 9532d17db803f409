"""Starting peers and ourselves on loopback, and talking to them; shared by the integration tests.

A peer's Debian package is downloaded and unpacked, never installed: installing would start services
on the user's machine. What cannot be had makes the test exit with 77 (skipped) and say why.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

SKIPPED = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch_peer(package, program, folder):
    """Path of a program out of a Debian package, unpacked below `folder`."""
    root = os.path.join(folder, package)
    path = os.path.join(root, program)
    if os.path.exists(path):
        return path
    archive = fetch_archive(package, folder)
    try:
        subprocess.run(["dpkg", "-x", archive, "."], cwd=root, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as fault:
        skip(f"the package {package} cannot be unpacked: {fault}")
    if not os.path.exists(path):
        skip(f"the package {package} does not hold {program}")
    return path


def fetch_peers(packages, programs, folder):
    """As fetch_peer for a program whose libraries are packages too: unpacks all into one root.

    Returns the paths of the programs and the environment to start them with."""
    root = os.path.join(folder, "+".join(packages[:1]) + "-root")
    paths = [os.path.join(root, program) for program in programs]
    if not all(os.path.exists(path) for path in paths):
        os.makedirs(root, exist_ok=True)
        for package in packages:
            archive = fetch_archive(package, folder)
            subprocess.run(["dpkg", "-x", archive, root], check=True, timeout=120)
        for path in paths:
            if not os.path.exists(path):
                skip(f"the packages {' '.join(packages)} do not hold {path}")
    libraries = [os.path.join(root, part, f"{os.uname().machine}-linux-gnu")
                 for part in ("lib", "usr/lib")]
    programs_at = [os.path.join(root, part) for part in ("usr/bin", "usr/sbin", "bin")]
    environment = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries),
                       PATH=":".join([*programs_at, os.environ.get("PATH", "/usr/bin:/bin")]))
    return paths, environment


def fetch_archive(package, folder):
    """Path of a Debian package, downloaded."""
    root = os.path.join(folder, package)
    os.makedirs(root, exist_ok=True)
    try:
        if not any(n.endswith(".deb") for n in os.listdir(root)):
            # apt runs as another user inside the folder only if it may; as root it warns and goes
            # on.
            if subprocess.run(["apt-cache", "show", package], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=60).returncode != 0:
                subprocess.run(["apt-get", "-qq", "update"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, timeout=300)
            subprocess.run(["apt-get", "download", package], cwd=root, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        return os.path.join(root, next(n for n in os.listdir(root) if n.endswith(".deb")))
    except (OSError, subprocess.SubprocessError, StopIteration) as fault:
        skip(f"the package {package} cannot be had: {fault}")


def http_get(url, timeout=30, headers=None):
    """(status, headers, body bytes); errors of HTTP are answers too."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, dict(answer.headers), answer.read()


def wait_until(condition, what, seconds=60):
    """Polls `condition` until it returns something true, and returns that."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


class Server:
    """A process with Prometheus' HTTP API."""

    def __init__(self, command, url, log_path, environment=None):
        self.log_path = log_path
        self.log = open(log_path, "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                        stdin=subprocess.DEVNULL, env=environment)
        self.url = url

    def wait_ready(self, seconds=60):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with status {self.process.returncode}:\n"
                                     + self.log_tail())
            try:
                return http_get(self.url + "/-/ready", 5)[0] == 200
            except OSError:
                return False
        wait_until(ready, f"{self.url} ready", seconds)
        return self

    def log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-4000:]

    def api(self, path, **params):
        """(status, decoded JSON) of /api/v1/<path>."""
        query = urllib.parse.urlencode(params, doseq=True)
        status, _, body = http_get(f"{self.url}/api/v1/{path}?{query}")
        return status, json.loads(body)

    def data(self, path, **params):
        status, answer = self.api(path, **params)
        assert status == 200 and answer["status"] == "success", (path, params, answer)
        return answer["data"]

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self, seconds=10):
        """SIGTERM; returns the exit status and how long it took."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop within {seconds} s:\n" + self.log_tail())
        self.log.close()
        return self.process.returncode, time.monotonic() - start


def start_narthex(program, folder, config, *flags, port=None, environment=None):
    os.makedirs(folder, exist_ok=True)
    config_path = os.path.join(folder, "narthex.yml")
    with open(config_path, "w") as file:
        file.write(config)
    port = port or free_port()
    command = [program, f"--config.file={config_path}",
               f"--storage.tsdb.path={os.path.join(folder, 'narthex-data')}",
               f"--web.listen-address=127.0.0.1:{port}", *flags]
    return Server(command, f"http://127.0.0.1:{port}", os.path.join(folder, "narthex.log"),
                  environment)


def start_prometheus(program, folder, config, *flags):
    os.makedirs(folder, exist_ok=True)
    config_path = os.path.join(folder, "prometheus.yml")
    with open(config_path, "w") as file:
        file.write(config)
    port = free_port()
    command = [program, f"--config.file={config_path}",
               f"--storage.tsdb.path={os.path.join(folder, 'prometheus-data')}",
               f"--web.listen-address=127.0.0.1:{port}", *flags]
    return Server(command, f"http://127.0.0.1:{port}", os.path.join(folder, "prometheus.log"))


class WorkFolder:
    """A temporary folder below `parent`; kept when the test fails."""

    def __init__(self, parent):
        self.path = tempfile.mkdtemp(prefix="run-", dir=parent)

    def __enter__(self):
        return self.path

    def __exit__(self, kind, value, trace):
        if kind is None:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            print(f"kept for inspection: {self.path}")

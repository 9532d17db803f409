"""Starting peers and ourselves on loopback, and talking to them; shared by the integration tests.

A peer's Debian package is downloaded and unpacked, never installed: installing would start services
on the user's machine. What cannot be had makes the test exit with 77 (skipped) and say why.
"""
import contextlib
import errno
import fcntl
import json
import os
import random
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
# Limits of waiting are for a fast machine that is left alone; one that is slow and busy needs
# more. What is waited for comes as soon as it comes.
PATIENCE = 5
PORTS_LOWEST = 10000


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def ephemeral_ports():
    """The ports that the kernel gives to outgoing connections and to listeners on port 0."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            low, high = map(int, file.read().split())
    except (OSError, ValueError):
        low, high = 32768, 60999
    return range(low, high + 1)


def is_unused(port):
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


reserved_ports = []


def free_port():
    """A port of loopback that is the caller's until its process ends, listened on or not: the kernel
    gives it to nobody, since it is none of its ephemeral ones, nor does another test take it,
    since its file is locked."""
    folder = os.path.join(tempfile.gettempdir(), f"narthex-test-ports-{os.getuid()}")
    os.makedirs(folder, exist_ok=True)
    avoided = ephemeral_ports()
    candidates = [port for port in range(PORTS_LOWEST, 65536) if port not in avoided]
    random.shuffle(candidates)
    for port in candidates:
        lock = open(os.path.join(folder, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as fault:
            lock.close()
            if fault.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            continue
        if is_unused(port):
            reserved_ports.append(lock)  # an open file keeps its lock
            return port
        lock.close()
    raise AssertionError("no port is free")


@contextlib.contextmanager
def locked(path):
    """One test at a time makes what is there; those that come meanwhile wait and find it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def fetch_peer(package, program, folder):
    """Path of a program out of a Debian package, unpacked below `folder`."""
    (path,), _ = fetch_peers([package], [program], folder, package)
    return path


def fetch_peers(packages, programs, folder, name=None):
    """As fetch_peer for a program whose libraries are packages too: unpacks all into one root.

    Returns the paths of the programs and the environment to start them with."""
    root = os.path.join(folder, name or packages[0] + "-root")
    paths = [os.path.join(root, program) for program in programs]
    with locked(root):
        if not all(os.path.exists(path) for path in paths):
            unpack_packages(packages, programs, folder, root)
    libraries = [os.path.join(root, part, f"{os.uname().machine}-linux-gnu")
                 for part in ("lib", "usr/lib")]
    programs_at = [os.path.join(root, part) for part in ("usr/bin", "usr/sbin", "bin")]
    environment = dict(os.environ, LD_LIBRARY_PATH=":".join(libraries),
                       PATH=":".join([*programs_at, os.environ.get("PATH", "/usr/bin:/bin")]))
    return paths, environment


def unpack_packages(packages, programs, folder, root):
    """Beside the root and then renamed: what has the name is whole."""
    archives = [fetch_archive(package, os.path.join(folder, "archives")) for package in packages]
    shutil.rmtree(root, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder) as part:
        unpacked = os.path.join(part, "root")
        os.makedirs(unpacked)
        try:
            for archive in archives:
                subprocess.run(["dpkg", "-x", archive, unpacked], check=True, timeout=600)
        except (OSError, subprocess.SubprocessError) as fault:
            skip(f"the packages {' '.join(packages)} cannot be unpacked: {fault}")
        for program in programs:
            if not os.path.exists(os.path.join(unpacked, program)):
                skip(f"the packages {' '.join(packages)} do not hold {program}")
        os.rename(unpacked, root)


def fetch_archive(package, folder):
    """Path of a Debian package, downloaded."""
    path = os.path.join(folder, package + ".deb")
    with locked(os.path.join(folder, "apt")):
        if not os.path.exists(path):
            download(package, path)
    return path


def download(package, path):
    folder = os.path.dirname(path)
    try:
        with tempfile.TemporaryDirectory(dir=folder) as part:
            # apt runs as another user inside the folder only if it may; as root it warns and goes
            # on.
            if subprocess.run(["apt-cache", "show", package], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=300).returncode != 0:
                subprocess.run(["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "update"],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
            subprocess.run(["apt-get", "download", package], cwd=part, check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=600)
            downloaded = next(n for n in os.listdir(part) if n.endswith(".deb"))
            os.rename(os.path.join(part, downloaded), path)
    except (OSError, subprocess.SubprocessError, StopIteration) as fault:
        skip(f"the package {package} cannot be had: {fault}")


def http_get(url, timeout=30 * PATIENCE, headers=None):
    """(status, headers, body bytes); errors of HTTP are answers too."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, dict(answer.headers), answer.read()


def wait_until(condition, what, seconds=60):
    """Polls `condition` until it returns something true, and returns that. It may take `seconds` on a
    machine that has nothing else to do."""
    seconds *= PATIENCE
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def is_abandoned(connection):
    """Whether a client gave its request up, or was killed, before its target came to it."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


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
                return http_get(self.url + "/-/ready", 5 * PATIENCE)[0] == 200
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

    def metrics(self):
        """Its own metrics: series as it is written, with labels -> value."""
        lines = http_get(self.url + "/metrics")[2].decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line and not line.startswith("#")]
        return {series: float(value) for series, value in pairs}

    def metric_sum(self, family):
        """Over all series of the family; 0 where it has none."""
        return sum(value for series, value in self.metrics().items()
                   if series.split("{")[0] == family)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self, seconds=10):
        """SIGTERM; returns the exit status and how long it took."""
        seconds *= PATIENCE
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

"""A Docker Engine of one's own: dockerd out of Debian's packages, everything in a folder."""
import json
import os
import signal
import subprocess

import harness

PACKAGES = ["docker.io", "containerd", "runc", "busybox-static", "libdevmapper1.02.1"]
PROGRAMS = ["usr/sbin/dockerd", "usr/bin/docker", "bin/busybox"]
IMAGE = "narthex-test:1"


class Engine:
    def __init__(self, packages_folder, folder, *options):
        if os.geteuid() != 0:
            harness.skip("dockerd needs root")
        (dockerd, self.docker, self.busybox), self.environment = harness.fetch_peers(
            PACKAGES, PROGRAMS, packages_folder)
        self.folder = folder
        self.socket = os.path.join(folder, "docker.sock")
        self.host = f"unix://{self.socket}"
        self.environment["DOCKER_HOST"] = self.host
        self.containers = []
        self.networks = []
        if len(self.socket) > 100:
            harness.skip(f"no room for a socket below {folder}")
        command = [dockerd, "--iptables=false", "--ip6tables=false", "--bridge=none",
                   "--storage-driver=overlay2", f"--data-root={folder}/data",
                   f"--exec-root={folder}/exec", f"--pidfile={folder}/pid",
                   "--exec-opt=native.cgroupdriver=cgroupfs", f"--host={self.host}",
                   *options]
        self.log_path = os.path.join(folder, "dockerd.log")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, env=self.environment, stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)

    def start(self):
        try:
            self.prepare()
        except BaseException:  # a skip is one, too
            self.stop()
            raise
        return self

    def prepare(self):
        def answers():
            if self.process.poll() is not None:
                harness.skip("dockerd does not start here: " + self.log_tail())
            return self.try_run("version").returncode == 0
        try:
            harness.wait_until(answers, "dockerd answers", 60)
        except AssertionError:
            harness.skip("dockerd does not answer here: " + self.log_tail())
        root = os.path.join(self.folder, "rootfs")
        os.makedirs(os.path.join(root, "bin"))
        subprocess.run(["cp", self.busybox, os.path.join(root, "bin/busybox")], check=True)
        archive = subprocess.run(["tar", "-C", root, "-c", "."], check=True, capture_output=True)
        self.run("import", "-", IMAGE, input_bytes=archive.stdout)
        # Some machines have the Engine and may not run containers.
        probe = self.try_run("run", "--rm", "--network", "host", IMAGE, "/bin/busybox", "true")
        if probe.returncode != 0:
            harness.skip("containers cannot run here: " + probe.stderr.decode()[-500:])

    def log_tail(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()[-1500:]

    def try_run(self, *arguments, input_bytes=b"", seconds=120 * harness.PATIENCE):
        return subprocess.run([self.docker, *arguments], env=self.environment, input=input_bytes,
                              capture_output=True, timeout=seconds)

    def run(self, *arguments, input_bytes=b""):
        done = self.try_run(*arguments, input_bytes=input_bytes)
        if done.returncode != 0:
            raise AssertionError(f"docker {' '.join(arguments)}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def network(self, name, *options):
        self.run("network", "create", *options, name)
        self.networks.append(name)

    def container(self, name, *options, command=("sleep", "1000")):
        """Starts a container; gives what `docker inspect` says of it."""
        self.run("run", "-d", "--name", name, *options, IMAGE, "/bin/busybox", *command)
        self.containers.append(name)
        return self.inspect(name)

    def inspect(self, name):
        return json.loads(self.run("inspect", name))[0]

    def remove(self, name):
        self.run("rm", "-f", name)
        self.containers.remove(name)

    def clean(self):
        """Ends what was started, so that nothing outlives the Engine."""
        for name in self.containers:
            self.try_run("rm", "-f", name)
        self.containers = []
        for name in self.networks:
            self.try_run("network", "rm", name)
        self.networks = []

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        # The Engine leaves the name spaces of networks mounted, which no folder survives.
        with open("/proc/mounts") as mounts:
            left = [line.split()[1] for line in mounts if f" {self.folder}/" in line]
        for path in reversed(left):
            subprocess.run(["umount", path], stderr=subprocess.DEVNULL)


def discovered(server, job):
    """Set of (address, meta labels…) of a job's targets, without the prefix __meta_."""
    result = set()
    for entry in server.data("targets", state="any", scrapePool=job)["activeTargets"]:
        labels = entry["discoveredLabels"]
        result.add((labels["__address__"], *sorted(
            (n.removeprefix("__meta_"), v) for n, v in labels.items() if n.startswith("__meta_"))))
    return result


def expect(server, expected, seconds=30):
    """Waits until each job has exactly the expected targets."""
    def right():
        return all(discovered(server, job) == targets for job, targets in expected.items())
    try:
        harness.wait_until(right, "the targets", seconds)
    except AssertionError:
        for job, targets in expected.items():
            got = discovered(server, job)
            for entry in sorted(got - targets):
                print(f"{job}: not expected: {entry}")
            for entry in sorted(targets - got):
                print(f"{job}: missing: {entry}")
        print(server.log_tail())
        raise


def target(prefix, address, *parts):
    """A target as discovered() gives it; empty labels are none."""
    labels = {}
    for part in parts:
        labels.update({f"{prefix}_{name}": str(value) for name, value in part.items()})
    return (address, *sorted((n, v) for n, v in labels.items() if v != ""))

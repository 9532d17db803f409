"""The systems: how each is had, started, filled and asked for the size of its parts."""
import os
import shutil
import struct
import subprocess
import time

import harness

from .measure import tree_bytes

EMPTY_CONFIG = "global: {scrape_interval: 1m}\nscrape_configs: []\n"


def version_of(program, archive=None):
    """The program's own words, or its package's version where it has none."""
    command = ["dpkg-deb", "-f", archive, "Version"] if archive else [program, "--version"]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    words = (out.stdout + out.stderr).strip().splitlines()[0]
    return f"{os.path.basename(program)} {words}" if archive else words


class System:
    """Narthex and Prometheus: same flags, same API."""

    ready_path = "/-/ready"
    query_parameters = {}

    def __init__(self, name, program, importer, archive=None):
        self.name, self.program, self.importer = name, program, importer
        self.version = version_of(program, archive)

    def command(self, folder, port):
        return [self.program, f"--config.file={folder}/config.yml",
                f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=50y",
                "--query.max-samples=1000000000", f"--web.listen-address=127.0.0.1:{port}"]

    def start(self, folder, cores="0", port=None):
        port = port or harness.free_port()
        server = harness.Server(["taskset", "-c", cores, *self.command(folder, port)],
                                f"http://127.0.0.1:{port}", os.path.join(folder, "log"))
        server.port = port
        return server

    def is_ready(self, server):
        try:
            return harness.http_get(server.url + self.ready_path, 5)[0] == 200
        except OSError:
            return False

    def wait_ready(self, server, seconds=120):
        def ready():
            if server.process.poll() is not None:
                raise AssertionError(f"{self.name} ended:\n{server.log_tail()}")
            return self.is_ready(server)
        harness.wait_until(ready, f"{self.name} ready", seconds)
        return server

    def fill(self, folder, pieces):
        """Imports the texts that pieces("s") yields, one path after another."""
        os.makedirs(os.path.join(folder, "data"), exist_ok=True)
        for path in pieces("s"):
            subprocess.run([self.importer, "tsdb", "create-blocks-from", "openmetrics", path,
                            os.path.join(folder, "data")], check=True, stdout=subprocess.DEVNULL,
                           timeout=1800)

    def parts(self, folder):
        """Bytes of the data folder: whole, and what stands in files of its own."""
        data = os.path.join(folder, "data")

        def is_index(path):
            return os.path.basename(path) == "index"

        def is_log(path):
            return path.split(os.sep)[0] in ("wal", "chunks_head", "queries.active", "lock")
        parts = {"whole": tree_bytes(data), "index": tree_bytes(data, is_index),
                 "log": tree_bytes(data, is_log)}
        return {part: size for part, size in parts.items() if size > 0}


class Narthex(System):
    """A block is one file; docs/format/block.md says what of it is labels and index."""

    def parts(self, folder):
        data = os.path.join(folder, "data")
        index = sum(label_bytes(os.path.join(data, name, "block")) for name in os.listdir(data)
                    if os.path.exists(os.path.join(data, name, "block")))
        return {**super().parts(folder), "index": index}


def label_bytes(path):
    """Symbols, labels of the series, names, pairs and postings of a block."""
    with open(path, "rb") as file:
        file.seek(-176, os.SEEK_END)
        sections = [struct.unpack("<QQ", file.read(16)) for _ in range(9)]
        file.seek(sections[8][0] + 26 + 2 * 8 + 2 * 4 + 1 + 3 * 8 + 4 + 8)
        labels, = struct.unpack("<Q", file.read(8))
    return labels + sum(sections[i][1] for i in (0, 1, 5, 6, 7))


class VictoriaMetrics(System):
    ready_path = "/health"
    query_parameters = {"nocache": "1"}

    def command(self, folder, port):
        return [self.program, f"-promscrape.config={folder}/config.yml",
                f"-storageDataPath={folder}/data", "-retentionPeriod=100y",
                "-search.latencyOffset=1ms", "-search.maxUniqueTimeseries=3000000",
                "-search.maxSamplesPerQuery=2000000000", "-search.maxPointsPerTimeseries=100000",
                "-search.maxQueryDuration=10m", "-search.maxQueueDuration=10m",
                f"-httpListenAddr=127.0.0.1:{port}"]

    def fill(self, folder, pieces):
        with open(os.path.join(folder, "config.yml"), "w") as file:
            file.write(EMPTY_CONFIG)
        server = self.wait_ready(self.start(folder, "0,1"))
        try:
            for path in pieces("ms"):
                subprocess.run(["curl", "-sS", "--fail", "-T", path,
                                server.url + "/api/v1/import/prometheus"], check=True, timeout=1800)
            for call in ("force_flush", "force_merge"):
                harness.http_get(f"{server.url}/internal/{call}", 600)
            self._wait_merged(server)
        finally:
            server.stop(120)

    @staticmethod
    def _wait_merged(server):
        """force_merge works in the background."""
        def merging():
            text = harness.http_get(server.url + "/metrics")[2].decode()
            return any(line.startswith("vm_active_force_merges") and not line.endswith(" 0")
                       for line in text.splitlines())
        time.sleep(2)
        harness.wait_until(lambda: not merging(), "merged", 600)

    def parts(self, folder):
        data = os.path.join(folder, "data")
        return {"whole": tree_bytes(data),
                "index": tree_bytes(data, lambda path: path.split(os.sep)[0] == "indexdb"),
                "log": tree_bytes(data, lambda path: path.split(os.sep)[0] not in
                                  ("data", "indexdb"))}


def prometheus(peers):
    program = harness.fetch_peer("prometheus", "usr/bin/prometheus", peers)
    return System("prometheus", program, os.path.join(os.path.dirname(program), "promtool"))


def victoriametrics(peers):
    program = harness.fetch_peer("victoria-metrics", "usr/bin/victoria-metrics", peers)
    archive = harness.fetch_archive("victoria-metrics", os.path.join(peers, "archives"))
    return VictoriaMetrics("victoriametrics", program, None, archive)


PEERS = {"prometheus": prometheus, "victoriametrics": victoriametrics}


def all_systems(options):
    """Ours first, then the peers asked for."""
    folder = os.path.join(options.work, "peers")
    return [Narthex("narthex", options.narthex, options.narthexctl),
            *(PEERS[name](folder) for name in options.peers)]


def new_folder(options, name, config):
    folder = os.path.join(options.work, "run", name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with open(os.path.join(folder, "config.yml"), "w") as file:
        file.write(config)
    return folder

"""The load: recorded targets served live, and the same rows as text for importing."""
import json
import os
import subprocess

import harness


def corpus_folder(options):
    if options.corpus:
        return options.corpus
    folder = os.path.join(options.work, "corpus")
    shared = os.environ.get("NARTHEX_SHARED")
    if not os.path.isdir(folder):
        if not shared:
            harness.skip("no recorded scrapes: give --corpus or NARTHEX_SHARED")
        unpacked = f"{folder}.{os.getpid()}"
        os.makedirs(unpacked)
        for name in sorted(os.listdir(os.path.join(shared, "corpus"))):
            if name.endswith(".tar.zst"):
                subprocess.run(["tar", "-x", "--zstd", "-f",
                                os.path.join(shared, "corpus", name), "-C", unpacked], check=True)
        os.rename(unpacked, folder)
    return folder


def node_folder(options):
    """The corpus with the node exporter alone."""
    folder = os.path.join(options.work, "corpus-node")
    os.makedirs(folder, exist_ok=True)
    link = os.path.join(folder, "node")
    if not os.path.islink(link):
        os.symlink(os.path.abspath(os.path.join(corpus_folder(options), "node")), link)
    return folder


class Load:
    """A running load_targets: distinct targets, gzip, kept connections.

    With `each` all targets have that many series, else the recorded exporters' numbers. With
    `addresses` every target has an address of its own; the program then has any core, else core 1."""

    def __init__(self, options, series, rows, each=None, addresses=False):
        command = [options.load, corpus_folder(options), str(series), str(rows)]
        if each:
            command[1:1] = ["--each", str(each)]
        if addresses:
            command[1:1] = ["--addresses"]
        else:
            command = ["taskset", "-c", "1", *command]
        self.own_addresses = addresses
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port, self.targets, self.series, self.start_ms = map(
            int, self.process.stdout.readline().split())

    def stats(self):
        return json.loads(harness.http_get(f"http://127.0.0.1:{self.port}/stats")[2])

    def stop(self):
        self.process.kill()
        self.process.wait()

    def config(self, interval_s):
        lines = [f"global: {{scrape_interval: {interval_s}s, scrape_timeout: {interval_s}s}}",
                 "scrape_configs:", "- job_name: load", "  static_configs:"]
        for i in range(self.targets):
            host = f"127.1.{i // 256}.{i % 256}" if self.own_addresses else "127.0.0.1"
            lines += [f"  - targets: ['{host}:{self.port}']",
                      f"    labels: {{instance: 'host-{i}:9100', __metrics_path__: /t/{i}}}"]
        return "\n".join(lines) + "\n"

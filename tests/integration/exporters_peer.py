#!/usr/bin/env python3
"""Real exporters scraped by Narthex and by Debian's Prometheus: what both stored is the same.

usage: exporters_peer.py NARTHEX WORK_FOLDER

A relay gives both servers the same bodies, in two forms: with the tick's time on every sample, so
that all stored samples can be compared, and as they are, for the rules of staleness: series that go,
and a target that fails. An exporter that cannot be had is left out, and the output says why.
"""
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import harness
from docker_engine import Engine

TICKS = 8
ATTEMPTS = 3
SAMPLE_LINE = re.compile(rb"^([^#\n][^\n]*)$", re.M)
REPORTS = ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling")
REPORT_NAMES = "up|scrape_.*"

# What 3.14 stores otherwise than 2.42, and is compared as numbers. Nothing else may differ.
DIFFERENCES = ("3.14 writes the values of le and quantile as floats: 1 is 1.0",)


class Relay:
    """Newest body of each exporter at /NAME, with times at /NAME/timed."""

    def __init__(self):
        self.bodies = {}
        self.timed = {}
        self.fail = False
        self.version = 0   # of what is served
        self.served = {}   # (agent, path) -> set of versions
        self.ticks = []
        relay = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                version, fail = relay.version, relay.fail
                name, _, kind = self.path.strip("/").partition("/")
                body = (relay.timed if kind else relay.bodies).get(name, b"")
                self.send_response(500 if fail and not kind else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                # What was served may be older than the version at the end, not newer.
                agent = self.headers.get("User-Agent", "")
                relay.served.setdefault((agent, self.path), set()).add(version)

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def run(self, urls, ticks, servers):
        """Each tick is served until both servers have stored it for every target."""
        for _ in range(ticks):
            next_s = int(time.time()) + 1
            bodies = {name: harness.http_get(url)[2] for name, url in urls.items()}
            time.sleep(max(0, next_s - time.time()))
            stamp = str(next_s * 1000).encode()
            self.bodies = bodies
            self.timed = {name: SAMPLE_LINE.sub(rb"\1 " + stamp, body)
                          for name, body in bodies.items()}
            self.ticks.append(next_s * 1000)
            harness.wait_until(lambda: all(stored_jobs(server, next_s) ==
                                           {f"{name}_timed" for name in urls}
                                           for server in servers), "the tick is stored")

    def change(self, bodies=None, fail=False):
        """Serves something else, and waits until both servers have stored it for every target."""
        self.bodies = bodies or self.bodies
        self.fail = fail
        self.version += 1
        version = self.version

        def seen():
            plain = [versions for (_, path), versions in self.served.items()
                     if not path.endswith("/timed")]
            return len(plain) == 2 * len(self.bodies) and all(version in v for v in plain)
        harness.wait_until(seen, "both servers have fetched it", 30)
        self.version += 1
        version = self.version
        # The next request to a target comes after the last answer was stored.
        harness.wait_until(seen, "both servers have stored it", 30)


class Exporters:
    """Starts what can be had; `urls` by name, `absent` with reasons."""

    def __init__(self, folder, peers):
        self.folder = folder
        self.peers = peers
        self.processes = []
        self.engine = None
        self.urls = {}
        self.absent = {}

    def spawn(self, name, command, environment=None, user=None):
        log = open(os.path.join(self.folder, name + ".log"), "wb")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                   env=environment, user=user)
        self.processes.append(process)
        return process

    def add(self, name, start):
        """start(port) starts the exporter; leaving the test there leaves out the exporter."""
        port = harness.free_port()
        url = f"http://127.0.0.1:{port}/metrics"
        try:
            start(port)
            harness.wait_until(lambda: responds(url), name, 20)
            self.urls[name] = url
        except (SystemExit, AssertionError, OSError, subprocess.SubprocessError) as fault:
            self.absent[name] = str(fault) if str(fault) != str(harness.SKIPPED) else "see above"

    def node(self, port):
        program = harness.fetch_peer("prometheus-node-exporter",
                                     "usr/bin/prometheus-node-exporter", self.peers)
        self.spawn("node", [program, f"--web.listen-address=127.0.0.1:{port}"])

    def redis(self, port):
        exporter = harness.fetch_peer("prometheus-redis-exporter",
                                      "usr/bin/prometheus-redis-exporter", self.peers)
        (server,), environment = harness.fetch_peers(
            ["redis-tools", "liblua5.1-0", "liblzf1", "libjemalloc2", "lua-cjson", "lua-bitop",
             "libhiredis0.14", "libatomic1"], ["usr/bin/redis-check-rdb"], self.peers)
        link = os.path.join(self.folder, "redis-server")
        os.symlink(server, link)
        redis_port = harness.free_port()
        self.spawn("redis-server", [link, "--port", str(redis_port), "--bind", "127.0.0.1",
                                    "--save", "", "--dir", self.folder], environment)
        self.spawn("redis", [exporter, f"-web.listen-address=127.0.0.1:{port}",
                             f"-redis.addr=redis://127.0.0.1:{redis_port}"])

    def postgres(self, port):
        """Without its database: it then says so in its metrics."""
        program = harness.fetch_peer("prometheus-postgres-exporter",
                                     "usr/bin/prometheus-postgres-exporter", self.peers)
        environment = dict(os.environ, DATA_SOURCE_NAME=f"postgresql://x@127.0.0.1:"
                           f"{harness.free_port()}/x?sslmode=disable&connect_timeout=1")
        self.spawn("postgres", [program, f"--web.listen-address=127.0.0.1:{port}"], environment)

    def process(self, port):
        program = harness.fetch_peer("prometheus-process-exporter",
                                     "usr/bin/prometheus-process-exporter", self.peers)
        self.spawn("process", [program, f"-web.listen-address=127.0.0.1:{port}", "-procnames",
                               "python3,prometheus,narthex"])

    def docker(self, port):
        folder = os.path.join(self.folder, "e")
        os.makedirs(folder)
        self.engine = Engine(self.peers, folder, "--experimental",
                             f"--metrics-addr=127.0.0.1:{port}")

    def stop(self):
        if self.engine is not None:
            self.engine.stop()
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(20 * harness.PATIENCE)


def responds(url):
    try:
        return harness.http_get(url, 5)[0] == 200
    except OSError:
        return False


def key_of(metric):
    """The labels as a text; le and quantile as numbers (see DIFFERENCES)."""
    labels = dict(metric)
    for name in ("le", "quantile"):
        if name in labels:
            labels[name] = float(labels[name])
    return json.dumps(labels, sort_keys=True)


def selection(server, query, now_s):
    """{labels: samples} of a query."""
    series = {}
    for item in server.data("query", query=query, time=f"{now_s:.3f}")["result"]:
        samples = [tuple(s) for s in item.get("values") or [item["value"]]]
        series[key_of(item["metric"])] = samples
    return series


def difference(ours, theirs):
    if ours.keys() != theirs.keys():
        return f"only here {sorted(ours.keys() - theirs.keys())[:3]}, " \
               f"only there {sorted(theirs.keys() - ours.keys())[:3]}"
    for labels, samples in ours.items():
        if samples != theirs[labels]:
            return f"{labels}: {samples[-3:]}, not {theirs[labels][-3:]}"
    return None


def both(servers, query, now_s):
    return (selection(servers[0], query, now_s), selection(servers[1], query, now_s))


def stored_jobs(server, time_s):
    """Jobs with timed samples of exactly that time."""
    query = f'count by (job) (last_over_time({{job=~".+_timed",__name__!~"{REPORT_NAMES}"}}[1ms]))'
    return {item["metric"]["job"] for item in
            server.data("query", query=query, time=time_s)["result"]}


def compare_timed(servers, relay, name):
    """Every sample of every tick."""
    window = f'{{job="{name}_timed",__name__!~"{REPORT_NAMES}"}}[{relay.ticks[-1] - relay.ticks[0] + 900}ms]'
    now_s = relay.ticks[-1] / 1000 + 0.5
    ours, theirs = both(servers, window, now_s)
    wanted = {tick / 1000 for tick in relay.ticks}
    for series in (ours, theirs):
        assert wanted == {float(t) for samples in series.values() for t, _ in samples}, name
    problem = difference(ours, theirs)
    assert problem is None, f"{name}: {problem}"
    for labels in map(json.loads, ours):
        assert labels["job"] == f"{name}_timed", labels
    return len(ours), sum(len(samples) for samples in ours.values())


def instant(servers, query):
    """The same for one time; only values are compared."""
    now_s = time.time()
    return [{labels: [v for _, v in samples] for labels, samples in found.items()}
            for found in both(servers, query, now_s)]


def plain_difference(servers, name):
    """(problem or None, number of series)"""
    ours, theirs = instant(servers, f'{{job="{name}",__name__!~"{REPORT_NAMES}"}}')
    problem = difference(ours, theirs)
    for report in REPORTS:
        problem = problem or difference(*instant(servers, f'{report}{{job="{name}"}}'))
    return problem, len(ours)


def has_missed(servers, name):
    """Whether a scrape came too late for a server a moment ago."""
    return any(item["value"][1] == "0" for server in servers for item in
               server.data("query", query=f'min_over_time(up{{job="{name}"}}[10s])')["result"])


def compare_plain(relay, servers, name, what):
    for _ in range(ATTEMPTS):
        problem, count = plain_difference(servers, name)
        if problem is None:
            return count
        if not has_missed(servers, name):
            break
        relay.change(fail=relay.fail)
    raise AssertionError(f"{name}, {what}: {problem}")


def thinned(body):
    """Without every third sample."""
    kept, number = [], 0
    for line in body.split(b"\n"):
        number += line[:1] not in (b"#", b"")
        if line[:1] in (b"#", b"") or number % 3 != 0:
            kept.append(line)
    return b"\n".join(kept)


def check(relay, servers, urls):
    relay.run(urls, TICKS, servers)
    for name in urls:
        series, samples = compare_timed(servers, relay, name)
        print(f"{name}: {series} series, {samples} samples are the same")
    whole = dict(relay.bodies)
    relay.change()
    counts = {name: compare_plain(relay, servers, name, "as it is") for name in urls}
    relay.change({name: thinned(body) for name, body in whole.items()})
    for name, count in counts.items():
        left = compare_plain(relay, servers, name, "series have gone")
        assert 0 < left < count, (name, left, count)
    relay.change(fail=True)
    for name in urls:
        assert compare_plain(relay, servers, name, "it fails") == 0, name
    relay.change(whole)
    for name, count in counts.items():
        assert compare_plain(relay, servers, name, "it is back") == count, name


def main():
    program, work = sys.argv[1:3]
    peers = os.path.join(work, "peers")
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", peers)
    with harness.WorkFolder(work) as folder:
        exporters = Exporters(folder, peers)
        servers = []
        try:
            for name in ("node", "redis", "postgres", "process", "docker"):
                exporters.add(name, getattr(exporters, name))
            relay = Relay()
            jobs = "".join(
                f"- job_name: {name}{form}\n  metrics_path: /{name}{path}\n  static_configs:\n"
                f"  - targets: ['127.0.0.1:{relay.port}']\n"
                for name in [*exporters.urls, "prometheus"] for form, path in (("", ""),
                                                                              ("_timed", "/timed")))
            config = ("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
                      "scrape_configs:\n" + jobs)
            servers.append(harness.start_narthex(program, folder, config).wait_ready())
            servers.append(harness.start_prometheus(prometheus, folder, config).wait_ready())
            exporters.urls["prometheus"] = servers[1].url + "/metrics"
            check(relay, servers, exporters.urls)
        finally:
            for server in servers:
                server.stop()
            exporters.stop()
        for name, reason in exporters.absent.items():
            print(f"left out: {name}: {reason}")
        for text in DIFFERENCES:
            print(f"expected to differ: {text}")
        assert "node" in exporters.urls and "prometheus" in exporters.urls
    return 0


if __name__ == "__main__":
    sys.exit(main())

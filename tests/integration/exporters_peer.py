#!/usr/bin/env python3
"""Real exporters scraped by Narthex and by Debian's Prometheus: what both stored is the same.

usage: exporters_peer.py NARTHEX WORK_FOLDER

A relay gives both servers the same bodies: with the tick's time on every sample, so that all stored
samples can be compared, once honored and once not (honor_timestamps); as they are, for the rules of
staleness: series that go, a target that fails, one that is no longer a target; and rewritten as
OpenMetrics, which none of these exporters speaks. An exporter that cannot be had is left out, and the output says why.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time

import harness
import scripted
from docker_engine import Engine

TICKS = 8
ATTEMPTS = 3
SAMPLE_LINE = re.compile(rb"^([^#\n][^\n]*)$", re.M)
# All but scrape_duration_seconds, which nobody can foretell, and scrape_series_added (compare_added).
REPORTS = ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling",
           "scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")
REPORT_NAMES = "up|scrape_.*"

# What 3.14 stores otherwise than 2.42, and how it is compared here. Nothing else may differ.
DIFFERENCES = (
    "3.14 writes the values of le and quantile as floats (1 is 1.0); compared as numbers",
    "to 3.14 an empty body is a success in every form, to 2.42 not as OpenMetrics; none is served",
    "3.14 asks for OpenMetrics 1.0.0 and text 1.0.0 with UTF-8 names; the relay chooses the form",
)
# Job suffix -> (path suffix, further settings).
FORMS = {
    "": ("", ""),
    "_timed": ("/timed", ""),
    "_ignored": ("/timed", "  honor_timestamps: false\n"),
    "_open": ("/open", ""),
}
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def as_openmetrics(body):
    lines = [line for line in body.split(b"\n") if line[:7] in (b"# TYPE ", b"# HELP ") or
             line[:1] not in (b"#", b"")]
    lines = [re.sub(rb"^(# TYPE \S+) untyped$", rb"\1 unknown", line) for line in lines]
    return b"\n".join(lines + [b"# EOF\n"])


class Relay:
    """Newest body of each exporter at /NAME, with times at /NAME/timed, as OpenMetrics at /NAME/open."""

    def __init__(self):
        self.bodies = {}
        self.timed = {}
        self.open = {}
        self.fail = False
        self.version = 0   # of what is served
        self.served = {}   # (agent, path) -> set of versions
        self.ticks = []
        self.changed_s = 0
        relay = self

        class Handler(scripted.Handler):
            def do_GET(self):
                version, fail = relay.version, relay.fail
                name, _, kind = self.path.strip("/").partition("/")
                forms = {"timed": relay.timed, "open": relay.open}
                body = forms.get(kind, relay.bodies).get(name, b"")
                try:
                    self.answer(body, 500 if fail and not kind else 200,
                                OPENMETRICS if kind == "open" else
                                "text/plain; version=0.0.4; charset=utf-8")
                except OSError:
                    return
                # What was served may be older than the version at the end, not newer.
                agent = self.headers.get("User-Agent", "")
                relay.served.setdefault((agent, self.path), set()).add(version)

        self.port = scripted.serve(Handler).server_port

    def run(self, urls, ticks, servers):
        """Each tick is served until both servers have stored it for every target."""
        for _ in range(ticks):
            next_s = int(time.time()) + 1
            bodies = {name: harness.http_get(url)[2] for name, url in urls.items()}
            time.sleep(max(0, next_s - time.time()))
            stamp = str(next_s * 1000).encode()
            self.bodies = bodies
            self.open = {name: as_openmetrics(body) for name, body in bodies.items()}
            self.timed = {name: SAMPLE_LINE.sub(rb"\1 " + stamp, body)
                          for name, body in bodies.items()}
            self.ticks.append(next_s * 1000)
            harness.wait_until(lambda: all(stored_jobs(server, next_s) ==
                                           {f"{name}_timed" for name in urls}
                                           for server in servers), "the tick is stored")

    def change(self, bodies=None, fail=False):
        """Serves something else, and waits until both servers have stored it for every target."""
        if bodies is not None or fail != self.fail:
            self.changed_s = time.time()
        self.bodies = bodies or self.bodies
        self.fail = fail
        self.version += 1
        version = self.version

        def seen():
            found = [versions for (_, path), versions in self.served.items() if path != "/ending"]
            paths = {path for path, _ in FORMS.values()}
            return len(found) == 2 * len(paths) * len(self.bodies) and \
                all(version in versions for versions in found)
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


def compare_added(servers, relay, name, added):
    """New series since the latest change, before which nothing had changed for some scrapes."""
    now_s = time.time()
    window_ms = int((now_s - relay.changed_s) * 1000)
    query = f'sum_over_time(scrape_series_added{{job="{name}"}}[{window_ms}ms])'
    for found in both(servers, query, now_s):
        assert [float(samples[0][1]) for samples in found.values()] == [added], (name, found, added)


def compare_ignored(relay, servers, name):
    """Times that are not honored: every sample is as old as its scrape."""
    compare_plain(relay, servers, name + "_ignored", "times are ignored")
    for server in servers:
        now_s = time.time()
        query = f'{{job="{name}_ignored",__name__!~"scrape_.*"}}'
        alive = selection(server, query, now_s)
        series = selection(server, query + "[10s]", now_s)
        newest = {series[labels][-1][0] for labels in alive}
        assert len(alive) > 1 and len(newest) == 1, (name, len(alive), newest)


def check_ending(servers, folder, relay):
    """A target that discovery no longer names: its series and its reports end."""
    relay.bodies["ending"] = b"ending_gauge 1\n"

    def found(server):
        return {item["metric"]["__name__"] for item in
                server.data("query", query='{job="ending"}')["result"]}
    harness.wait_until(lambda: all("ending_gauge" in found(s) for s in servers), "a target more")
    write_targets(folder, [])
    harness.wait_until(lambda: not any(found(s) for s in servers), "all its series have ended")
    # The lookback of 5 minutes would still have shown them: it was the markers.
    for server in servers:
        kept = server.data("query", query='{job="ending",__name__=~"up|ending_gauge"}[4m]')
        assert len(kept["result"]) == 2, kept


def write_targets(folder, targets):
    path = os.path.join(folder, "targets.json")
    with open(path + ".new", "w") as file:
        json.dump([{"targets": targets}], file)
    os.rename(path + ".new", path)


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
    for name in urls:
        compare_ignored(relay, servers, name)
        open_count = compare_plain(relay, servers, name + "_open", "as OpenMetrics")
        assert open_count == counts[name], (name, open_count, counts[name])
        print(f"{name}: {counts[name]} series with ignored times, {open_count} of OpenMetrics")
    relay.change({name: thinned(body) for name, body in whole.items()})
    for name, count in counts.items():
        left = compare_plain(relay, servers, name, "series have gone")
        assert 0 < left < count, (name, left, count)
        compare_added(servers, relay, name, 0)
        counts[name] = (count, count - left)
    relay.change(fail=True)
    for name in urls:
        assert compare_plain(relay, servers, name, "it fails") == 0, name
    relay.change(whole)
    for name, (count, gone) in counts.items():
        assert compare_plain(relay, servers, name, "it is back") == count, name
        compare_added(servers, relay, name, gone)


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
                f"- job_name: {name}{form}\n  metrics_path: /{name}{path}\n{more}"
                f"  static_configs:\n  - targets: ['127.0.0.1:{relay.port}']\n"
                for name in [*exporters.urls, "prometheus"] for form, (path, more) in FORMS.items())
            write_targets(folder, [f"127.0.0.1:{relay.port}"])
            jobs += ("- job_name: ending\n  metrics_path: /ending\n  file_sd_configs:\n"
                     f"  - files: [{folder}/targets.json]\n")
            config = ("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
                      "scrape_configs:\n" + jobs)
            extra = "--enable-feature=extra-scrape-metrics"
            servers.append(harness.start_narthex(program, folder, config, extra).wait_ready())
            servers.append(harness.start_prometheus(prometheus, folder, config, extra).wait_ready())
            exporters.urls["prometheus"] = servers[1].url + "/metrics"
            check(relay, servers, exporters.urls)
            check_ending(servers, folder, relay)
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

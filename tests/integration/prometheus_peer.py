#!/usr/bin/env python3
"""Scrapes a real node exporter into Narthex and into Debian's Prometheus and compares answers.

usage: prometheus_peer.py NARTHEX WORK_FOLDER

A relay fetches the exporter once a tick and serves both servers the same body, every sample with the
tick's time in milliseconds, until both have stored it: both must store the same samples. Evaluation times lie a third
of a tick after the grid, because Prometheus 2.42 has closed ranges and 3.14 left-open ones. Folds
over several series and libm's functions are compared at 1e-9, everything else digit by digit.
"""
import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import harness
import scripted

TICK_S = 1
TICKS = 50
SAMPLE_LINE = re.compile(rb"^([^#\n][^\n]*)$", re.M)


class Relay:
    """Serves the exporter's body of the newest tick with explicit timestamps."""

    def __init__(self, exporter_url):
        self.exporter_url = exporter_url
        self.body = b""
        self.ticks = []
        self.agents = set()
        relay = self

        class Handler(scripted.Handler):
            def do_GET(self):
                body = relay.body
                relay.agents.add(self.headers.get("User-Agent", ""))
                self.answer(body, kind="text/plain; version=0.0.4; charset=utf-8")

        self.port = scripted.serve(Handler).server_port

    def tick(self, t_ms):
        _, _, body = harness.http_get(self.exporter_url)
        self.body = SAMPLE_LINE.sub(rb"\1 " + str(t_ms).encode(), body)
        self.ticks.append(t_ms)

    def run(self, ticks, servers):
        """One tick a second on whole seconds; a busy machine may leave some out."""
        for _ in range(ticks):
            now = time.time()
            next_s = math.floor(now) + TICK_S
            time.sleep(next_s - now)
            self.tick(next_s * 1000)
            harness.wait_until(lambda: all(newest_s(server, next_s) == next_s
                                           for server in servers), "the tick is stored")


def newest_s(server, time_s):
    """Time of the newest sample at that time."""
    result = server.data("query", query="timestamp(node_load1)", time=time_s)["result"]
    return float(result[0]["value"][1]) if result else None


# (query, kind): i instant, r range; ~ compares at 1e-9 (folds over several series).
QUERIES = [
    ("node_load1", "i"), ("node_load1", "r"), ("node_memory_MemAvailable_bytes", "r"),
    ("node_cpu_seconds_total", "i"), ('node_cpu_seconds_total{mode="idle"}', "r"),
    ('node_cpu_seconds_total{mode=~"user|system",cpu="0"}', "r"),
    ('node_cpu_seconds_total{mode!~"i.*"}', "i"),
    ('{__name__=~"node_load.*"}', "i"), ('count({__name__=~"node_.+"})', "i"),
    ("rate(node_cpu_seconds_total[10s])", "i"), ("rate(node_cpu_seconds_total[10s])", "r"),
    ("irate(node_cpu_seconds_total[10s])", "r"), ("increase(node_context_switches_total[15s])", "r"),
    ("delta(node_memory_MemFree_bytes[12s])", "r"), ("idelta(node_memory_MemFree_bytes[12s])", "r"),
    ("deriv(node_memory_MemFree_bytes[20s])", "r~"),
    ("predict_linear(node_memory_MemFree_bytes[20s], 60)", "r~"),
    # 2.42 keeps a running mean, 3.14 divides a compensated sum: the last digit differs.
    ("avg_over_time(node_load1[10s])", "r~"), ("sum_over_time(node_load1[10s])", "r"),
    ("min_over_time(node_memory_MemFree_bytes[10s])", "r"),
    ("max_over_time(node_memory_MemFree_bytes[10s])", "r"),
    ("count_over_time(node_load1[10s])", "r"), ("last_over_time(node_load1[10s])", "r"),
    ("stddev_over_time(node_memory_MemFree_bytes[10s])", "r~"),
    ("quantile_over_time(0.9, node_memory_MemFree_bytes[10s])", "r"),
    ("changes(node_memory_MemFree_bytes[20s])", "r"), ("resets(node_intr_total[20s])", "r"),
    ("sum(rate(node_cpu_seconds_total[10s]))", "r~"),
    ("sum by (mode) (rate(node_cpu_seconds_total[10s]))", "r~"),
    ("avg without (cpu) (node_cpu_seconds_total)", "i~"),
    ("max by (cpu) (node_cpu_seconds_total)", "r"), ("min(node_cpu_seconds_total) by (mode)", "i"),
    ("count by (mode) (node_cpu_seconds_total)", "r"),
    ("stddev(node_cpu_seconds_total)", "i~"), ("stdvar(node_cpu_seconds_total)", "i~"),
    ("quantile(0.75, node_cpu_seconds_total)", "i"), ("topk(3, node_cpu_seconds_total)", "i"),
    ("bottomk(2, node_cpu_seconds_total)", "i"), ('count_values("v", node_procs_running)', "i"),
    ("group(node_cpu_seconds_total) by (cpu)", "i"),
    ("node_memory_MemFree_bytes / node_memory_MemTotal_bytes", "r"),
    ("1 - node_memory_MemFree_bytes / node_memory_MemTotal_bytes > 0.01", "r"),
    ("node_load1 > bool 0.5", "i"), ("node_load1 + on(instance) node_load5", "r"),
    ('node_cpu_seconds_total{mode="user"} and on(cpu) node_cpu_seconds_total{mode="idle"}', "i"),
    ('node_cpu_seconds_total unless node_cpu_seconds_total{mode="idle"}', "i"),
    ("node_load1 or node_load5", "i"),
    ('node_cpu_seconds_total * on(instance) group_left(release) node_uname_info', "i"),
    ("abs(-node_load1)", "i"), ("ceil(node_load1)", "i"), ("floor(node_load1 * 10)", "i"),
    ("round(node_load1, 0.1)", "i"), ("clamp(node_load1, 0.1, 0.2)", "i"),
    ("sqrt(node_memory_MemFree_bytes)", "i"),
    # Our libm and theirs may round the last bit differently.
    ("ln(node_memory_MemFree_bytes)", "i~"), ("exp(node_load1)", "i~"),
    ("log2(node_memory_MemFree_bytes)", "i~"),
    ("absent(no_such_metric{a=\"b\"})", "i"), ("absent(node_load1)", "i"),
    ('label_replace(node_uname_info, "x", "$1-y", "release", "([0-9]+).*")', "i"),
    ('label_join(node_uname_info, "x", "-", "sysname", "machine")', "i"),
    ("time() - node_boot_time_seconds", "r"), ("timestamp(node_load1)", "r"),
    ("hour(node_boot_time_seconds)", "i"), ("day_of_week(node_boot_time_seconds)", "i"),
    ("vector(3)", "r"), ("scalar(node_load1)", "r"), ("1 + 2 * 3 ^ 2", "i"),
    ("node_load1 offset 5s", "r"), ("rate(node_intr_total[10s] offset 5s)", "r"),
    # Steps of subqueries lie on the grid; the offset takes the inner windows off it.
    ("max_over_time(rate(node_intr_total[5s] offset 333ms)[15s:1s])", "r"),
    ("sort(node_cpu_seconds_total)", "i"), ("sort_desc(node_cpu_seconds_total)", "i"),
    ("node_load1[5s]", "i"), ("sum(node_load1) by (instance)", "r~"), ("-node_load1", "i"),
    ('node_filesystem_avail_bytes{fstype!=""} / node_filesystem_size_bytes', "i"),
]


def close(a, b):
    if a == b:
        return True
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    if math.isinf(x) or math.isinf(y):
        return x == y
    # Denormals have fewer digits.
    return abs(x - y) <= max(1e-9 * max(abs(x), abs(y)), 1e-312)


def flatten(data):
    """{labels: [(t, value)…]} for every kind of result."""
    if data["resultType"] in ("scalar", "string"):
        return {"": [tuple(data["result"])]}
    series = {}
    for item in data["result"]:
        points = item["values"] if "values" in item else [item["value"]]
        series[json.dumps(item["metric"], sort_keys=True)] = [tuple(p) for p in points]
    return series


def compare(query, ours, theirs, loose):
    if ours["resultType"] != theirs["resultType"]:
        return f"type {ours['resultType']}, not {theirs['resultType']}"
    a, b = flatten(ours), flatten(theirs)
    if a.keys() != b.keys():
        return f"series only here {sorted(a.keys() - b.keys())[:3]}, " \
               f"only there {sorted(b.keys() - a.keys())[:3]}"
    for key, points in a.items():
        if [p[0] for p in points] != [p[0] for p in b[key]]:
            return f"{key}: times differ: {points[:2]} … {b[key][:2]}"
        for (t, v), (_, w) in zip(points, b[key]):
            if v != w and not (loose and close(v, w)):
                return f"{key} at {t}: {v}, not {w}"
    return None


def ask(server, query, kind, start_s, end_s):
    if kind == "i":
        return server.data("query", query=query, time=f"{end_s:.3f}")
    return server.data("query_range", query=query, start=f"{start_s:.3f}", end=f"{end_s:.3f}",
                       step="3")


def record(relay, servers):
    """Lets both servers store every tick of a run."""
    relay.run(TICKS, servers)
    first_s, end_s = relay.ticks[0] / 1000, relay.ticks[-1] / 1000
    window = f"node_load1[{round(end_s - first_s) + TICK_S}s]"
    for server in servers:
        series = server.data("query", query=window, time=f"{end_s + TICK_S / 3:.3f}")["result"]
        stored = [round(float(t) * 1000) for t, _ in series[0]["values"]]
        assert stored == relay.ticks, (server.url, stored, relay.ticks)


def main():
    program, work = sys.argv[1:3]
    peers = os.path.join(work, "peers")
    exporter = harness.fetch_peer("prometheus-node-exporter", "usr/bin/prometheus-node-exporter",
                                  peers)
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", peers)
    failures = 0
    with harness.WorkFolder(work) as folder:
        port = harness.free_port()
        with open(os.path.join(folder, "exporter.log"), "wb") as log:
            node = subprocess.Popen([exporter, f"--web.listen-address=127.0.0.1:{port}"],
                                    stdout=log, stderr=log)
        servers = []
        try:
            url = f"http://127.0.0.1:{port}/metrics"
            harness.wait_until(lambda: node.poll() is None and responds(url), "exporter")
            relay = Relay(url)
            config = ("global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
                      "scrape_configs:\n- job_name: node\n  static_configs:\n"
                      f"  - targets: ['127.0.0.1:{relay.port}']\n    labels: {{instance: host}}\n")
            servers.append(harness.start_narthex(program, folder, config).wait_ready())
            servers.append(harness.start_prometheus(prometheus, folder, config).wait_ready())
            harness.wait_until(lambda: len(relay.agents) == 2, "both servers scrape")
            record(relay, servers)
            start_s = relay.ticks[0] / 1000 + 21 + TICK_S / 3
            end_s = relay.ticks[-1] / 1000 - 2 + TICK_S / 3
            for query, kind in QUERIES:
                answers = [ask(s, query, kind[0], start_s, end_s) for s in servers]
                problem = compare(query, *answers, loose=kind.endswith("~"))
                if problem:
                    failures += 1
                    print(f"{query} ({kind}): {problem}")
            print(f"{len(QUERIES)} queries over {len(relay.ticks)} ticks, {failures} differ")
        finally:
            for server in servers:
                server.stop()
            node.send_signal(signal.SIGTERM)
            node.wait()
        assert failures == 0
    return 0


def responds(url):
    try:
        return harness.http_get(url, 5)[0] == 200
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A reload that changes one job leaves the others as they were: their connections, caches, schedule
and series go on; only what the changed job no longer has ends.

usage: reload_keeps.py NARTHEX WORK_FOLDER
"""
import re
import signal
import sys

import harness
import scripted

INTERVAL_MS = 1000
LATE_MS = 100  # a busy machine wakes us later; another schedule is anywhere in the interval
RELOADS = 5

CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{n: '{n}'}}}}
scrape_configs:
- job_name: kept
  metrics_path: /kept
  static_configs: [{{targets: ['127.0.0.1:{kept}']}}]
- job_name: secret
  metrics_path: /secret
  basic_auth: {{username: u, password: p}}
  static_configs: [{{targets: ['127.0.0.1:{secret}']}}]
- job_name: changed
  metrics_path: /changed
  static_configs: [{{targets: ['127.0.0.1:{changed}'], labels: {{n: '{n}'}}}}]
"""


class Origin:
    """Counts connections and requests."""

    def __init__(self):
        self.connections = 0
        self.requests = 0
        origin = self

        class Handler(scripted.Handler):
            def setup(self):
                origin.connections += 1
                super().setup()

            def do_GET(self):
                origin.requests += 1
                name = self.path.strip("/")
                body = "".join(f'{name}{{i="{i}"}} {origin.requests}\n' for i in range(20))
                self.answer(body.encode())

        self.port = scripted.serve(Handler).server_port


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def samples(server, query):
    result = server.data("query", query=query)["result"]
    return [(round(float(t) * 1000), float(v)) for t, v in result[0]["values"]] if result else []


def check_job(server, origin, job):
    up = samples(server, f'up{{job="{job}"}}[10m]')
    # A scrape that fails takes its connection along; only then there is another one.
    failed = sum(v == 0 for _, v in up)
    assert 1 <= origin.connections <= 1 + failed, (job, origin.connections, failed)
    # A late scrape keeps its own time; nearly all are on one grid, or a little behind it.
    phases = sorted(t % INTERVAL_MS for t, _ in up)
    on_grid = max(sum((phase - first) % INTERVAL_MS < LATE_MS for phase in phases)
                  for first in phases)
    assert on_grid * 2 > len(up), (job, phases)
    # Every series was new to the cache once.
    added = [v for _, v in samples(server, f'scrape_series_added{{job="{job}"}}[10m]') if v != 0]
    equal(added, [20])
    harness.wait_until(lambda: [item["value"][1] for item in server.data(
        "query", query=f"count({job})")["result"]] == ["20"], f"all series of {job}")
    equal(server.data("query", query=f"sum(resets({job}[10m]))")["result"][0]["value"][1], "0")
    if failed == 0:
        check_never_stale(server, job, up[0][0], up[-1][0])


def check_never_stale(server, job, first_ms, last_ms):
    """A stale marker would leave a hole until the next scrape."""
    found = server.data("query_range", query=f"count({job})", start=first_ms / 1000,
                        end=last_ms / 1000, step=INTERVAL_MS / 5 / 1000)["result"]
    equal(len(found), 1)
    values = [v for _, v in found[0]["values"]]
    equal(set(values), {"20"})
    equal(len(values), (last_ms - first_ms) // (INTERVAL_MS // 5) + 1)


def check_memory(server):
    """What targets and caches take is on /metrics."""
    text = harness.http_get(server.url + "/metrics")[2].decode()
    found = dict(re.findall(r'^narthex_scrape_(\w+)\{scrape_job="kept"\} (\S+)$', text, re.M))
    equal(float(found["cache_lines"]), 20)
    assert 20 * 32 <= float(found["cache_bytes"]) <= 20 * 64, found
    assert 500 < float(found["target_bytes"]) < 20000, found
    print(found)


def main():
    program, work = sys.argv[1:3]
    kept, secret, changed = Origin(), Origin(), Origin()
    with harness.WorkFolder(work) as folder:
        def config(n):
            return CONFIG.format(n=n, kept=kept.port, secret=secret.port, changed=changed.port)
        server = harness.start_narthex(program, folder, config(0)).wait_ready()
        try:
            for n in range(1, RELOADS + 1):
                before = kept.requests, secret.requests
                harness.wait_until(lambda: kept.requests >= before[0] + 2 and
                                   secret.requests >= before[1] + 2, "scrapes go on")
                with open(f"{folder}/narthex.yml", "w") as file:
                    file.write(config(n))
                server.process.send_signal(signal.SIGHUP)
                # What the reload changed is there, what it took away has ended.
                harness.wait_until(lambda: [s["metric"]["n"] for s in server.data(
                    "query", query='changed{i="7"}')["result"]] == [str(n)], "the new series", 30)
            check_job(server, kept, "kept")
            check_job(server, secret, "secret")
            check_memory(server)
        finally:
            status, _ = server.stop()
        equal(status, 0)
        print(f"{RELOADS} reloads, {kept.requests} scrapes over one connection")
    return 0


if __name__ == "__main__":
    sys.exit(main())

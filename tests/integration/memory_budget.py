#!/usr/bin/env python3
"""Over its memory budget the server refuses queries, then new series, in that order, and goes on:
known series are stored, targets stay up, /metrics and health are answered.

usage: memory_budget.py NARTHEX WORK_FOLDER
"""
import json
import sys

import harness
import scripted

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
- job_name: growing
  static_configs: [{targets: ["127.0.0.1:%d"]}]
"""
BUDGET = 24 << 20
KNOWN = 100
STEP = 4000


class Growing(scripted.Handler):
    """Some series stay; while it grows, each scrape finds others besides."""
    known = "".join(f'known{{number="{i}"}} {i}\n' for i in range(KNOWN))
    scrapes = 0
    grows = False

    def do_GET(self):
        Growing.scrapes += 1
        body = Growing.known
        if Growing.grows:
            first = Growing.scrapes * STEP
            body += "".join(f'grown{{number="{i:0400}"}} {i}\n' for i in range(first, first + STEP))
        self.answer(body.encode())


def memory(values):
    return sum(v for name, v in values.items() if name.startswith("narthex_memory_bytes{"))


def refused_series(values):
    return values["narthex_memory_refused_series_total"]


def expect_refusal(server, path):
    """A scrape at work takes some memory and gives it back: asked until the answer is no."""
    def refused():
        status, headers, body = harness.http_get(server.url + path)
        return status == 503 and (headers, body)
    headers, body = harness.wait_until(refused, f"{path} refused")
    assert headers["Retry-After"] == "10", (path, headers)
    assert f"the memory budget of {BUDGET} bytes is used up" in body.decode(), body
    return body


def check(server):
    assert server.data("query", query="1")["resultType"] == "scalar"
    Growing.grows = True
    answer = json.loads(expect_refusal(server, "/api/v1/query?query=1"))
    assert answer["status"] == "error" and answer["errorType"] == "unavailable", answer
    harness.wait_until(lambda: refused_series(server.metrics()) > STEP, "refused series")
    Growing.grows = False
    for path in ("/api/v1/series?match[]=up", "/api/v1/labels", "/api/v1/query_range?query=1"
                 "&start=1&end=2&step=1", "/api/v1/label/job/values", "/federate?match[]=up"):
        expect_refusal(server, path)
    values = server.metrics()
    assert values["narthex_memory_refused_queries_total"] >= 6
    assert values["narthex_memory_budget_bytes"] == BUDGET
    # What the log of series needs while it writes is given back.
    harness.wait_until(lambda: BUDGET < memory(server.metrics()) < BUDGET * 5 / 4,
                       f"memory near the budget: {memory(values)}")

    # What is known goes on; the server and the target are well.
    appended = 'prometheus_tsdb_head_samples_appended_total{type="float"}'
    before = server.metrics()[appended]
    harness.wait_until(lambda: server.metrics()[appended] > before + 3 * KNOWN, "more samples")
    harness.wait_until(lambda: [(t["health"], t["lastError"]) for t in
                                server.data("targets")["activeTargets"]] == [("up", "")], "up")
    assert harness.http_get(server.url + "/-/healthy")[0] == 200
    assert harness.http_get(server.url + "/-/ready")[0] == 200
    print(f"memory budget of {BUDGET} bytes: {memory(values):.0f} used, "
          f"{refused_series(values):.0f} series refused")


def main():
    program, folder = sys.argv[1:3]
    target = scripted.serve(Growing)
    with harness.WorkFolder(folder) as work:
        server = harness.start_narthex(program, work, CONFIG % target.server_port,
                                       "--host-metrics.disable", f"--memory.budget={BUDGET >> 20}MiB")
        try:
            server.wait_ready()
            check(server)
        finally:
            server.stop()
            target.shutdown()
        assert "no memory" in server.log_tail()


main()

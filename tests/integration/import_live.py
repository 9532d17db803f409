#!/usr/bin/env python3
"""Imports OpenMetrics files into a running server whose head holds samples of the same times.

usage: import_live.py NARTHEX NARTHEXCTL WORK_FOLDER
"""
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

import harness

# The imported samples are old: the default retention would remove them at its next pass.
FLAGS = ("--web.enable-admin-api", "--storage.tsdb.retention.time=100y")
# More than a body that is kept in memory may have.
LARGE_SAMPLES = 900_000
OLD_S = 1700006400


def config(port):
    return ("global: {scrape_interval: 100ms, scrape_timeout: 100ms}\n"
            "scrape_configs:\n"
            "- job_name: self\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")


def post(server, path, body=b""):
    request = urllib.request.Request(f"{server.url}/api/v1/admin/tsdb/{path}", data=body,
                                     method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as fault:
        return fault.code, json.loads(fault.read())


def samples(server, selector, seconds=3600, time=None):
    """{t_ms: value} of the one series selected."""
    params = {"query": f"{selector}[{seconds}s]"}
    if time is not None:
        params["time"] = time
    result = server.data("query", **params)["result"]
    assert len(result) <= 1, result
    return {round(float(t) * 1000): float(v) for t, v in result[0]["values"]} if result else {}


def stamp(t_ms):
    return f"{t_ms // 1000}.{t_ms % 1000:03d}"


def write_overlap(path, port, times):
    """Samples at the times of the head (other values) and in between."""
    between = {}
    with open(path, "w") as file:
        for a, b in zip(times, times[1:]):
            file.write(f'up{{instance="127.0.0.1:{port}",job="self"}} 7 {stamp(a)}\n')
            if b - a > 1:
                between[(a + b) // 2] = 5.0
                file.write(f'up{{instance="127.0.0.1:{port}",job="self"}} 5 {stamp((a + b) // 2)}\n')
        file.write("# EOF\n")
    return between


def check_overlap(server, ctl, folder, port):
    selector = 'up{job="self"}'
    harness.wait_until(lambda: len(samples(server, selector)) >= 10, "scraped samples")
    scraped = samples(server, selector)
    path = os.path.join(folder, "overlap.om")
    between = write_overlap(path, port, sorted(scraped))
    assert between
    result = subprocess.run([ctl, "tsdb", "create-blocks-from", "openmetrics",
                             f"--url={server.url}", path], capture_output=True, text=True)
    assert result.returncode == 0, result
    answer = json.loads(result.stdout)["data"]
    assert answer["numSamples"] == len(between) + len(scraped) - 1, answer
    assert answer["numBlocks"] >= 1, answer
    wanted = {**between, **scraped}
    found = samples(server, selector)
    assert {t: found.get(t) for t in wanted} == wanted
    # Scraping goes on.
    newest = max(wanted)
    harness.wait_until(lambda: max(samples(server, selector)) > newest, "newer samples")
    return selector, wanted


def check_large(server, folder):
    """A file below the data folder, and the same as a body that is larger than 32 MiB."""
    lines = [f'old_metric{{path="/a/long/label/value/{i % 100}"}} {i} {OLD_S + i // 100}\n'
             for i in range(LARGE_SAMPLES)]
    text = "".join(lines) + "# EOF\n"
    assert len(text) > 33 << 20
    status, answer = post(server, "import", text.encode())
    assert status == 200 and answer["data"]["numSamples"] == LARGE_SAMPLES, (status, answer)
    data = os.path.join(folder, "narthex-data")
    assert not [n for n in os.listdir(data) if n.startswith("upload-")], os.listdir(data)
    with open(os.path.join(data, "again.om"), "w") as file:
        file.write("# TYPE small gauge\n" + f"small 1 {OLD_S}\nsmall 2 {OLD_S + 1}\n# EOF\n")
    status, answer = post(server, "import?path=again.om")
    assert status == 200 and answer["data"]["numSamples"] == 2, (status, answer)
    assert samples(server, "small", time=OLD_S + 10) == {OLD_S * 1000: 1.0, (OLD_S + 1) * 1000: 2.0}
    last = LARGE_SAMPLES // 100 - 1
    found = samples(server, 'old_metric{path="/a/long/label/value/42"}', 10000, OLD_S + last)
    assert found == {(OLD_S + i) * 1000: float(100 * i + 42) for i in range(last + 1)}


def check_refusals(server):
    for path, body, part in (
            ("import?path=../x", b"", "not below the data folder"),
            ("import?path=/etc/passwd", b"", "not below the data folder"),
            ("import?path=absent", b"", "absent"),
            ("import?path=x", b"a 1 1\n", "there is a body too"),
            ("import", b"a 1 1\n", "body: after the entry in line 1"),
            ("import", b"a 1 1\na 2 1\n# EOF\n", "two values at 1000"),
            ("import", b"a 1\n# EOF\n", "expected timestamp")):
        status, answer = post(server, path, body)
        assert status in (400, 404) and part in answer["error"], (path, status, answer)


def main():
    program, ctl, work = sys.argv[1:4]
    with harness.WorkFolder(work) as folder:
        port = harness.free_port()
        server = harness.start_narthex(program, folder, config(port), *FLAGS, port=port).wait_ready()
        try:
            selector, wanted = check_overlap(server, ctl, folder, port)
            check_large(server, folder)
            check_refusals(server)
            server.kill()
            server = harness.start_narthex(program, folder, config(port), *FLAGS,
                                           port=port).wait_ready()
            found = samples(server, selector)
            assert {t: found.get(t) for t in wanted} == wanted
        finally:
            server.stop()
        closed = harness.start_narthex(program, os.path.join(folder, "closed"),
                                       "global: {scrape_interval: 1h}\n").wait_ready()
        try:
            status, answer = post(closed, "import", b"a 1 1\n# EOF\n")
            assert answer["error"] == "admin APIs disabled", (status, answer)
        finally:
            closed.stop()
    print(f"{LARGE_SAMPLES + len(wanted)} samples")
    return 0


if __name__ == "__main__":
    sys.exit(main())

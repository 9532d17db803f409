#!/usr/bin/env python3
"""Discovery servers that hang, lie or never end: a clear error in the log and in the metrics, the
targets of before stay, memory stays bounded, and a good job is scraped as ever.

usage: discovery_hostile.py NARTHEX WORK_FOLDER
"""
import json
import sys
import threading

import harness
import scripted

GROUPS = json.dumps([{"targets": ["127.0.0.1:1"], "labels": {"kept": "yes"}}]).encode()
RSS_BYTES_MAX = 900 << 20

# What each server does once all have answered well -> part of the error.
FAULTS = {
    "hang": "context deadline exceeded",
    "drip": "context deadline exceeded",
    "endless": "answer larger than 67108864 bytes",
    "status": "server returned HTTP status 503 Service Unavailable",
    "html": 'unsupported content type "text/html"',
    "cut": "unexpected EOF",
    "broken": "json: element 1 of a list",
    "deep": "json: element 0 of a list",
    "many": "more than 250000 targets",
    "small": "target groups need more than",
    "labels": "a target has more than 4096 labels",
    "group": "json: element 0 of a list has more than",
    "loop": "stopped after 10 redirects",
    "closed": "EOF",
}
# A refresh may take as long as the interval: the large ones come in less, also on a slow machine.
LARGE = {"endless", "many", "small", "group", "deep"}


class Handler(scripted.Handler):
    misbehaving = threading.Event()
    ended = threading.Event()

    def answer(self, body, status=200, kind="application/json", **headers):
        super().answer(body, status, kind, **headers)

    def repeat(self, head, piece, times, tail):
        """A body out of many pieces, without holding it."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(head)
        block = piece * 10000
        while times > 0 and not self.ended.is_set():
            self.wfile.write(block)
            times -= 10000
        self.wfile.write(tail)
        self.close_connection = True

    def do_GET(self):
        kind = self.path.strip("/")
        try:
            if kind == "metrics":
                self.answer(b"good 1\n", kind="text/plain")
            elif not self.misbehaving.is_set():
                self.answer(GROUPS)
            else:
                self.misbehave(kind)
        except OSError:
            pass

    def misbehave(self, kind):
        if kind == "hang":
            self.ended.wait(30)
            self.close_connection = True
        elif kind == "drip":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            while not self.ended.wait(0.05):
                self.wfile.write(b"[")
        elif kind == "endless":
            self.repeat(b"[", b'{"targets":[]},', 1 << 40, b"")
        elif kind == "status":
            self.answer(b"", 503)
        elif kind == "html":
            self.answer(b"<html>", kind="text/html")
        elif kind == "cut":
            self.answer(GROUPS, Content_Length=1000)
            self.close_connection = True
        elif kind == "broken":
            self.answer(b'[{"targets":["lost:1"]},{"targets":[lost]}]')
        elif kind == "deep":
            self.answer(b"[" * 100000)
        elif kind == "many":
            self.repeat(b'[{"targets":["a:1"', b',"a:1"', 500000, b"]}]")
        elif kind == "small":
            self.repeat(b'[{"targets":["a:1"]}', b',{"targets":["a:1"]}', 2500000, b"]")
        elif kind == "labels":
            labels = {f"l{i}": "v" for i in range(5000)}
            self.answer(json.dumps([{"targets": ["a:1"], "labels": labels}]).encode())
        elif kind == "group":
            self.repeat(b'[{"targets":["a:1"', b',"aaaaaaaaaaaaaaaaaaaa:1"', 800000, b"]}]")
        elif kind == "loop":
            self.answer(b"", 302, Location=self.path)
        elif kind == "closed":
            self.close_connection = True


def config(port):
    text = f"""
global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
- job_name: good
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
    for kind in FAULTS:
        text += f"""
- job_name: {kind}
  scrape_interval: 1h
  http_sd_configs:
  - {{url: "http://127.0.0.1:{port}/{kind}", refresh_interval: {10 if kind in LARGE else 3}s}}
"""
    return text


def refresh_failures(server):
    """job -> failed refreshes."""
    name = 'prometheus_sd_refresh_failures_total{mechanism="http",config="'
    body = harness.http_get(server.url + "/metrics")[2].decode()
    return {line[len(name):].split('"')[0]: float(line.rsplit(" ", 1)[1])
            for line in body.splitlines() if line.startswith(name)}


def peak_rss(server):
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


def good_samples(server):
    result = server.data("query", query="count_over_time(good[5m])")["result"]
    return int(result[0]["value"][1]) if result else 0


def kept_targets(server):
    """job -> label `kept` of its targets."""
    targets = {}
    for target in server.data("targets")["activeTargets"]:
        targets.setdefault(target["scrapePool"], []).append(target["labels"].get("kept"))
    return targets


def missing_errors(server):
    """job -> what should be in the log."""
    with open(server.log_path, errors="replace") as log:
        lines = [line for line in log if "Unable to refresh target groups" in line]
    return {job: text for job, text in FAULTS.items()
            if not any(f"config={job} " in line and text.replace('"', '\\"') in line
                       for line in lines)}


def all_kept(server):
    targets = kept_targets(server)
    return all(targets.get(job) == ["yes"] for job in FAULTS)


def check(server):
    harness.wait_until(lambda: all_kept(server), "all targets found")
    Handler.misbehaving.set()
    harness.wait_until(
        lambda: all(refresh_failures(server).get(job, 0) >= 2 for job in FAULTS),
        "all servers failed twice", 120)
    try:
        harness.wait_until(lambda: not missing_errors(server), "all errors in the log")
    except AssertionError:
        print(missing_errors(server), server.log_tail())
        raise
    assert all_kept(server), kept_targets(server)
    before = good_samples(server)
    harness.wait_until(lambda: good_samples(server) >= before + 5, "the good job goes on", 30)
    rss = peak_rss(server)
    print(f"most memory: {rss >> 20} MiB")
    if "asan" not in server.log_path and "tsan" not in server.log_path:
        assert rss < RSS_BYTES_MAX, rss


def run(narthex, folder):
    server = scripted.serve(Handler)
    narthex = harness.start_narthex(narthex, folder, config(server.server_port))
    try:
        narthex.wait_ready()
        check(narthex)
    finally:
        Handler.ended.set()
        status, seconds = narthex.stop()
        server.shutdown()
    assert status == 0, status
    print(f"{len(FAULTS)} servers that fail; stopped in {seconds:.1f} s")


def main():
    narthex, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        run(narthex, work)


main()

#!/usr/bin/env python3
"""Targets with no limit configured that send a line of a gigabyte, a body without end, a packed bomb,
or a million new series: a clear error or the memory budget, bounded memory, and a good target that is
scraped as ever.

usage: hostile_bodies.py NARTHEX WORK_FOLDER
"""
import gzip
import os
import sys

import harness
import scripted
from scrape_transport import MILLION, MILLION_PAGE, resident_bytes, targets_of, wait_judged

GIGABYTE = 1 << 30
PIECE = 1 << 20
BOMB = gzip.compress(b"bomb 1\n" * (PIECE // 7)) * 1024
BUDGET = 160 << 20
# One body of 256 MiB as it came and once more unpacked, and as much for a second thread.
RESIDENT_BODIES_MAX = 1200 << 20
# What is refused is counted when the budget is passed by an eighth; the page and its lines come
# on top.
RESIDENT_SERIES_MAX = BUDGET + BUDGET // 4 + (120 << 20)


class Handler(scripted.Handler):
    good = 0
    million = 0

    def start(self, size=None, encoding=None):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        if size is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(size))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()

    def repeat(self, piece, times):
        while times > 0:
            self.wfile.write(piece)
            times -= 1

    def do_GET(self):
        try:
            if self.path == "/good":
                Handler.good += 1
                self.start(7)
                self.wfile.write(b"good 1\n")
            elif self.path == "/line":  # one label value, honest about its size
                self.start(GIGABYTE)
                self.wfile.write(b'line{a="')
                self.repeat(b"x" * PIECE, GIGABYTE // PIECE)
            elif self.path == "/endless":
                self.start()
                self.repeat(b"endless 1\n" * 100000, 1 << 60)
            elif self.path == "/bomb":
                self.start(len(BOMB), "gzip")
                self.wfile.write(BOMB)
            else:
                Handler.million += 1
                self.start(len(MILLION_PAGE))
                self.wfile.write(MILLION_PAGE)
        except OSError:
            pass
        self.close_connection = self.path != "/good"


def config(port, jobs, seconds):
    text = f"global: {{scrape_interval: {seconds}s, scrape_timeout: {seconds}s}}\nscrape_configs:\n"
    for name in ("good", *jobs):
        often = "  scrape_interval: 250ms\n  scrape_timeout: 250ms\n" if name == "good" else ""
        text += (f"- job_name: {name}\n  metrics_path: /{name}\n{often}"
                 f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")
    return text


def goes_on(server):
    before = Handler.good
    harness.wait_until(lambda: Handler.good >= before + 8, "the good target is scraped", 60)
    assert targets_of(server)["good"]["health"] == "up"


def is_sanitized():
    return os.environ.get("ASAN_OPTIONS") is not None


def check_bodies(server):
    expected = {"good": "", "line": "body size limit exceeded",
                "endless": "body size limit exceeded", "bomb": "body size limit exceeded"}
    wait_judged(server, expected)
    goes_on(server)
    stored = server.data("query", query='{__name__=~"line|endless|bomb"}')["result"]
    assert stored == [], stored[:3]
    peak = resident_bytes(server.process)
    print(f"bodies without end: at most {peak >> 20} MiB resident")
    assert is_sanitized() or peak < RESIDENT_BODIES_MAX, peak


def check_million(server):
    """No limit but the memory budget: what there is room for is stored."""
    def scraped_twice():
        return Handler.million >= 2 and targets_of(server)["million"]["health"] == "up"
    harness.wait_until(scraped_twice, "two scrapes of a million series", 120)
    goes_on(server)
    values = server.metrics()
    series = values["prometheus_tsdb_head_series"]
    refused = values["narthex_memory_refused_series_total"]
    peak = resident_bytes(server.process)
    print(f"{series:.0f} series kept, {refused:.0f} times one refused; at most {peak >> 20} MiB "
          "resident")
    assert 1000 < series < MILLION and refused > 0, (series, refused)
    assert is_sanitized() or peak < RESIDENT_SERIES_MAX, peak


def run(program, folder, name, config_text, check, *flags):
    server = harness.start_narthex(program, os.path.join(folder, name), config_text, *flags)
    try:
        check(server.wait_ready())
    finally:
        status, _ = server.stop(30)
    assert status == 0, status


def main():
    program, work = sys.argv[1:3]
    port = scripted.serve(Handler).server_port
    with harness.WorkFolder(work) as folder:
        run(program, folder, "bodies", config(port, ("line", "endless", "bomb"), 15), check_bodies)
        run(program, folder, "million", config(port, ("million",), 8), check_million,
            f"--memory.budget={BUDGET >> 20}MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())

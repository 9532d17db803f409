#!/usr/bin/env python3
"""Kills the server with SIGKILL under load, again and again; nothing that was seen may be lost.

usage: sigkill.py NARTHEX WORK_FOLDER [KILLS]

Targets serve sequence numbers. An outside observer asks the server for the newest one and notes, for
each run of the server, the first and the last it was answered. After a restart every number between
the two must still be there, unless a scrape failed meanwhile: then the target counted and the server
stored up = 0 instead. Each scrape holds a late sample too, older than all before it: it must be there when
the number of that scrape is.
"""
import http.server
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402

TARGETS = 4
FILLERS = 300
LATE_STEP_MS = 10
LATE_REQUEST_S = 0.5
LATE_FIRST_MS = round(time.time() * 1000) - 60_000


class Sequences(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    next_value = {}
    lock = threading.Lock()

    def do_GET(self):
        with self.lock:
            value = self.next_value.get(self.path, 0)
            self.next_value[self.path] = value + 1
        lines = [f"sequence {value}"] + [f'filler{{n="{i}"}} {value + i}' for i in range(FILLERS)]
        lines.append(f"late {value} {LATE_FIRST_MS - value * LATE_STEP_MS}")
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def observe(server, seconds, newest):
    """{target: (first, last)} of what the server answered meanwhile and had not stored before: a
    scrape that was under way when the run before was killed may be missing."""
    seen = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for series in server.data("query", query="sequence")["result"]:
            target, value = series["metric"]["target"], int(series["value"][1])
            if value > newest.get(target, -1):
                first, _ = seen.get(target, (value, value))
                seen[target] = (first, value)
    return seen


def points(server, query):
    """{target: [(t, value)…]} of everything stored."""
    result = server.data("query", query=query)["result"]
    return {s["metric"]["target"]: [(t, int(v)) for t, v in s["values"]] for s in result}


def lost(sequence, up, first, last):
    """Values of [first, last] that are not stored and were not failed scrapes either."""
    time_of = {value: t for t, value in sequence}
    failures = [t for t, value in up if value == 0]
    present = [value for value in range(first, last + 1) if value in time_of]
    if first not in time_of or last not in time_of:
        return [v for v in (first, last) if v not in time_of]
    missing = []
    for before, after in zip(present, present[1:]):
        # A request that timed out may reach the target after the one behind it.
        failed = sum(1 for t in failures if time_of[before] - LATE_REQUEST_S < t < time_of[after])
        if after - before - 1 > failed:
            missing += range(before + 1, after)
    return missing


def check(server, ranges, kill):
    """Asserts that all ranges are there; returns the newest value of each target."""
    if not ranges:
        return {}
    sequences, ups = points(server, "sequence[1h]"), points(server, "up[1h]")
    lates = points(server, "late[1h]")
    for target, first, last in ranges:
        missing = lost(sequences.get(target, []), ups.get(target, []), first, last)
        assert not missing, (
            f"after kill {kill}: target {target} lost {missing[:9]} of {first}…{last}; "
            f"stored {sequences.get(target)}, up {ups.get(target)}")
        late = {value: t for t, value in lates.get(target, [])}
        for _, value in sequences[target]:
            wanted = (LATE_FIRST_MS - value * LATE_STEP_MS) / 1000
            assert value in late and abs(float(late[value]) - wanted) < 1e-4, (
                f"after kill {kill}: target {target} lost the late sample {value}: {late.get(value)}")
    return {target: values[-1][1] for target, values in sequences.items()}


def main():
    program, work = sys.argv[1:3]
    kills = int(sys.argv[3]) if len(sys.argv) > 3 else 20
    if os.environ.get("NARTHEX_LONG") == "1":
        kills = 1000
    seed = int(os.environ.get("NARTHEX_SEED", "1"))
    print(f"{kills} kills, seed {seed}")
    chance = random.Random(seed)
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sequences)
    origin.daemon_threads = True
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    groups = "".join(f"- job_name: t{i}\n  metrics_path: /{i}\n  static_configs:\n"
                     f"  - targets: ['127.0.0.1:{origin.server_address[1]}']\n"
                     f"    labels: {{target: '{i}'}}\n" for i in range(TARGETS))
    config = ("storage: {tsdb: {out_of_order_time_window: 1h}}\n"
              "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n" + groups)
    ranges = []
    with harness.WorkFolder(work) as folder:
        for kill in range(kills + 1):
            server = harness.start_narthex(program, folder, config)
            try:
                server.wait_ready()
                newest = check(server, ranges, kill)
                if kill == kills:
                    break
                # Older runs were checked after the kill before; keep a bounded number of them.
                ranges = ranges[-40 * TARGETS:]
                seen = observe(server, 0.5 + chance.random(), newest)
                ranges += [(target, first, last) for target, (first, last) in seen.items()]
            finally:
                server.kill()
        total = sum(last - first + 1 for _, first, last in ranges)
        assert total > kills, f"only {total} values were ever seen"
        print(f"{kills} kills, {total} values of the last runs seen and kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())

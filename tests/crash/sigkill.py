#!/usr/bin/env python3
"""Kills the server with SIGKILL under load, again and again; nothing that was seen may be lost.

usage: sigkill.py NARTHEX WORK_FOLDER [KILLS]

Targets serve sequence numbers. An outside observer asks the server for the newest one and notes, for
each run of the server, the first and the last it was answered. After a restart every number between
the two must still be there, unless a scrape failed meanwhile: then the target counted and the server
stored up = 0 instead. What nobody waits for any more is not counted. Each scrape holds a late
sample too, older than all before it: it must be there when the number of that scrape is.
"""
import http.server
import os
import random
import sys
import threading
import time
import typing

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402

TARGETS = 4
FILLERS = 300
LATE_STEP_MS = 10
LATE_REQUEST_S = 0.5
LATE_FIRST_MS = round(time.time() * 1000) - 60_000
RUNS_CHECKED = 8  # after each kill: those before it
KILLS_PER_WHOLE_CHECK = 50  # after so many, and after the last one: all runs of the last hour
WHOLE_CHECK_S = 3000


class Sequences(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    next_value = {}
    lock = threading.Lock()

    def do_GET(self):
        if harness.is_abandoned(self.connection):
            return
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


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that was killed is no news."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Seen(typing.NamedTuple):
    """Values first … last of a target, which the server answered in one run begun at start_s."""
    target: str
    first: int
    last: int
    start_s: float


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


def late_query(ranges):
    """The late samples of the scrapes of the ranges, and of all after them."""
    oldest = min(seen.first for seen in ranges)
    newest = max(Sequences.next_value.values())
    end_s = (LATE_FIRST_MS - oldest * LATE_STEP_MS + 1) / 1000
    span_s = (newest - oldest) * LATE_STEP_MS // 1000 + 2
    return f"late[{span_s}s] @ {end_s:.3f}"


def check(server, ranges, kill):
    """Asserts that all ranges are there; returns the newest value of each target."""
    if not ranges:
        return {}
    span_s = int(time.time() - min(seen.start_s for seen in ranges)) + 2
    sequences, ups = points(server, f"sequence[{span_s}s]"), points(server, f"up[{span_s}s]")
    lates = points(server, late_query(ranges))
    oldest = {}
    for target, first, last, _ in ranges:
        oldest[target] = min(first, oldest.get(target, first))
        missing = lost(sequences.get(target, []), ups.get(target, []), first, last)
        assert not missing, (
            f"after kill {kill}: target {target} lost {missing[:9]} of {first}…{last}; "
            f"stored {sequences.get(target)}, up {ups.get(target)}")
        late = {value: t for t, value in lates.get(target, [])}
        for value in (v for _, v in sequences[target] if v >= oldest[target]):
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
    print(f"{kills} kills, seed {seed}", flush=True)
    chance = random.Random(seed)
    origin = Server(("127.0.0.1", 0), Sequences)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    groups = "".join(f"- job_name: t{i}\n  metrics_path: /{i}\n  static_configs:\n"
                     f"  - targets: ['127.0.0.1:{origin.server_address[1]}']\n"
                     f"    labels: {{target: '{i}'}}\n" for i in range(TARGETS))
    config = ("storage: {tsdb: {out_of_order_time_window: 1h}}\n"
              "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n" + groups)
    ranges, newest = [], {}
    with harness.WorkFolder(work) as folder:
        for kill in range(kills + 1):
            start_s = time.time()
            server = harness.start_narthex(program, folder, config)
            try:
                server.wait_ready()
                whole = kill == kills or kill % KILLS_PER_WHOLE_CHECK == 0
                recent = [seen for seen in ranges if seen.start_s > time.time() - WHOLE_CHECK_S]
                checked = recent if whole else recent[-RUNS_CHECKED * TARGETS:]
                newest.update(check(server, checked, kill))
                if kill == kills:
                    break
                seen = observe(server, 0.5 + chance.random(), newest)
                ranges += [Seen(target, *values, start_s) for target, values in seen.items()]
                if whole:
                    print(f"{kill} kills survived", flush=True)
            finally:
                server.kill()
        total = sum(seen.last - seen.first + 1 for seen in ranges)
        assert total > kills, f"only {total} values were ever seen"
        print(f"{kills} kills, {total} values seen and kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())

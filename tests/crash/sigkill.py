#!/usr/bin/env python3
"""Kills the server with SIGKILL under load, again and again; nothing that was seen may be lost.

usage: sigkill.py NARTHEX WORK_FOLDER [KILLS]

Targets serve sequence numbers. An outside observer asks the server for the newest one and notes, for
each run of the server, the first and the last it was answered. After a restart every number between
the two must still be there.
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


class Sequences(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    next_value = {}
    lock = threading.Lock()

    def do_GET(self):
        with self.lock:
            value = self.next_value.get(self.path, 0)
            self.next_value[self.path] = value + 1
        lines = [f"sequence {value}"] + [f'filler{{n="{i}"}} {value + i}' for i in range(FILLERS)]
        body = ("\n".join(lines) + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def observe(server, seconds):
    """{target: (first, last)} of what the server answered meanwhile."""
    seen = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for series in server.data("query", query="sequence")["result"]:
            target, value = series["metric"]["target"], int(series["value"][1])
            first, _ = seen.get(target, (value, value))
            seen[target] = (first, value)
    return seen


def stored(server):
    result = server.data("query", query="sequence[1h]")["result"]
    return {s["metric"]["target"]: [int(v) for _, v in s["values"]] for s in result}


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
    config = "global: {scrape_interval: 50ms, scrape_timeout: 50ms}\nscrape_configs:\n" + groups
    ranges = []
    with harness.WorkFolder(work) as folder:
        for kill in range(kills + 1):
            server = harness.start_narthex(program, folder, config).wait_ready()
            values = stored(server) if ranges else {}
            for target, first, last in ranges:
                missing = set(range(first, last + 1)) - set(values.get(target, []))
                assert not missing, f"after kill {kill}: target {target} lost {sorted(missing)[:9]}"
            if kill == kills:
                server.stop()
                break
            # Older runs were checked after the kill before; keep a bounded number of them.
            ranges = ranges[-40 * TARGETS:]
            seen = observe(server, 0.3 + chance.random())
            server.kill()
            ranges += [(target, first, last) for target, (first, last) in seen.items()]
        total = sum(last - first + 1 for _, first, last in ranges)
        assert total > kills, f"only {total} values were ever seen"
        print(f"{kills} kills, {total} values of the last runs seen and kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())

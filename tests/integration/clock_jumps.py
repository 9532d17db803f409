#!/usr/bin/env python3
"""The wall clock is set while the server runs (by libfaketime; the monotonic clock goes on): an hour
ahead, back, ten years ahead for a moment; and the process is stopped for a while. The schedule goes
on at its interval, what was stored stays, what cannot be stored is counted and said.

usage: clock_jumps.py NARTHEX WORK_FOLDER
"""
import glob
import os
import signal
import sys
import time

import harness
import scripted

INTERVAL_MS = 400
HOUR_S = 3600
TEN_YEARS_S = 3650 * 86400

CONFIG = """\
storage: {{tsdb: {{out_of_order_time_window: {window}}}}}
global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms}}
scrape_configs:
- job_name: j
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


class Origin:
    """Notes when it is asked, by the monotonic clock."""

    def __init__(self):
        self.arrivals = []
        origin = self

        class Handler(scripted.Handler):
            def do_GET(self):
                if harness.is_abandoned(self.connection):
                    self.close_connection = True
                    return
                origin.arrivals.append(time.monotonic())
                body = f"m {len(origin.arrivals)}\n".encode()
                self.answer(body)

        self.port = scripted.serve(Handler).server_port

    def wait(self, count=5, extra=2):
        """So many more scrapes; not more of them than are due and `extra`."""
        start, before = time.monotonic(), len(self.arrivals)
        harness.wait_until(lambda: len(self.arrivals) >= before + count, f"{count} scrapes")
        # One may have been under way, and one that came late is followed sooner by the next.
        due = (time.monotonic() - start) * 1000 / INTERVAL_MS
        assert len(self.arrivals) - before <= due + extra, (len(self.arrivals) - before, due)


class World:
    """A server whose wall clock can be set."""

    def __init__(self, program, folder, library, origin, window="0s"):
        self.clock_path = os.path.join(folder, "clock")
        self.offset_s = 0
        self.set_clock(0)
        self.origin = origin
        self.folder = folder
        self.config = CONFIG.format(window=window, interval=INTERVAL_MS, port=origin.port)
        self.environment = dict(os.environ, LD_PRELOAD=library, FAKETIME_NO_CACHE="1",
                                FAKETIME_DONT_FAKE_MONOTONIC="1", DONT_FAKE_MONOTONIC="1",
                                FAKETIME_TIMESTAMP_FILE=self.clock_path)
        self.program = program
        self.start()

    def start(self):
        self.server = harness.start_narthex(
            self.program, self.folder, self.config, "--storage.tsdb.min-block-duration=10s",
            "--storage.tsdb.retention.time=15d", environment=self.environment).wait_ready()

    def set_clock(self, offset_s):
        self.offset_s = offset_s
        with open(self.clock_path + ".new", "w") as file:
            file.write(f"{offset_s:+}s\n")
        os.rename(self.clock_path + ".new", self.clock_path)

    def now(self):
        return time.time() + self.offset_s

    def stored(self, name="m"):
        """[(t_ms, value)], wherever the clock stood."""
        found = {}
        for offset_s in (0, HOUR_S, TEN_YEARS_S):
            end = time.time() + offset_s + 300
            result = self.server.data("query", query=f"{name}[10m]", time=f"{end:.3f}")["result"]
            found.update((round(float(t) * 1000), float(v)) for t, v in
                         (result[0]["values"] if result else []))
        return sorted(found.items())

    def refused(self):
        return sum(self.server.metric_sum(f"prometheus_target_scrapes_sample_{why}_total")
                   for why in ("out_of_order", "out_of_bounds"))

    def log(self):
        with open(self.server.log_path) as log:
            return log.read()


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def is_subset(before, after):
    lost = set(before) - set(after)
    assert not lost, f"{len(lost)} samples are gone: {sorted(lost)[:5]}"


def check_up(world):
    def is_up():
        target = world.server.data("targets")["activeTargets"][0]
        return (target["health"], target["lastError"]) == ("up", "")
    harness.wait_until(is_up, "the target is up")


def check_every_scrape(world):
    """Bodies count up: every one was stored, but those that came too late on a busy machine."""
    failed = sum(v == 0 for _, v in world.stored("up"))
    values = [v for _, v in world.stored()]
    assert values == sorted(values), values
    missing = set(range(int(values[0]), int(values[-1]))) - set(map(int, values))
    assert len(missing) <= failed, (missing, failed)


def check_hour(world):
    """An hour ahead and back."""
    origin = world.origin
    origin.wait()
    before = world.stored()
    assert len(before) >= 4, before
    world.set_clock(HOUR_S)
    origin.wait(3)
    harness.wait_until(lambda: len(world.stored()) > len(before) + 3, "samples after the jump")
    origin.wait()
    ahead = world.stored()
    is_subset(before, ahead)
    # A gap in time, none in what was scraped.
    check_every_scrape(world)
    steps = [b - a for (a, _), (b, _) in zip(ahead, ahead[1:])]
    equal(sum(step > HOUR_S * 1000 / 2 for step in steps), 1)
    equal(world.refused(), 0)
    check_up(world)
    harness.wait_until(lambda: "The wall clock jumped ahead" in world.log(), "the log says so")
    equal(world.server.metric_sum("narthex_wall_clock_jumps_total"), 1)

    world.set_clock(0)
    harness.wait_until(lambda: world.refused() > 0, "refused samples are counted")
    origin.wait()
    harness.wait_until(lambda: "The wall clock jumped back" in world.log(), "the log says so")
    assert "Samples of a scrape were left out" in world.log()
    check_up(world)
    behind = world.stored()
    is_subset(ahead, behind)
    # It catches up: samples are stored again.
    world.set_clock(HOUR_S + 120)
    harness.wait_until(lambda: len(world.stored()) > len(behind) + 3, "samples again")
    is_subset(ahead, world.stored())


def check_window(world):
    """With an out-of-order window nothing is lost on the way back, either."""
    world.origin.wait()
    world.set_clock(HOUR_S)
    harness.wait_until(lambda: any(t > (time.time() + HOUR_S / 2) * 1000
                                   for t, _ in world.stored()), "samples ahead")
    world.set_clock(0)
    start = time.time()
    harness.wait_until(lambda: sum(start * 1000 < t < (start + HOUR_S / 2) * 1000
                                   for t, _ in world.stored()) > 3, "samples behind")
    equal(world.refused(), 0)


def blocks(world):
    data = os.path.join(world.folder, "narthex-data")
    return {os.path.basename(path) for path in glob.glob(f"{data}/*")
            if len(os.path.basename(path)) == 26}


def check_ten_years(world):
    """Ahead for a moment only: no block goes, not even after a restart."""
    harness.wait_until(lambda: world.server.metric_sum("prometheus_tsdb_blocks_loaded") >= 1, "a block", 120)
    before = world.stored()
    cut = world.server.metric_sum("prometheus_tsdb_compactions_total")
    world.set_clock(TEN_YEARS_S)
    world.origin.wait(3)
    world.set_clock(0)
    harness.wait_until(lambda: world.refused() > 0, "refused samples are counted")
    # The head now spans ten years and is cut; after that retention has its turn.
    harness.wait_until(lambda: world.server.metric_sum("prometheus_tsdb_compactions_total") > cut, "a cut")
    world.origin.wait(15)
    is_subset(before, world.stored())
    equal(world.server.metric_sum("prometheus_tsdb_time_retentions_total"), 0)
    held = blocks(world)
    assert held
    status, _ = world.server.stop()
    equal(status, 0)
    world.start()
    world.origin.wait()
    is_subset(before, world.stored())
    equal(world.server.metric_sum("prometheus_tsdb_time_retentions_total"), 0)


def check_stopped(world):
    """As long as the process does not run: one scrape is made up for at once, not all."""
    world.origin.wait()
    world.server.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    harness.wait_until(lambda: time.monotonic() > stopped + 10 * INTERVAL_MS / 1000, "ten intervals")
    before = len(world.origin.arrivals)
    world.server.process.send_signal(signal.SIGCONT)
    world.origin.wait(8, extra=3)
    check_every_scrape(world)
    assert len(world.origin.arrivals) > before
    equal(world.server.metric_sum("narthex_wall_clock_jumps_total"), 0)


def run(program, work, library, check, window="0s"):
    origin = Origin()
    with harness.WorkFolder(work) as folder:
        world = World(program, folder, library, origin, window)
        try:
            check(world)
        finally:
            world.server.stop()
    print(f"{check.__name__}: {len(origin.arrivals)} scrapes")


def main():
    program, work = sys.argv[1:3]
    with open(program, "rb") as file:
        if b"__asan_init" in file.read() or "tsan" in program:
            harness.skip("libfaketime does not go with a sanitizer")
    pattern = f"usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketimeMT.so.1"
    library = harness.fetch_peer("libfaketime", pattern, os.path.join(work, "peers"))
    run(program, work, os.path.abspath(library), check_hour)
    run(program, work, os.path.abspath(library), check_window, "2h")
    run(program, work, os.path.abspath(library), check_ten_years)
    run(program, work, os.path.abspath(library), check_stopped)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Live scraping, what clients get meanwhile, the restart after SIGKILL, and the cost of doing
nothing."""
import http.client
import math
import os
import subprocess
import sys
import threading
import time
import urllib.parse

import harness

from .load import Load
from .measure import ForeignLoad, cpu_seconds, kernel_seconds, memory_bytes, tree_bytes
from .systems import EMPTY_CONFIG, new_folder

CLIENTS = 16
CLIENT_QUERY = "sum by (mode) (rate(node_cpu_seconds_total[1m]))"


def instant(server, query, at_s):
    """The values of an instant query, None when there is no answer."""
    try:
        status, body = server.api("query", query=query, time=f"{at_s:.3f}")
        return [item["value"][1] for item in body["data"]["result"]] if status == 200 else None
    except (OSError, ValueError, KeyError):
        return None


def interval_spread(server):
    """(longest 99 % quantile of the intervals between scrapes) in seconds, if it is shown."""
    text = harness.http_get(server.url + "/metrics")[2].decode()
    values = [float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
              if line.startswith("prometheus_target_interval_length_seconds{")
              and 'quantile="0.99"' in line]
    values = [value for value in values if not math.isnan(value)]
    return max(values) if values else None


def count_answers(port, stop, counts, index):
    path = "/api/v1/query?" + urllib.parse.urlencode({"query": CLIENT_QUERY})
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not stop.is_set():
        try:
            connection.request("GET", path)
            if connection.getresponse().read().startswith(b'{"status":"success"'):
                counts[index] += 1
        except (OSError, http.client.HTTPException):
            connection.close()
    connection.close()


def many_clients(server, seconds):
    """Answers a second for clients that ask at once."""
    stop, counts = threading.Event(), [0] * CLIENTS
    threads = [threading.Thread(target=count_answers, args=(server.port, stop, counts, i))
               for i in range(CLIENTS)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - start)


def measure_scraping(system, options, results, server, load, folder):
    foreign = ForeignLoad([server.process.pid, load.process.pid])
    cpu, before = cpu_seconds(server.process.pid), load.stats()
    kernel = kernel_seconds(server.process.pid)
    time.sleep(options.seconds)
    used, after = cpu_seconds(server.process.pid) - cpu, load.stats()
    kernel = kernel_seconds(server.process.pid) - kernel
    samples = after["samples"] - before["samples"]
    held, clean = memory_bytes(server.process.pid)
    results.note_foreign(foreign.share())
    name = system.name
    results.add("scrape: CPU per sample", "ns", name, used / samples * 1e9)
    results.add("scrape: of it in the kernel", "ns", name, kernel / samples * 1e9)
    results.add("scrape: samples offered", "1/s", name, samples / options.seconds)
    results.add("scrape: memory held per series", "B", name, held / load.series)
    results.add("scrape: clean file pages per series", "B", name, clean / load.series)
    results.add("scrape: disk per sample, log included", "B", name,
                tree_bytes(os.path.join(folder, "data")) / after["samples"])
    spread = interval_spread(server)
    if spread is not None:
        results.add("scrape: 99 % of intervals", "s", name, spread)
    if after["repeated"]:
        results.note(f"{name}: {after['repeated']} scrapes saw a body again")


def restart(system, options, folder, server, results):
    """Kills, starts again; the answer must be what it was before the kill."""
    query, at_s = 'count({job="load"})', time.time() - 2 * options.interval
    want = instant(server, query, at_s)
    server.kill()
    start = time.monotonic()
    server = system.start(folder, "0", server.port)
    ready = None
    while time.monotonic() - start < 120:
        if ready is None and system.is_ready(server):
            ready = time.monotonic() - start
        if ready is not None and want and instant(server, query, at_s) == want:
            results.add("SIGKILL: ready", "s", system.name, ready)
            results.add("SIGKILL: first right answer", "s", system.name, time.monotonic() - start)
            return server
        time.sleep(0.003)
    results.note(f"{system.name}: two minutes after SIGKILL {query} was not {want} but "
                 f"{instant(server, query, at_s)}")
    return server


def live_once(system, options, results):
    rows = (options.seconds + options.client_seconds) // options.interval + 12
    load = Load(options, options.series, rows, options.each)
    server = None
    try:
        folder = new_folder(options, system.name, load.config(options.interval))
        server = system.wait_ready(system.start(folder))
        harness.wait_until(lambda: load.stats()["scrapes"] >= 2 * load.targets,
                           "two scrapes of every target", 10 * options.interval + 60)
        measure_scraping(system, options, results, server, load, folder)
        before = load.stats()["scrapes"]
        start = time.monotonic()
        rate = many_clients(server, options.client_seconds)
        expected = load.targets * (time.monotonic() - start) / options.interval
        results.add(f"{CLIENTS} clients while scraping", "answers/s", system.name, rate)
        results.add("scrapes meanwhile, of those due", "", system.name,
                    (load.stats()["scrapes"] - before) / expected)
        server = restart(system, options, folder, server, results)
    finally:
        if server:
            server.kill()
        load.stop()


def run_live(options, results):
    for round_number in range(options.rounds):
        order = results.systems if round_number % 2 == 0 else results.systems[::-1]
        for system in order:
            live_once(system, options, results)
            print(f"live: round {round_number + 1}, {system.name} done", file=sys.stderr)


def stripped_bytes(program, folder):
    out = os.path.join(folder, "stripped")
    subprocess.run(["strip", "-o", out, program], check=True)
    size = os.path.getsize(out)
    os.unlink(out)
    return size


def run_idle(options, results):
    """A process without targets, after a while."""
    for system in results.systems:
        folder = new_folder(options, "idle-" + system.name, EMPTY_CONFIG)
        server = system.wait_ready(system.start(folder))
        try:
            time.sleep(5)
            cpu = cpu_seconds(server.process.pid)
            time.sleep(options.idle_seconds)
            held, clean = memory_bytes(server.process.pid)
            results.add("idle: CPU of a core", "%", system.name,
                        (cpu_seconds(server.process.pid) - cpu) / options.idle_seconds * 100)
            results.add("idle: memory held", "MB", system.name, held / 1e6)
            results.add("idle: resident in all", "MB", system.name, (held + clean) / 1e6)
            results.add("idle: stripped program", "MB", system.name,
                        stripped_bytes(system.program, folder) / 1e6)
        finally:
            server.kill()

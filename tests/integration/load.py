#!/usr/bin/env python3
"""Two hundred clients with mixed queries, half of which close early: no error that is not a declared
limit, scrapes keep their schedule, and memory and descriptors come back.

A few seconds; a minute with NARTHEX_LONG=1. wrk comes from its Debian package.

usage: load.py NARTHEX WORK_FOLDER
"""
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

import harness

CONFIG = """
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: self
  static_configs: [{targets: ["127.0.0.1:%d"]}]
- job_name: host
  metrics_path: /metrics/host
  static_configs: [{targets: ["127.0.0.1:%d"]}]
"""
STEADY = 100
LEAVING = 100
RSS_GROWTH_MAX = 64 << 20

PATHS = [
    "/api/v1/query?query=up",
    "/api/v1/query?query=sum%20by%20(handler)%20(rate(prometheus_http_requests_total%5B30s%5D))",
    "/api/v1/query_range?query=rate(node_cpu_seconds_total%5B30s%5D)&start={start}&end={end}&step=1",
    "/api/v1/query_range?query=%7Bjob%3D%22self%22%7D&start={start}&end={end}&step=5",
    "/api/v1/series?match%5B%5D=up",
    "/api/v1/labels",
    "/api/v1/label/__name__/values",
    "/api/v1/metadata",
    "/api/v1/targets",
    "/api/v1/status/tsdb",
    "/federate?match%5B%5D=up",
    "/metrics",
]

SCRIPT = """
local paths = { %s }
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init(args) good = 0; limited = 0; bad = 0; example = ""; number = math.random(#paths) end
function request()
  number = number + 1
  return wrk.format("GET", paths[number %% #paths + 1])
end
function response(status, headers, body)
  if status == 200 then good = good + 1
  elseif status == 503 and (body:find("too many requests are waiting") or
      body:find("query timed out in") ) then limited = limited + 1
  else bad = bad + 1; example = status .. " " .. body:sub(1, 300) end
end
function done(summary, latency, requests)
  local sums = { good = 0, limited = 0, bad = 0 }
  local seen = ""
  for _, thread in ipairs(threads) do
    for name, value in pairs(sums) do sums[name] = value + thread:get(name) end
    if thread:get("example") ~= "" then seen = thread:get("example") end
  end
  local e = summary.errors
  print(string.format("RESULT good=%%d limited=%%d bad=%%d connect=%%d read=%%d write=%%d timeout=%%d",
    sums.good, sums.limited, sums.bad, e.connect, e.read, e.write, e.timeout))
  print("EXAMPLE " .. seen)
end
"""


def leave_early(address, paths, end, seed, counts):
    """Asks, reads nothing or a little, and goes; some with a reset."""
    dice = random.Random(seed)
    sockets = []
    while time.monotonic() < end:
        while len(sockets) < LEAVING // 10:
            client = socket.create_connection(address, timeout=30 * harness.PATIENCE)
            client.sendall(f"GET {dice.choice(paths)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            sockets.append(client)
            counts[seed] += 1
        client = sockets.pop(dice.randrange(len(sockets)))
        if dice.random() < 0.5:
            client.recv(dice.randrange(1, 500))
        if dice.random() < 0.5:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        time.sleep(0.005)  # paces the load, and waits for nothing
    for client in sockets:
        client.close()


def run_load(server, work, wrk, environment, seconds):
    now = time.time()
    paths = [path.format(start=now - 60, end=now) for path in PATHS]
    script = os.path.join(work, "mixed.lua")
    with open(script, "w") as file:
        file.write(SCRIPT % ", ".join(json.dumps(path) for path in paths))
    host, port = server.url.removeprefix("http://").split(":")
    end = time.monotonic() + seconds
    counts = [0] * 10
    leavers = [threading.Thread(target=leave_early,
                                args=((host, int(port)), paths, end, seed, counts))
               for seed in range(10)]
    for leaver in leavers:
        leaver.start()
    out = subprocess.run([wrk, "-t2", f"-c{STEADY}", f"-d{seconds}s", "--timeout", "60s", "-s",
                          script, server.url], env=environment, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=seconds + 120).stdout
    for leaver in leavers:
        leaver.join()
    found = re.search(r"^RESULT (.*)$", out, re.M)
    assert found, out
    result = {k: int(v) for k, v in (pair.split("=") for pair in found[1].split())}
    assert result["good"] > 0 and sum(counts) > LEAVING, (result, counts)
    for error in ("bad", "connect", "read", "write", "timeout"):
        assert result[error] == 0, out
    return result, sum(counts)


def check(server, work, wrk, environment, seconds):
    harness.wait_until(lambda: all(len(server.data("query", query=f"up{{job='{job}'}} == 1")
                                       ["result"]) == 1 for job in ("self", "host")), "both up")
    run_load(server, work, wrk, environment, 1)  # caches and pools as they will be
    before = server.metrics()
    start = time.time()
    result, left = run_load(server, work, wrk, environment, seconds)
    end = time.time()

    def is_calm():
        after = server.metrics()
        rss = after["process_resident_memory_bytes"] - before["process_resident_memory_bytes"]
        fds = after["process_open_fds"] - before["process_open_fds"]
        return rss < RSS_GROWTH_MAX and fds < 20 and after
    after = harness.wait_until(is_calm, "memory and descriptors back")
    assert server.data("status/active_queries") == []

    # Each tick stored `up`; at the window's ends one may be outside.
    for job in ("self", "host"):
        ticks = float(server.data("query", time=end, query=f"count_over_time(up{{job='{job}'}}"
                                  f"[{int((end - start) * 1000)}ms])")["result"][0]["value"][1])
        assert ticks >= (end - start) * 0.95 - 2, (job, ticks, end - start)
    print(f"{seconds} s: {result['good']} answers, {result['limited']} refused by declared limits, "
          f"{left} clients left early; resident before/after "
          f"{before['process_resident_memory_bytes'] / 1e6:.0f}/"
          f"{after['process_resident_memory_bytes'] / 1e6:.0f} MB")


def main():
    program, folder = sys.argv[1:3]
    (wrk,), environment = harness.fetch_peers(["wrk", "libluajit-5.1-2"], ["usr/bin/wrk"], folder)
    seconds = 60 if os.environ.get("NARTHEX_LONG") else 4
    port = harness.free_port()
    with harness.WorkFolder(folder) as work:
        server = harness.start_narthex(program, work, CONFIG % (port, port), port=port)
        try:
            server.wait_ready()
            check(server, work, wrk, environment, seconds)
        finally:
            server.stop()


main()

#!/usr/bin/env python3
"""Makes blocks out of an OpenMetrics file and asks a server for every sample of it.

usage: import_blocks.py NARTHEX NARTHEXCTL WORK_FOLDER
"""
import math
import os
import random
import subprocess
import sys

import harness

SEED = 20261122
START_S = 1700006400  # a multiple of two hours
CONFIG = "global: {scrape_interval: 1h}\n"


def make_series(generator):
    """{labels text: [(t_ms, value)…]}: targets on a grid, a jittered one, one with a long gap, and
    more samples of one time than the smallest slice holds."""
    series = {}
    for instance in range(3):
        for i in range(20):
            name = f'requests_total{{instance="i{instance}",job="grid",path="/p{i}"}}'
            series[name] = [((START_S + k * 15) * 1000, float(k * i + instance))
                            for k in range(-500, 900) if generator.random() > 0.02]
    t_ms = START_S * 1000 - 3600_000
    points = []
    for _ in range(700):
        t_ms += generator.randint(1, 20000)
        points.append((t_ms, generator.uniform(-1e6, 1e6)))
    series['jitter{job="own"}'] = points
    series['gap{job="own"}'] = [(START_S * 1000 + 1, 1.5), (START_S * 1000 + 40 * 3600_000, 2.5)]
    series["special"] = [((START_S + i) * 1000, v) for i, v in
                         enumerate([math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])]
    return series


def write_file(path, series, generator):
    """Series by series, one of them shuffled: no order is needed."""
    with open(path, "w") as file:
        file.write("# TYPE requests counter\n")
        for name, points in series.items():
            points = list(points)
            if name.startswith("jitter"):
                generator.shuffle(points)
            for t_ms, value in points:
                text = str(value).replace("inf", "Inf")
                file.write(f"{name} {text} {t_ms // 1000}.{t_ms % 1000:03d}\n")
        file.write("# EOF\n")


def run_import(ctl, path, folder, *flags):
    return subprocess.run([ctl, "tsdb", "create-blocks-from", "openmetrics", *flags, path, folder],
                          capture_output=True, text=True)


def label_text(metric):
    labels = ",".join(f'{k}="{v}"' for k, v in sorted(metric.items()) if k != "__name__")
    return metric["__name__"] + ("{" + labels + "}" if labels else "")


def check_server(program, folder, series):
    server = harness.start_narthex(program, folder, CONFIG,
                                   "--storage.tsdb.retention.time=100y").wait_ready()
    try:
        first = min(p[0][0] for p in series.values()) / 1000
        last = max(p[-1][0] for p in series.values()) / 1000
        answer = server.data("query", query='{__name__=~".+"}[%dms]' % ((last - first + 1) * 1000),
                             time=f"{last:.3f}")
        found = {}
        for item in answer["result"]:
            found[label_text(item["metric"])] = [(round(float(t) * 1000), float(v))
                                                 for t, v in item["values"]]
        assert found.keys() == series.keys(), (found.keys() ^ series.keys())
        for name, points in series.items():
            assert [repr(p) for p in found[name]] == [repr(p) for p in points], name
    finally:
        server.stop()


def check_refusals(program, ctl, folder):
    def refused(text, *wanted):
        path = os.path.join(folder, "bad.om")
        with open(path, "w") as file:
            file.write(text)
        result = run_import(ctl, path, os.path.join(folder, "bad-data"))
        assert result.returncode == 1, result
        for part in wanted:
            assert part in result.stderr, (part, result.stderr)
        blocks = [n for n in os.listdir(os.path.join(folder, "bad-data")) if len(n) == 26]
        assert not blocks, blocks

    refused("a 1 1\n", "after the entry in line 1", "# EOF")
    refused("a 1 1\nb 1\n# EOF\n", "line 2", "timestamp")
    refused("a 1 1\nb{x=1} 1 1\n# EOF\n", "after the entry in line 1")
    refused("a 1 1\na 2 1\n# EOF\n", "series a", "two values at 1000")
    refused('a 1 1\na{x="1",x="2"} 2 1\n# EOF\n', "line 2", "not unique")
    server = harness.start_narthex(program, os.path.join(folder, "live"), CONFIG).wait_ready()
    try:
        path = os.path.join(folder, "good.om")
        with open(path, "w") as file:
            file.write("a 1 1\n# EOF\n")
        result = run_import(ctl, path, os.path.join(folder, "live", "narthex-data"))
        assert result.returncode == 1 and "in use" in result.stderr, result
    finally:
        server.stop()


def main():
    program, ctl, work = sys.argv[1:4]
    print(f"seed {SEED}")
    with harness.WorkFolder(work) as folder:
        series = make_series(random.Random(SEED))
        path = os.path.join(folder, "input.om")
        write_file(path, series, random.Random(SEED))
        for flags in ([], ["--quiet", "--samples-in-memory=4000"], ["--samples-in-memory=20000"]):
            server_folder = os.path.join(folder, f"server{len(flags)}{flags[-1:]}")
            data = os.path.join(server_folder, "narthex-data")
            os.makedirs(server_folder)
            result = run_import(ctl, path, data, *flags)
            assert result.returncode == 0, result
            blocks = [n for n in os.listdir(data) if len(n) == 26]
            # The grid alone lies in four ranges.
            assert len(blocks) >= 4, blocks
            assert not os.path.exists(os.path.join(data, "import.tmp"))
            listing = subprocess.run([ctl, "tsdb", "list", data], capture_output=True, text=True)
            rows = sorted(listing.stdout.splitlines())
            assert sorted(result.stdout.splitlines()) == ([] if "--quiet" in flags else rows)
            check_server(program, server_folder, series)
        check_refusals(program, ctl, folder)
    print(f"{sum(map(len, series.values()))} samples")
    return 0


if __name__ == "__main__":
    sys.exit(main())

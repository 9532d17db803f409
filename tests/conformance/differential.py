#!/usr/bin/env python3
"""Asks Narthex and Debian's Prometheus the same random questions about the same recorded samples.

usage: differential.py NARTHEX NARTHEXCTL WORK_FOLDER [--count N] [--seed N] [--query EXPR]…

Recorded scrapes become one OpenMetrics file with timestamps on a grid, which both servers import.
Prometheus 2.42 has closed ranges and 3.14 left-open ones: evaluation times lie a third of an
interval behind the grid, where that is the same. Results are compared digit by digit, or at 1e-9
where the query says so (query_generator.py), errors as both failing. What is left stands in
known_differences.py, one minimal case each. NARTHEX_LONG=1 asks LONG_COUNT queries.
"""
import argparse
import collections
import glob
import json
import math
import os
import random
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
import harness  # noqa: E402
import known_differences  # noqa: E402
import prometheus_peer  # noqa: E402
import query_generator  # noqa: E402

SEED = 20261122
SHORT_COUNT, LONG_COUNT = 300, 2500
INTERVAL_S = 15
SCRAPES = 120
START_S = 1795359060  # on the grid of all subquery steps
# job, instance, seconds behind the grid, factor on gauges, scrape at which counters start again
TARGETS = [("node", "a", 0, 1, None), ("node", "b", 7, 1.25, 61), ("prometheus", "a", 0, 1, 85),
           ("redis", "a", 0, 1, None), ("alertmanager", "a", 7, 1, None)]
CONFIG = "global: {scrape_interval: 1h}\n"
# A prefix that 2.42 has not for range queries; which duplicates are found first.
UNSTABLE_TEXT = re.compile(r'^invalid parameter "query": |(?<=operation: )\[.*\]|'
                           r"(?<=match group )\{.*\}(?= on the)")
COUNTER = re.compile(r"_(total|count|sum|bucket)(\{|$)")


# ---- the samples ----

def unpack(job, folder):
    archive = os.path.join(os.environ.get("NARTHEX_SHARED", ""), "corpus", job + ".tar.zst")
    if not os.path.exists(archive):
        harness.skip(f"there is no {archive}")
    if not os.path.isdir(os.path.join(folder, job)):
        subprocess.run(["tar", "-x", "--zstd", "-f", archive, "-C", folder], check=True)
    return sorted(glob.glob(os.path.join(folder, job, "*.txt")))[:3 * SCRAPES:3]


def with_labels(key, labels):
    return key[:-1] + "," + labels + "}" if key.endswith("}") else key + "{" + labels + "}"


def target_samples(target, folder, generator):
    """{series text: {t_s: value text}}, with samples missing and counters starting again."""
    job, instance, shift_s, factor, reset_at = target
    labels = f'job="{job}",instance="{instance}"'
    series, bases = {}, {}
    for i, path in enumerate(unpack(job, folder)):
        with open(path) as body:
            for line in body:
                if line.startswith("#") or not line.strip():
                    continue
                key, value = line.rstrip("\n").rsplit(" ", 1)
                if COUNTER.search(key) and reset_at is not None:
                    if i == reset_at:
                        bases[key] = float(value)
                    if key in bases:
                        value = repr(float(value) - bases[key])
                elif not COUNTER.search(key) and factor != 1:
                    value = repr(float(value) * factor)
                points = series.setdefault(with_labels(key, labels), {})
                points[START_S + i * INTERVAL_S + shift_s] = value
    for points in series.values():
        gap = generator.randrange(SCRAPES) if generator.random() < 0.05 else SCRAPES
        for i, t_s in enumerate(sorted(points)):
            if generator.random() < 0.01 or gap <= i < gap + generator.randint(8, 32):
                del points[t_s]
    return series


def special_samples(generator):
    """Values that recorded targets do not show."""
    values = {"nan": ["NaN", "1", "2", "NaN"], "inf": ["+Inf", "1", "-Inf", "3"],
              "zero": ["0", "-0", "1e-320", "-1e-320"], "large": ["1e300", "2e300", "1e308", "5"],
              "walk": [str(i) for i in range(-3, 12)], "same": ["-7.25"]}
    series = {}
    for kind, texts in values.items():
        for i in range(3):
            series[f'special_gauge{{job="special",kind="{kind}",i="{i}"}}'] = {
                START_S + k * INTERVAL_S: generator.choice(texts) for k in range(SCRAPES)}
    return series


def write_samples(path, folder, seed):
    """Writes the file; returns the series' texts."""
    generator = random.Random(seed)
    names = []
    with open(path, "w") as file:
        groups = [target_samples(target, folder, generator) for target in TARGETS]
        for series in groups + [special_samples(generator)]:
            for text, points in series.items():
                names.append(text)
                for t_s, value in sorted(points.items()):
                    file.write(f"{text} {value} {t_s}\n")
        file.write("# EOF\n")
    return names


def parse_series(text):
    name, _, rest = text.partition("{")
    labels = {"__name__": name}
    for label, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', rest):
        labels[label] = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value)
    return labels


# ---- asking ----

class Question:
    def __init__(self, text, loose, times):
        self.text = text
        self.loose = loose
        self.start_s, self.end_s, self.step_s = times

    def ask(self, server, kind):
        if kind == "instant":
            return server.api("query", query=self.text, time=f"{self.end_s:.3f}")[1]
        return server.api("query_range", query=self.text, start=f"{self.start_s:.3f}",
                          end=f"{self.end_s:.3f}", step=str(self.step_s))[1]


def values_by_time(data):
    """{t: sorted values}, for results of which series may be chosen freely among equals."""
    by_time = {}
    for points in prometheus_peer.flatten(data).values():
        for t, value in points:
            by_time.setdefault(t, []).append(float(value))
    return {t: sorted(values, key=lambda v: (math.isnan(v), v)) for t, values in by_time.items()}


def compare_ranked(ours, theirs):
    a, b = values_by_time(ours), values_by_time(theirs)
    for t in sorted(a.keys() | b.keys()):
        x, y = a.get(t, []), b.get(t, [])
        if len(x) != len(y) or not all(prometheus_peer.close(v, w) for v, w in zip(x, y)):
            return f"values at {t}: {x}, not {y}"
    return None


def compare(question, kind, ours, theirs):
    """None, or how the answers differ."""
    if ours["status"] != theirs["status"]:
        return f"{ours.get('error', 'succeeds')}; there: {theirs.get('error', 'succeeds')}"
    if ours["status"] == "error":
        a, b = (f"{x['errorType']}: {UNSTABLE_TEXT.sub('', x['error'])}" for x in (ours, theirs))
        return None if a == b else f"{a}; there {b}"
    ours, theirs = ours["data"], theirs["data"]
    text = question.text.removeprefix("( # why\n\t")
    if text.startswith(("topk", "bottomk")):
        return compare_ranked(ours, theirs)
    problem = prometheus_peer.compare(question.text, ours, theirs, question.loose)
    if problem is None and kind == "instant" and text.startswith("sort"):
        orders = [[item["value"][1] for item in data["result"]] for data in (ours, theirs)]
        if not all(prometheus_peer.close(v, w) for v, w in zip(*orders)):
            problem = f"order {orders[0]}, not {orders[1]}"
    return problem


# ---- running ----

class Run:
    def __init__(self, servers):
        self.servers = servers
        self.asked = self.failing = self.empty = 0
        self.known = collections.Counter()
        self.problems = []

    def question(self, label, question):
        for kind in ("instant", "range"):
            ours, theirs = (question.ask(server, kind) for server in self.servers)
            self.asked += 1
            self.failing += ours["status"] == "error"
            self.empty += ours["status"] == "success" and not ours["data"]["result"]
            problem = compare(question, kind, ours, theirs)
            if problem is None or self.is_known(question, kind, ours, theirs):
                continue
            self.problems.append(label)
            print(f"{label} {kind} {question.start_s:.3f}..{question.end_s:.3f}/{question.step_s}"
                  f"{' loose' if question.loose else ''}: {question.text}\n    {problem}",
                  flush=True)

    def is_known(self, question, kind, ours, theirs):
        difference = known_differences.Difference(self.servers, question, kind, ours, theirs)
        for known in known_differences.KNOWN:
            if known.matches(difference):
                self.known[known.name] += 1
                return True
        return False

    def known_cases(self):
        """Each entry must still be needed, and enough for its case."""
        for known in known_differences.KNOWN:
            question = Question(known.case, known.loose, known.times)
            ours, theirs = (question.ask(server, known.kind) for server in self.servers)
            difference = known_differences.Difference(self.servers, question, known.kind, ours,
                                                      theirs)
            problem = compare(question, known.kind, ours, theirs)
            if problem is None or not known.matches(difference):
                self.problems.append(known.name)
                print(f"{known.name}: its case is not one: {known.case}: {problem}")


def off_grid(scrape):
    return START_S + scrape * INTERVAL_S + INTERVAL_S / 3


def make_questions(series, count, seed):
    times = [off_grid(i) for i in range(20, SCRAPES, 9)]
    for i in range(count):
        generator = query_generator.Generator(series, times, f"{seed}/{i}")
        node = generator.query()
        start = generator.random.randrange(8, SCRAPES - 30)
        step = generator.choice([1, 2, 4])
        end = min(SCRAPES + 10, start + step * generator.choice([5, 12, 20]))
        yield f"{seed}/{i}", Question(node.text, node.loose,
                                      (off_grid(start), off_grid(end), step * INTERVAL_S))


def import_samples(program, path, data):
    os.makedirs(os.path.dirname(data), exist_ok=True)
    result = subprocess.run([program, "tsdb", "create-blocks-from", "openmetrics", path, data],
                            capture_output=True, text=True)
    assert result.returncode == 0, (program, result.stdout, result.stderr)


def run_questions(arguments, servers, series):
    run = Run(servers)
    if arguments.query:
        for text in arguments.query:
            run.question(text, Question(text, False, (off_grid(30), off_grid(90), 60)))
    else:
        run.known_cases()
        for label, question in make_questions(series, arguments.count, arguments.seed):
            run.question(label, question)
    print(f"{run.asked} questions, {run.failing} fail here, {run.empty} are empty, "
          f"{len(run.problems)} differ")
    for name, count in sorted(run.known.items()):
        print(f"known: {name}: {count}")
    return not run.problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("narthex")
    parser.add_argument("narthexctl")
    parser.add_argument("work")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--count", type=int,
                        default=LONG_COUNT if os.environ.get("NARTHEX_LONG") else SHORT_COUNT)
    parser.add_argument("--query", action="append")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.count} queries", flush=True)
    os.makedirs(arguments.work, exist_ok=True)
    peers = os.path.join(arguments.work, "peers")
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", peers)
    promtool = harness.fetch_peer("prometheus", "usr/bin/promtool", peers)
    with harness.WorkFolder(arguments.work) as folder:
        path = os.path.join(folder, "samples.om")
        corpus = os.path.join(arguments.work, "corpus")
        os.makedirs(corpus, exist_ok=True)
        series = [parse_series(text) for text in write_samples(path, corpus, SEED)]
        import_samples(arguments.narthexctl, path, os.path.join(folder, "narthex-data"))
        import_samples(promtool, path, os.path.join(folder, "prometheus-data"))
        keep = "--storage.tsdb.retention.time=100y"
        servers = [harness.start_narthex(arguments.narthex, folder, CONFIG, keep),
                   harness.start_prometheus(prometheus, folder, CONFIG, keep)]
        try:
            for server in servers:
                server.wait_ready()
            same = run_questions(arguments, servers, series)
        finally:
            for server in servers:
                server.stop()
        assert same
    return 0


if __name__ == "__main__":
    sys.exit(main())

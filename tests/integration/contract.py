#!/usr/bin/env python3
"""Sends the same requests to Debian's Prometheus and to Narthex on the same data and compares
status, headers and body.

usage: contract.py NARTHEX NARTHEXCTL WORK_FOLDER [--write] [--case NAME]…

Both import one OpenMetrics file and scrape one page (contract_data.py). Bodies of JSON are compared
parsed, with the order of keys and every number as its text; folds over several series at 1e-9.
Every difference stands in contract_differences.txt with both answers, one case each; an entry that
no longer differs, or differs otherwise, fails. --write brings the table up to date; what is new
there has to be given a reason before the test passes.
"""
import argparse
import gzip
import http.client
import json
import os
import re
import subprocess
import sys
import time
import zlib

import contract_cases
import contract_data
import contract_differences
import harness
import prometheus_peer

ATTEMPTS = 3
ALWAYS = ("Content-Type", "Content-Encoding", "Location")
# Wall clock, durations and the machine: only their form is compared.
VOLATILE_KEYS = {"lastScrape", "lastScrapeDuration", "startTime", "serverTime", "lastConfigTime",
                 "evalTotalTime", "resultSortTime", "queryPreparationTime", "innerEvalTime",
                 "execQueueTime", "execTotalTime", "goroutineCount"}
# Which of equals comes first is by chance there; times of the head are the wall clock's, and our
# columns are not their chunks.
VOLATILE_PATHS = re.compile(
    r"body\.data\.(seriesCountBy\w+|labelValueCountByLabelName|memoryInBytes\w+)\[\d+\]\.name|"
    r"body\.data\.headStats\.((min|max)Time|chunkCount)|"
    r"body\.data\.(storage\.tsdb\.path|config\.file|web\.listen-address|hostname|yaml)|"
    r"body(\.data)?\.(version|revision|branch|build\w+|goVersion|CWD)")
# Where a query of no time ends is by chance.
TIMED_OUT = re.compile("query timed out in (query queue|expression evaluation|query execution)")
TIME_FORM = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?(Z|[+-]\d\d:\d\d)$")


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


def send(server, case):
    """The raw request: nothing is added but Host and Content-Length, no redirect is followed."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.putrequest(case.method, case.target, skip_accept_encoding=True)
        for name, value in case.send.items():
            connection.putheader(name, value)
        if case.body is not None:
            connection.putheader("Content-Length", str(len(case.body)))
        elif case.method in ("POST", "PUT"):
            connection.putheader("Content-Length", "0")
        connection.endheaders(case.body)
        answer = connection.getresponse()
        headers = {}
        for name, value in answer.getheaders():
            headers.setdefault(name, []).append(value)
        return Answer(answer.status, headers, answer.read())
    finally:
        connection.close()


def unpacked(answer):
    encoding = answer.headers.get("Content-Encoding", [""])[0]
    if encoding == "gzip":
        return gzip.decompress(answer.body)
    if encoding == "deflate":
        return zlib.decompress(answer.body)
    return answer.body


def form_of(text):
    """What is compared of a volatile value."""
    if TIME_FORM.match(text):
        return "<time>"
    return "<number>" if re.match(r"^-?[\d.]+(e-\d+)?$", text) else text


class Pairs(list):
    """A JSON object with its order of keys."""


def flat(value, path, out):
    """{path: text} of all leaves of a JSON document; order of keys is a leaf of its own."""
    if isinstance(value, Pairs):
        out[path + "{}"] = " ".join(key for key, _ in value)
        for key, inner in value:
            if key in VOLATILE_KEYS and not isinstance(inner, (list, Pairs)):
                inner = form_of(str(inner))
            flat(inner, f"{path}.{key}", out)
    elif isinstance(value, list):
        out[path + "[]"] = str(len(value))
        for i, inner in enumerate(value):
            flat(inner, f"{path}[{i}]", out)
    else:
        # A number is told from a string by its quotes.
        if VOLATILE_PATHS.fullmatch(path):
            value = form_of(str(value)) if "headStats" in path else "<any>"
        out[path] = f'"{value}"' if isinstance(value, str) else str(value)
    return out


class Number:
    """A number as the text it had."""

    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text


def leaves(case, answer):
    """{path: text} of the whole body."""
    body = unpacked(answer)
    if body.startswith(b"{"):
        document = json.loads(body, parse_int=Number, parse_float=Number, object_pairs_hook=Pairs)
        if case.unordered and success_of(answer) == "success":
            dict(document)["data"].sort(key=lambda item: json.dumps(flat(item, "", {})))
        return flat(document, "body", {})
    return {"body": body.decode("utf-8", "replace")}


def success_of(answer):
    """An error of the API in one line, else None."""
    body = unpacked(answer)
    if not answer.headers.get("Content-Type", [""])[0].startswith("application/json"):
        return None
    document = json.loads(body)
    if not isinstance(document, dict) or document.get("status") != "error":
        return "success"
    return f"{document['errorType']}: {document['error']}"


def differences(case, ours, theirs):
    """{path: [ours, theirs]} of everything that differs. What only the peer has is told by the
    count or the keys of its parent; an error against a success is one line."""
    found = {}

    def note(path, a, b):
        if a != b:
            found[path] = [a, b]

    note("status", str(ours.status), str(theirs.status))
    for name in dict.fromkeys(ALWAYS + case.compare):
        note(name, *(", ".join(x.headers.get(name, [])) for x in (ours, theirs)))
    outcomes = [success_of(x) for x in (ours, theirs)]
    if outcomes[0] != outcomes[1]:
        note("outcome", *(x or "no JSON" for x in outcomes))
        return found
    a, b = leaves(case, ours), leaves(case, theirs)
    for path in a:
        x, y = a[path], b.get(path, "(absent)")
        if not (case.loose and numbers_close(x, y)):
            note(path, x, y)
    return found


def numbers_close(a, b):
    try:
        return prometheus_peer.close(a.strip('"'), b.strip('"'))
    except ValueError:
        return False


def has_missed(server):
    """Whether a scrape was too late on a busy machine, which stales what it had."""
    return any(item["value"][1] == "0" for item in
               server.data("query", query="min_over_time(up[10s])")["result"])


def is_scraped(server):
    return server.data("query", query="scrape_samples_scraped > 0")["result"]


class Run:
    def __init__(self, servers, table, target_port):
        self.servers = servers
        self.table = table
        self.target_port = str(target_port)
        self.found = []  # (case, its differences)
        self.known = 0
        self.problems = 0

    def ask(self, case):
        """What differs."""
        ours, theirs = (send(server, case) for server in self.servers)
        found = {what: [TIMED_OUT.sub("query timed out", text).replace(self.target_port,
                                                                       "PORT") for text in answers]
                 for what, answers in differences(case, ours, theirs).items()}
        return {what: answers for what, answers in found.items() if answers[0] != answers[1]}

    def case(self, case):
        known = self.table.get(case.name)
        expected = known.differences if known is not None else {}
        found = self.ask(case)
        for _ in range(ATTEMPTS):
            if found == expected or not any(has_missed(server) for server in self.servers):
                break
            harness.wait_until(lambda: all(is_scraped(server) for server in self.servers), "a scrape")
            found = self.ask(case)
        self.found.append((case.name, found))
        if known is not None and found == known.differences:
            self.known += 1
            return
        if known is None and not found:
            return
        self.problems += 1
        print(f"{case.name}: {case.method} {case.target}")
        expected = {} if known is None else known.differences
        for path in dict.fromkeys(list(found) + list(expected)):
            if found.get(path) != expected.get(path):
                print(f"    {path}: {found.get(path, 'no longer differs')}"
                      + (f", in the table {expected[path]}" if path in expected else ""))


def prepare(arguments, folder, prometheus, promtool, target):
    path = os.path.join(folder, "samples.om")
    now_s = int(time.time())
    count = contract_data.write_samples(path, now_s)
    for program, name in ((arguments.narthexctl, "narthex-data"), (promtool, "prometheus-data")):
        subprocess.run([program, "tsdb", "create-blocks-from", "openmetrics", path,
                        os.path.join(folder, name)], check=True, stdout=subprocess.DEVNULL)
    config = contract_data.CONFIG.format(port=target.port)
    flags = ["--storage.tsdb.retention.time=100y", "--web.external-url=http://lab.example:9/",
             "--enable-feature=promql-per-step-stats"]
    print(f"{count} samples", flush=True)
    return [harness.start_narthex(arguments.narthex, folder, config, *flags),
            harness.start_prometheus(prometheus, folder, config, *flags)]


def wait_for_data(servers, target):
    for server in servers:
        server.wait_ready()
    for server in servers:
        harness.wait_until(lambda: is_scraped(server), "a scrape")


def run_cases(arguments, servers, target_port):
    table = contract_differences.read()
    run = Run(servers, table, target_port)
    cases = contract_cases.all_cases()
    wanted = [case for case in cases if not arguments.case or case.name in arguments.case]
    unknown = set(table) - {case.name for case in cases}
    if unknown:
        print(f"in the table, but no cases: {sorted(unknown)}")
    unreviewed = [name for name, known in table.items()
                  if known.reason == contract_differences.NOT_REVIEWED]
    if unreviewed:
        print(f"in the table without a reason: {unreviewed}")
    for case in wanted:
        run.case(case)
    print(f"{len(wanted)} requests, {run.known} differ as the table says, {run.problems} otherwise")
    if arguments.write:
        contract_differences.write(table, run.found)
    return run.problems == 0 and not unknown and not unreviewed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("narthex")
    parser.add_argument("narthexctl")
    parser.add_argument("work")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--case", action="append")
    arguments = parser.parse_args()
    os.makedirs(arguments.work, exist_ok=True)
    peers = os.path.join(arguments.work, "peers")
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", peers)
    promtool = harness.fetch_peer("prometheus", "usr/bin/promtool", peers)
    target = contract_data.Target()
    with harness.WorkFolder(arguments.work) as folder:
        servers = prepare(arguments, folder, prometheus, promtool, target)
        try:
            wait_for_data(servers, target)
            same = run_cases(arguments, servers, target.port)
        finally:
            for server in servers:
                server.stop()
        assert same
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Targets that misbehave show a clear error and harm nothing else; bad requests get Prometheus'
status codes and texts; reload and stop keep their promises.

usage: hostile_targets.py NARTHEX WORK_FOLDER
"""
import json
import os
import signal
import socket
import sys
import threading

import harness
import scripted

GOOD = b"# TYPE good gauge\ngood 1\n"
ended = threading.Event()


class Handler(scripted.Handler):
    def do_GET(self):
        kind = self.path.strip("/")
        if kind == "good":
            self.answer(GOOD)
        elif kind == "garbage":
            self.answer(b"\xff{{{ this is not a metric }}}\n")
        elif kind == "utf8":
            self.answer(b'fine 1\nutf8{a="\xff"} 1\n')
        elif kind == "loop":
            self.answer(b"", 302, Location="/loop")
        elif kind == "half":
            self.answer(b"fine 1\nbroken{a=\"b\" 2\n")
        elif kind == "oversized":
            self.answer(b"big 1\n" * 20000)
        elif kind == "missing":
            self.send_error(404)
        elif kind == "no_type":
            self.answer(GOOD, kind="application/octet-stream")
        elif kind == "slow":
            ended.wait()
        elif kind == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"cut 1\n")
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        elif kind == "endless":
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"endless 1\n" * 1000)
            except OSError:
                pass


# Job name -> part of its last error.
EXPECTED = {
    "down": "connection refused",
    "garbage": "while parsing",
    "half": "while parsing",
    "utf8": 'invalid UTF-8 label value: "\\"\\xff\\""',
    "loop": "stopped after 10 redirects",
    "oversized": "body size limit exceeded",
    "endless": "body size limit exceeded",
    "missing": "server returned HTTP status 404 Not Found",
    "no_type": 'received unsupported Content-Type "application/octet-stream"',
    "slow": "context deadline exceeded",
    "cut": "EOF",
}

# (path, parameters, status, error type, part of the error)
BAD_REQUESTS = [
    ("query", {}, 400, "bad_data",
     'invalid parameter "query": unknown position: parse error: no expression found in input'),
    ("query", {"query": "sum("}, 400, "bad_data", "unclosed left parenthesis"),
    ("query", {"query": "up", "time": "x"}, 400, "bad_data",
     'invalid parameter "time": invalid time value for \'time\': cannot parse "x" to a valid '
     "timestamp"),
    ("query", {"query": "up", "timeout": "x"}, 400, "bad_data",
     'invalid parameter "timeout": cannot parse "x" to a valid duration'),
    ("query", {"query": "up", "limit": "-1"}, 400, "bad_data",
     'invalid parameter "limit": limit must be non-negative'),
    ("query", {"query": "up + on() up"}, 0, "", ""),
    ("query_range", {"query": "up", "start": "0", "end": "11001", "step": "1"}, 400, "bad_data",
     "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query "
     "resolution (?step=XX)"),
    ("query_range", {"query": "up", "start": "0", "end": "10", "step": "0"}, 400, "bad_data",
     'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
     "Try a positive integer"),
    ("query_range", {"query": "up", "start": "10", "end": "0", "step": "1"}, 400, "bad_data",
     'invalid parameter "end": end timestamp must not be before start time'),
    ("query_range", {"query": "up", "end": "0", "step": "1"}, 400, "bad_data",
     'invalid parameter "start": cannot parse "" to a valid timestamp'),
    ("query_range", {"query": "up[1m]", "start": "0", "end": "10", "step": "1"}, 400, "bad_data",
     'invalid parameter "query": invalid expression type "range vector" for range query, must be '
     "Scalar or instant Vector"),
    ("series", {}, 400, "bad_data", "no match[] parameter provided"),
    ("series", {"match[]": "{}"}, 400, "bad_data",
     "match[] must contain at least one non-empty matcher"),
    ("admin/tsdb/delete_series", {}, 405, None, None),
]


def check_bad_requests(server):
    for path, params, status, kind, text in BAD_REQUESTS:
        if status == 0:
            continue
        if kind is None:
            got = harness.http_get(f"{server.url}/api/v1/{path}")[0]
            assert got == status, (path, got)
            continue
        got, answer = server.api(path, **params)
        assert got == status, (path, params, got, answer)
        assert answer["status"] == "error" and answer["errorType"] == kind, answer
        assert text in answer["error"], answer
    # 11,001 points are still answered.
    server.data("query_range", query="up", start="0", end="11000", step="1")


def targets_of(server):
    return {t["scrapePool"]: t for t in server.data("targets")["activeTargets"]}


def wait_good(server):
    def is_good():
        good = targets_of(server)["good"]
        return good["health"] == "up" and good["lastError"] == ""
    harness.wait_until(is_good, "the good target up")


def check_targets(server):
    left = dict(EXPECTED, good="")

    def all_judged():
        # Each is seen as it should be; what a busy machine makes of it the next time is its affair.
        for job, target in targets_of(server).items():
            if job in left and left[job] in target["lastError"] and \
                    target["health"] == ("down" if left[job] else "up"):
                del left[job]
        return not left
    try:
        harness.wait_until(all_judged, "all targets judged", 30)
    except AssertionError:
        for job, target in sorted(targets_of(server).items()):
            print(job, target["health"], target["lastError"])
        raise
    wait_good(server)

    def kept_schedule():
        samples = server.data("query", query="count_over_time(good[5s])")["result"]
        return samples and float(samples[0]["value"][1]) >= 8
    harness.wait_until(kept_schedule, "8 samples of the good target within 5 s", 30)

    def stored():
        return {s["metric"]["job"]: s["value"][1] for s in
                server.data("query", query="up")["result"]}
    harness.wait_until(lambda: stored() == {"good": "1", **dict.fromkeys(EXPECTED, "0")}, "up")

    def sizes():
        found = {s["metric"]["job"]: s["value"][1] for s in
                 server.data("query", query="scrape_body_size_bytes")["result"]}
        return [found[job] for job in ("good", "down", "oversized")]
    harness.wait_until(lambda: sizes() == [str(len(GOOD)), "0", "-1"], "sizes of bodies")
    # Nothing of a body that failed was stored.
    assert server.data("query", query='{__name__=~"fine|broken|utf8|big|cut|endless"}')["result"] == []


def check_failure_log(server, path):
    """A line for each failure; nothing of the target that is well."""
    with open(path) as file:
        lines = [json.loads(line) for line in file.read().splitlines()]
    for job, part in EXPECTED.items():
        mine = [line for line in lines if line["job_name"] == job]
        assert mine and all(line["level"] == "ERROR" for line in mine), (job, mine[:2])
        assert any(part in line["msg"] for line in mine), (job, mine[-1])
        assert mine[-1]["target"].endswith("/" + job), mine[-1]
    assert not any(line["job_name"] == "good" for line in lines)


def check_dropped(server):
    """keep_dropped_targets: 2 of 5 are shown, all are counted."""
    targets = server.data("targets", state="dropped")
    mine = [target for target in targets["droppedTargets"]
            if target["discoveredLabels"]["job"] == "dropped"]
    assert len(mine) == 2, mine
    assert targets["droppedTargetCounts"]["dropped"] == 5, targets["droppedTargetCounts"]


def check_reload(server, config_path, failures):
    with open(config_path) as file:
        text = file.read()
    with open(config_path, "w") as file:
        file.write(text + "unknown_section: 1\n")
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until(
        lambda: server.data("status/runtimeinfo")["reloadConfigSuccess"] is False, "reload fails")
    wait_good(server)
    with open(config_path, "w") as file:
        file.write(text.replace("job_name: garbage", "job_name: renamed"))
    os.rename(failures, failures + ".1")
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: "renamed" in targets_of(server), "reload applies")
    harness.wait_until(lambda: server.data("status/runtimeinfo")["reloadConfigSuccess"] is True,
                       "the reload is over")
    # The log is opened anew, for jobs that did not change, too.
    harness.wait_until(lambda: os.path.exists(failures) and '"job_name":"down"' in open(failures).read(),
                       "a failure in the new log")


def main():
    program, work = sys.argv[1:3]
    port = scripted.serve(Handler).server_port
    jobs = []
    for job in ["good", *EXPECTED]:
        target = harness.free_port() if job == "down" else port
        jobs.append(f"- job_name: {job}\n  metrics_path: /{job}\n  static_configs:\n"
                    f"  - targets: ['127.0.0.1:{target}']\n")
    jobs.append("- job_name: dropped\n  keep_dropped_targets: 2\n  relabel_configs:\n"
                "  - {action: drop}\n  static_configs:\n  - targets: [a, b, c, d, e]\n")
    with harness.WorkFolder(work) as folder:
        failures = os.path.join(folder, "failures.log")
        config = ("global: {scrape_interval: 500ms, scrape_timeout: 500ms, body_size_limit: 64KB, "
                  f"scrape_failure_log_file: {failures}}}\nscrape_configs:\n" + "".join(jobs))
        server = harness.start_narthex(program, folder, config,
                                       "--enable-feature=extra-scrape-metrics").wait_ready()
        try:
            check_targets(server)
            check_failure_log(server, failures)
            check_dropped(server)
            check_bad_requests(server)
            check_reload(server, os.path.join(folder, "narthex.yml"), failures)
        finally:
            # The slow target never answers: who waited for it would not end.
            status, seconds = server.stop(8)
        ended.set()
        assert status == 0, status
        print(f"stopped within {seconds:.1f} s")
        with open(os.path.join(folder, "bad.yml"), "w") as file:
            file.write("global:\n  scrape_intervall: 15s\n")
        bad = harness.Server([program, f"--config.file={folder}/bad.yml"], "", folder + "/bad.log")
        assert bad.process.wait(20 * harness.PATIENCE) == 2
        text = bad.log_tail()
        assert "bad.yml" in text and "line 2" in text and "scrape_intervall" in text, text
    print("all hostile targets contained")
    return 0


if __name__ == "__main__":
    sys.exit(main())

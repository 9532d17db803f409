#!/usr/bin/env python3
"""What a target answers, and what a job asks for, to Narthex and to Debian's Prometheus: both must
send the same request, judge the answer alike, say the same error and store the same samples.

usage: scrape_answers_peer.py NARTHEX WORK_FOLDER

Where 2.42 words an error otherwise than 3.14, the case gives the text; where it judges otherwise, the
case gives the judgement as well (`alone`).
"""
import gzip
import http.server
import json
import os
import sys
import threading
import zlib

import harness

PAGE = b"a 1\n"
PACKED = gzip.compress(PAGE)
TEXT = ("Content-Type", "text/plain")
NO_START = 'expected a valid start token, got "\\x1f" ("INVALID") while parsing: "\\x1f"'
NO_TYPE = " and no fallback_scrape_protocol specified for target"


class Case:
    """An answer and a job's settings. text: Narthex' error, where Prometheus words it otherwise;
    alone: Narthex' health, where Prometheus judges otherwise."""

    def __init__(self, body=PAGE, headers=(TEXT,), status=200, job="", addresses=("HOST",), text=None,
                 alone=None):
        self.body = body
        self.headers = headers
        self.status = status
        self.job = job
        self.addresses = addresses
        self.text = text
        self.alone = alone


def encoded(encodings, body=PACKED, **more):
    return Case(body, [TEXT] + [("Content-Encoding", encoding) for encoding in encodings], **more)


def relabeled(rule, metrics=False, **more):
    key = "metric_relabel_configs" if metrics else "relabel_configs"
    return Case(job=f"    {key}: [{{{rule}}}]\n", **more)


def limited(limit, body, **more):
    return Case(body, job=f"    {limit}\n", **more)


CASES = {
    "gzip": encoded(["gzip"]),
    "gzip_blanks": encoded(["  gzip  "]),
    "gzip_upper": encoded(["GZIP"], text=NO_START),
    "gzip_other_name": encoded(["x-gzip"], text=NO_START),
    "gzip_in_list": encoded(["gzip, identity"], text=NO_START),
    "gzip_first": encoded(["gzip", "identity"]),
    "gzip_second": encoded(["identity", "gzip"], text=NO_START),
    "gzip_after_nothing": encoded(["", "gzip"], PAGE),
    "gzip_twice": encoded(["gzip"], gzip.compress(PACKED), text=NO_START),
    "gzip_cut": encoded(["gzip"], PACKED[:-4]),
    "gzip_empty": encoded(["gzip"], b""),
    "gzip_not": encoded(["gzip"], PAGE),
    "gzip_not_long": encoded(["gzip"], PAGE * 9),
    "gzip_and_more": encoded(["gzip"], PACKED + b"junk"),
    "gzip_two_members": encoded(["gzip"], PACKED + gzip.compress(b"b 2\n")),
    "deflate": encoded(["deflate"], zlib.compress(PAGE),
                       text='strconv.ParseFloat: parsing "\\x9cKT0\\xe4\\x02": invalid syntax while '
                            'parsing: "x\\x9cKT0\\xe4\\x02"'),
    "deflate_not": encoded(["deflate"], PAGE),
    "zstd_not": encoded(["zstd"], PAGE),
    "type_twice": Case(headers=[TEXT, ("Content-Type", "application/openmetrics-text")]),
    "type_none": Case(headers=(), alone="down", text="non-compliant scrape target sending blank "
                                                     "Content-Type" + NO_TYPE),
    "type_other": Case(headers=[("Content-Type", "text/html")], alone="down",
                       text='received unsupported Content-Type "text/html"' + NO_TYPE),
    "status_201": Case(status=201),
    "status_204": Case(b"", status=204),
    "status_304": Case(b"", status=304),
    "status_404": Case(status=404),
    "status_503": Case(b"", status=503),
    "empty": Case(b"", headers=()),
    "no_answer": Case(None),
    "cut": Case(PAGE, headers=[TEXT, ("Content-Length", "99")]),
    "slow": Case("slow", job="    scrape_timeout: 500ms\n"),
    "slow_body": Case("slow body", job="    scrape_timeout: 500ms\n"),
    "redirect": Case(b"", [("Location", "/gzip")], 302),
    "redirect_off": Case(b"", [("Location", "/gzip")], 302, job="    follow_redirects: false\n"),
    "redirect_loop": Case(b"", [("Location", "/redirect_loop")], 302),
    "redirect_nowhere": Case(b"", (), 302),
    "user": Case(addresses=["user@HOST"]),
    "user_and_password": Case(addresses=["user:secret@HOST"],
                              text='parse "http://user:secret%40HOST/user_and_password": '
                                   'invalid URL escape "%40"'),
    "space": Case(addresses=["a b:80"]),
    "fragment": Case(addresses=["HOST#x?y"],
                     text='parse "http://HOST%23x%3Fy/fragment": invalid port '
                          '":PORT%23x%3Fy" after host'),
    "refused": Case(addresses=["127.0.0.1:REFUSED"]),
    "port_0": Case(addresses=["127.0.0.1:0"]),
    "port_name": Case(addresses=["127.0.0.1:http"]),
    "bracket": Case(addresses=["[::1"],
                    text='parse "http://[::1/bracket": missing \']\' in host'),
    "scheme_none": relabeled("target_label: __scheme__, replacement: ''"),
    "scheme": relabeled("target_label: __scheme__, replacement: ftp"),
    "path": Case(job="    metrics_path: 'path/met rics?a=b'\n"),
    "params": Case(job="    params: {b: [x, 'y z'], a: ['ä&'], c: []}\n    relabel_configs: [{target_label: "
                       "__param_b, replacement: q}, {target_label: __param_d, replacement: w}]\n"),
    "address_slash": relabeled("target_label: __address__, replacement: a/b"),
    "address_none": relabeled("target_label: __address__, replacement: ''"),
    "interval_0": relabeled("target_label: __scrape_interval__, replacement: 0s"),
    "interval_bad": relabeled("target_label: __scrape_interval__, replacement: x"),
    "timeout_long": relabeled("target_label: __scrape_timeout__, replacement: 20s"),
    "dropped": relabeled("action: drop"),
    "conflicts": Case(b'a{instance="i",job="x",exported_job="y",exported_instance="z"} 1\n'),
    "empty_labels": Case(b'a{instance="",job="x",y=""} 1\n'),
    "empty_honored": Case(b'a{instance="",y=""} 1\n', job="    honor_labels: true\n"),
    "repeated_label": Case(b'a{x="1",x="2"} 1\nb 1\n'),
    "repeated_dropped": relabeled("source_labels: [__name__], regex: a, action: drop", True,
                                  body=b'a{x="1",x="2"} 1\nb 1\n'),
    "repeated_taken": relabeled("regex: x, action: labeldrop", True,
                                body=b'a{x="1",x="2"} 1\nb 1\n'),
    "repeated_target": Case(b'a{job="1",job="2"} 1\n', job="    metric_relabel_configs: "
                                                           "[{regex: exported_job, action: labeldrop}]\n"),
    "name_dropped": relabeled("regex: __name__, action: labeldrop", True),
    "all_dropped": relabeled("regex: .*, action: labeldrop", True),
    "name_with_blank": relabeled("target_label: __name__, replacement: 'a b'", True, alone="up",
                                 text=""),
    "same_key": Case(b"a 1\na 2\n"),
    "same_labels": Case(b'a{x="1",y="2"} 1\na{y="2",x="1"} 2\n'),
    "too_late": Case(b"a 1 99999999999999\nb 1\n"),
    "too_old": Case(b"a 1 1\nb 1\n"),
    "line_broken": Case(b"a 1\nb x\n", text='strconv.ParseFloat: parsing "x": invalid syntax while '
                                            'parsing: "b x"'),
    "no_newline": Case(b"a 1\nb 2"),
    "limit_value": limited("label_value_length_limit: 20",
                           ('a{x="%s"} 1\n' % ("ä\\\"\\n" * 40)).encode()),
    "limit_name": limited("label_name_length_limit: 20", b"a{%s=\"1\"} 1\n" % (b"abcdefg" * 20)),
    "limit_labels": limited("label_limit: 3", b'%s{b="1",c="2"} 1\n' % (b"abcdefg" * 20)),
    "limit_samples": limited("sample_limit: 2", b"a 1\nb 1\nc 1\n"),
    "limit_body": limited("body_size_limit: 8B", PAGE * 2),
    "limit_body_more": limited("body_size_limit: 9B", b"a 1\nb 2\n"),
    "limit_targets": Case(job="    target_limit: 1\n", addresses=["HOST", "localhost:PORT"]),
}

REFUSED = ("address_slash", "address_none", "interval_0", "interval_bad", "timeout_long")


class Target:
    """Answers by the first part of the path; keeps what each agent asked for."""

    def __init__(self):
        self.asked = {}
        self.ended = threading.Event()
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                name = self.path.strip("/").split("?")[0].split("/")[0]
                agent = self.headers["User-Agent"].split("/")[1][0]
                target.asked.setdefault((agent, name), set()).add(self.path)
                try:
                    self.answer(CASES.get(name, Case()))
                except OSError:
                    self.close_connection = True

            def answer(self, case):
                if case.body == "slow":
                    target.ended.wait(60)
                if not isinstance(case.body, bytes) and case.body != "slow body":
                    self.close_connection = True
                    return
                body = PAGE if case.body == "slow body" else case.body
                self.send_response(case.status)
                for name, value in case.headers:
                    self.send_header(name, value)
                if case.body == "slow body":
                    self.send_header("Content-Length", "99")
                elif "Content-Length" not in dict(case.headers) and case.status not in (204, 304):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
                if case.body == "slow body":
                    target.ended.wait(60)
                self.close_connection |= "Content-Length" in dict(case.headers)

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def make_config(fill):
    lines = ["global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n"]
    for name, case in CASES.items():
        path = "" if "metrics_path" in case.job else f"    metrics_path: /{name}\n"
        addresses = json.dumps([fill(address) for address in case.addresses])
        lines.append(f"  - job_name: {name}\n{path}{case.job}"
                     f"    static_configs: [{{targets: {addresses}}}]\n")
    return "".join(lines)


def judgements(server):
    """By job: (health, error, URL, labels) of its targets, sorted."""
    found = {name: [] for name in CASES}
    targets = server.data("targets")
    for target in targets["activeTargets"]:
        found[target["scrapePool"]].append((target["health"], target["lastError"],
                                            target["scrapeUrl"], sorted(target["labels"].items())))
    for target in targets["droppedTargets"]:
        found[target["discoveredLabels"]["job"]].append(("dropped", "", "", []))
    return {name: sorted(targets) for name, targets in found.items()}


def is_judged(server):
    found = judgements(server)
    return all(targets or name in REFUSED for name, targets in found.items()) and not any(
        target[0] == "unknown" for targets in found.values() for target in targets)


def stored(server):
    """By job: its samples, without what depends on when it is asked."""
    found = {name: [] for name in CASES}
    for series in server.data("query", query='{job!=""}')["result"]:
        labels = dict(series["metric"])
        job = labels["job"]
        if labels.get("__name__") not in ("scrape_duration_seconds", "scrape_series_added"):
            found[job].append((sorted(labels.items()), series["value"][1]))
    return {name: sorted(samples) for name, samples in found.items()}


def compare(name, case, fill, ours, theirs):
    """What is wrong with a case, or None. ours, theirs: (judgements, samples, requests)."""
    if case.text is not None:
        errors = [target[1] for target in ours[0]]
        if errors != [fill(case.text)]:
            return f"says {errors}"
    if case.alone is not None:
        health = [target[0] for target in ours[0]]
        return None if health == [case.alone] else f"is {health}"
    skipped = 1 if case.text is not None else 4
    cut = [[target[:skipped] + target[max(skipped, 2):] for target in side[0]]
           for side in (ours, theirs)]
    if cut[0] != cut[1]:
        return f"judged {cut[0]}\n  Prometheus: {cut[1]}"
    for what, part in (("stored", 1), ("asked for", 2)):
        if ours[part] != theirs[part]:
            return f"{what} {ours[part]}\n  Prometheus: {theirs[part]}"
    return None


def main():
    program, work = sys.argv[1:3]
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", os.path.join(work, "peers"))
    target = Target()
    refused = harness.free_port()

    def fill(text):
        return (text.replace("HOST", f"127.0.0.1:{target.port}").replace("PORT", str(target.port))
                .replace("REFUSED", str(refused)))

    config = make_config(fill)
    flag = "--enable-feature=extra-scrape-metrics"
    failures = 0
    with harness.WorkFolder(work) as folder:
        servers = []
        try:
            servers.append(harness.start_narthex(program, folder, config, flag).wait_ready())
            servers.append(harness.start_prometheus(prometheus, folder, config, flag).wait_ready())
            for server in servers:
                harness.wait_until(lambda server=server: is_judged(server), "all targets are judged")
            sides = [(judgements(server), stored(server)) for server in servers]
            for name, case in CASES.items():
                ours, theirs = ((side[0][name], side[1][name], target.asked.get((agent, name)))
                                for agent, side in zip("32", sides))
                problem = compare(name, case, fill, ours, theirs)
                if problem:
                    failures += 1
                    print(f"{name}: {problem}")
            print(f"{len(CASES)} cases, {failures} differ")
        finally:
            target.ended.set()
            for server in servers:
                server.stop()
        assert failures == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

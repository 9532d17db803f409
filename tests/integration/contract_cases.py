"""Requests that the contract test sends: every endpoint of the HTTP API with its parameters, their
limits, wrong values and encodings, generated from tables of the specification."""
import collections
import urllib.parse

import contract_data as data

# compare: headers besides those that always are; loose: folds over series, at 1e-9; unordered: a
# list that comes in any order there.
Case = collections.namedtuple("Case", "name method target body send compare loose unordered")

T = str(data.INSTANT_S)
RANGE = [
    ("start", str(data.RANGE_START_S)), ("end", str(data.INSTANT_S)), ("step", "60"),
]
SPAN = [
    ("start", str(data.START_S)), ("end", str(data.END_S)),
]
FORM = "application/x-www-form-urlencoded"
CORS = ("Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
        "Access-Control-Expose-Headers", "Access-Control-Allow-Origin")
BAD_TIMES = [
    "x", "1,5", "2023-11-15", "2023-11-15T00:00:00", "2023-13-15T00:00:00Z", "1_0", " 1", "0x",
    "1s",
]
GOOD_TIMES = [
    T, T + ".5", T + ".0004", "1.700007005e9", "2023-11-15T00:10:05Z", "2023-11-15T00:10:05.25Z",
    "2023-11-15T01:10:05+01:00", "0x1.95546p+30",
]
BAD_DURATIONS = [
    "x", "1x", "1.5m", "s", "1m1h", "-1m", "1 m", "1e400", "99999999999y", "1e20",
]
GOOD_DURATIONS = [
    "30", "30.5", "1m", "1m30s", "90000ms", "1h", "1e2",
]
BAD_LIMITS = [
    "x", "-1", "1.5", "1e3", "99999999999999999999", " 1", "+", "0x10",
]
GOOD_LIMITS = [
    "", "0", "1", "3", "+2", "100000",
]
BAD_SELECTORS = [
    "(", "{", "{}", '{a=""}', '{a!="x"}', '{a=~".*"}', "1", '"x"', "up + up", "rate(up[5m])",
    "up[5m]", "up{", 'up{a="b}', "up{a=b}", "up offset 5m", "up @ 1", '{a=~"("}', "",
    'up{__name__="x"}', "sum(up)", 'up{1a="b"}', "up{a=\"b\"} #c", "-up",
]


class Builder:
    def __init__(self):
        self.cases = []
        self.names = set()

    def add(self, name, target, params=(), method="GET", body=None, send=(), compare=(),
            loose=False, unordered=False):
        assert name not in self.names, name
        self.names.add(name)
        query = urllib.parse.urlencode(list(params))
        if query:
            target += ("&" if "?" in target else "?") + query
        self.cases.append(Case(name, method, target, body, dict(send), tuple(compare), loose,
                               unordered))

    def get(self, endpoint, label, params=(), **more):
        self.add(f"{endpoint} {label}", f"/api/v1/{endpoint}", params, **more)

    def post(self, endpoint, label, params, url_params=(), **more):
        self.add(f"POST {endpoint} {label}", f"/api/v1/{endpoint}", url_params, method="POST",
                 body=urllib.parse.urlencode(list(params)).encode(), send={"Content-Type": FORM},
                 **more)


INSTANT_QUERIES = [
    "requests_total", 'requests_total{code="500"}', "odd_value", "odd_label", "odd_time",
    "lonely[2m]", "odd_time[30s]", "lonely", "1", "-0", "1e21", "1e-7", "NaN", "Inf", "-Inf",
    "0.1", '"text <&> ü"', '""', "`raw\\n`", "vector(1)", "none_such", "1 == bool 1",
    "rate(requests_total[2m])", "time()", "timestamp(lonely)", "sort(temperature)",
    "sort_desc(temperature)", "-lonely", "absent(none_such{a=\"b\"})",
    "label_replace(lonely, \"x\", \"<&>\", \"\", \"\")", "namespace:rule:sum", "lonely offset 1m",
    f"lonely @ {T}", "lonely[1m:15s] offset 3s",
    "histogram_quantile(0.9, rate(latency_seconds_bucket{instance=\"a:80\"}[2m]))",
    "max_over_time(lonely[2m:30s])", "{__name__=\"lonely\"}", '{job="api",__name__=~"temp.*"}',
    "scalar(lonely)", "temperature > 21", "count_values(\"v\", build_info)",
    "requests_total # comment", "day_of_week()",
]
LOOSE_QUERIES = [
    "sum(temperature)", "sum by (code) (rate(requests_total[2m]))", "avg(temperature)",
    "stddev(temperature)", "quantile(0.3, temperature)",
]
BAD_QUERIES = [
    "", "(", "sum(", "requests_total{", "requests_total[5m", "1 +", "foo bar", "sum by (job",
    "rate(lonely)", "rate(lonely[0s])", "nosuch(1)", "lonely[5m] + 1", "sum(lonely[5m])",
    '"a" + 1', "lonely{a=~\"(\"}", "lonely offset", "lonely @", "lonely[5m:1x]",
    "requests_total * build_info", "requests_total * on (job) build_info{instance=\"a:80\"}",
    "label_replace(lonely, \"1x\", \"\", \"\", \"\")",
    "label_replace(lonely, \"x\", \"$1\", \"job\", \"(\")", "{}", "topk(lonely)", "1 and 2",
    "lonely and 1", "1 == 1", "bool", "lonely{job=\"a\" job=\"b\"}", "lonely{,}", "'unclosed",
    "\"unclosed", "lonely 5m", "\u00fc", "label_join(requests_total, \"code\", \"\")",
    "sum(lonely) by (job) by (code)", "!lonely", "lonely{a==\"b\"}", "lonely[-1m]", "lonely[1m]]",
    "0x", "1..2", "quantile(lonely)", "vector(lonely)", "scalar(1)",
    "count_values(\"1v\", lonely)",
    "label_replace(build_info, \"instance\", \"\", \"instance\", \".*\")",
    "lonely offset 1m offset 1m", "sum(lonely)[5m]", "-\"x\"", "rate(lonely[5m:])[5m]",
]


def queries(b):
    for text in INSTANT_QUERIES:
        b.get("query", f"ok {text}", [("query", text), ("time", T)])
    for text in LOOSE_QUERIES:
        b.get("query", f"fold {text}", [("query", text), ("time", T)], loose=True)
    for text in BAD_QUERIES:
        b.get("query", f"bad {text}", [("query", text), ("time", T)])
    for text in GOOD_TIMES:
        b.get("query", f"time {text}", [("query", "lonely"), ("time", text)])
        b.get("query", f"scalar at {text}", [("query", "1"), ("time", text)])
    for text in BAD_TIMES + ["9e99", "NaN", "Inf", "-9e99"]:
        b.get("query", f"time {text}", [("query", "lonely"), ("time", text)])
    for text in BAD_DURATIONS:
        b.get("query", f"timeout {text}", [("query", "lonely"), ("time", T), ("timeout", text)])
    for text in GOOD_DURATIONS:
        b.get("query", f"timeout {text}", [("query", "lonely"), ("time", T), ("timeout", text)])
    b.get("query", "timeout 0", [("query", "lonely"), ("time", T), ("timeout", "0")])
    for text in GOOD_LIMITS:
        b.get("query", f"limit {text!r}", [("query", "build_info"), ("time", T), ("limit", text)])
    for text in BAD_LIMITS:
        b.get("query", f"limit {text!r}", [("query", "build_info"), ("time", T), ("limit", text)])
    b.get("query", "limit of a scalar", [("query", "1"), ("time", T), ("limit", "1")])
    for text in ("1", "30s", "x", "1h", "0"):
        b.get("query", f"lookback_delta {text}",
              [("query", "lonely"), ("time", str(data.END_S + 200)), ("lookback_delta", text)])
    for text in ("true", "all", "1", "false"):
        b.get("query", f"stats {text}", [("query", "lonely"), ("time", T), ("stats", text)])
    for text in ("rate(requests_total[2m])", "sum(temperature)", "max_over_time(lonely[2m:30s])",
                 "temperature * 2", "none_such", "1"):
        b.get("query", f"stats of {text}", [("query", text), ("time", T), ("stats", "all")],
              loose=True)
        b.get("query_range", f"stats of {text}", [("query", text), ("stats", "all")] + RANGE,
              loose=True)
    b.get("query", "no parameters")
    b.get("query", "first value wins", [("query", "1"), ("query", "2"), ("time", T)])
    b.add("query order of checks", "/api/v1/query?limit=x&time=x&timeout=x&query=(")
    b.add("query order of checks 2", "/api/v1/query?time=x&timeout=x&query=(")
    b.add("query order of checks 3", "/api/v1/query?time=1&timeout=x&query=(&lookback_delta=x")
    b.add("query broken escape", f"/api/v1/query?query=1&time={T}&x=%zz")
    b.add("query broken escape of the query", f"/api/v1/query?time={T}&query=%zz")
    b.add("query broken escape at the end", f"/api/v1/query?time={T}&query=1%2")
    b.add("query semicolons", f"/api/v1/query?query=1;time={T}")
    b.add("query plus is a blank", f"/api/v1/query?time={T}&query=lonely+*+2")
    b.add("query percent-encoded", f"/api/v1/query?time={T}&query=%6Conely%20%2B%201")
    b.add("query empty pairs", f"/api/v1/query?&&time={T}&=x&query=1&")
    b.add("query time with raw plus", "/api/v1/query?query=1&time=2023-11-15T01:10:05+01:00")


def range_queries(b):
    for text in ("lonely", "requests_total", "odd_value", "1", "none_such",
                 "rate(requests_total[2m])",
                 "odd_time", "temperature > 22", "time()", "vector(1)", "lonely offset 1m", "-1",
                 "absent(none_such)", "sort(temperature)", "max_over_time(lonely[2m:30s])",
                 "scalar(lonely)", "build_info", f"lonely @ {T}", "lonely @ end()"):
        b.get("query_range", f"ok {text}", [("query", text)] + RANGE)
    for text in LOOSE_QUERIES:
        b.get("query_range", f"fold {text}", [("query", text)] + RANGE, loose=True)
    for text in ("(", "", "lonely[5m]", '"text"', "sum(", "nosuch(1)",
                 "requests_total * build_info"):
        b.get("query_range", f"bad {text}", [("query", text)] + RANGE)

    def ask(label, **changes):
        params = dict([("query", "lonely")] + RANGE, **changes)
        b.get("query_range", label, [(k, v) for k, v in params.items() if v is not None])

    for name in ("start", "end", "step", "query"):
        ask(f"without {name}", **{name: None})
        ask(f"empty {name}", **{name: ""})
    for text in BAD_TIMES:
        ask(f"start {text}", start=text)
    for text in ("x", "2023-11-15"):
        ask(f"end {text}", end=text)
    for text in BAD_DURATIONS:
        ask(f"step {text}", step=text)
    for text in ("0", "-1", "0s", "0.0001", "0.001", "1m", "61.5", "1d", "1e9"):
        ask(f"step {text}", step=text, start=T)
    ask("end before start", end=str(data.START_S))
    ask("end is start", start=T, end=T)
    ask("10999 steps", start="0", end="10999", step="1")
    ask("11000 steps", start="0", end="11000", step="1")
    ask("11001 steps", start="0", end="11001", step="1")
    ask("11000 and a half", start="0", end="11000.5", step="1")
    ask("RFC 3339", start="2023-11-15T00:05:05Z", end="2023-11-15T00:10:05Z")
    ask("ms", start=T + ".125", end=str(data.INSTANT_S + 60) + ".125", step="7.5")
    for text in ("1", "0", "x", "-1"):
        b.get("query_range", f"limit {text}", [("query", "build_info"), ("limit", text)] + RANGE)
    for name in ("timeout", "lookback_delta"):
        for text in ("x", "30s", "1e400"):
            ask(f"{name} {text}", **{name: text})
    for text in ("true", "all", "x"):
        ask(f"stats {text}", stats=text)
    ask("order of checks", limit="x", start="x", end="x", step="x", timeout="x", query="(")
    ask("order of checks 2", start="x", end="x", step="x", timeout="x", query="(")
    ask("order of checks 3", end="x", step="x", timeout="x", query="(")
    ask("order of checks 4", step="x", timeout="x", query="(")
    ask("order of checks 5", timeout="x", query="(", lookback_delta="x")


def text_forms(b):
    for text in ("1", "sum(rate(foo[5m]))by(job)", "a  +   b # c", "x{b='1',a=\"<&>\"}", "(", "",
                 "foo[5m:1m] offset 1h", "-a ^ b", "sum without(a)(b)", "a*on(x)group_left(y)b",
                 "sum by (job, instance, region) "
                 "(rate(http_requests_total_long_name{code=~\"5..\"}[5m])) "
                 "/ sum by (job, instance, region) (rate(http_requests_total_long_name[5m])) "
                 "> 0.05"):
        b.get("format_query", text, [("query", text)])
    b.get("format_query", "none")
    b.get("parse_query", "1", [("query", "1")])


def exemplars(b):
    for label, params in (
            ("ok", [("query", "lonely")] + SPAN), ("rate", [("query", "rate(x[5m])")] + SPAN),
            ("no selector", [("query", "1")] + SPAN), ("bad", [("query", "(")] + SPAN),
            ("no query", SPAN), ("no range", [("query", "lonely")]), ("start", [("query", "a"),
                                                                                ("start", "x")]),
            ("end", [("query", "a"), ("end", "x")]),
            ("end before start", [("query", "a"), ("start", "2"), ("end", "1")])):
        b.get("query_exemplars", label, params)


MATCHES = {
    "one": [("match[]", "lonely")], "name by regex": [("match[]", '{__name__=~"temp.*"}')],
    "two": [("match[]", "lonely"), ("match[]", 'build_info{instance="a:80"}')],
    "overlapping": [("match[]", 'temperature'), ("match[]", '{job="api",__name__=~"temp.+"}')],
    "none such": [("match[]", "none_such")], "html": [("match[]", "odd_label")],
    "negative": [("match[]", 'requests_total{code!~"2.*|4.*"}')],
    "absent label": [("match[]", 'lonely{job=""}')],
}


def series(b):
    for endpoint in ("series", "labels", "label/job/values", "label/__name__/values"):
        for label, params in MATCHES.items():
            b.get(endpoint, label, params + SPAN)
        for text in BAD_SELECTORS if endpoint in ("series", "labels") else BAD_SELECTORS[:6]:
            b.get(endpoint, f"bad {text}", [("match[]", text)])
        for text in GOOD_LIMITS + BAD_LIMITS:
            b.get(endpoint, f"limit {text!r}", MATCHES["negative"] + SPAN + [("limit", text)])
        for name in ("start", "end"):
            for text in ("x", "2023-11-15", "1s"):
                b.get(endpoint, f"{name} {text}", MATCHES["one"] + [(name, text)])
        b.get(endpoint, "RFC 3339", MATCHES["one"] + [("start", "2023-11-15T00:00:00Z"),
                                                      ("end", "2023-11-15T00:10:00Z")])
        b.get(endpoint, "literal limits", MATCHES["one"] + [
            ("start", "-292273086-05-16T16:47:06Z"), ("end",
                                                      "292277025-08-18T07:12:54.999999999Z")])
        b.get(endpoint, "empty times", MATCHES["one"] + [("start", ""), ("end", "")])
        b.get(endpoint, "another time", MATCHES["one"] + [("start", "1000"), ("end", "2000")])
        b.get(endpoint, "end before start", MATCHES["one"] + [("start", str(data.END_S)),
                                                              ("end", str(data.START_S))])
        b.get(endpoint, "other parameters", MATCHES["one"] + SPAN + [("foo", "bar")])
        b.add(f"{endpoint} broken escape", f"/api/v1/{endpoint}?match[]=lonely&x=%zz&start=1&end=2")
    b.get("series", "without match", SPAN)
    b.get("series", "empty match", [("match[]", "")])
    b.get("labels", "all of the time", SPAN)
    for name in ("job", "code", "none_such", "__name__", "le", "text", "kind", "U__job", "U__none",
                 "U___5f__5f_name_5f__5f_", "a%2Eb", "a b", "1a", "%C3%BC", "%ff", "a%2Fb",
                 "U__a_2e_b",
                 "U__", "a-b", "%20", "job%20"):
        # Of the imported series only.
        b.get(f"label/{name.replace(' ', '%20')}/values", f"of {name}",
              [("match[]", '{__name__=~"build.*|lat.*|lonely|name.*|odd.*|req.*|temp.*"}')] + SPAN)
    b.add("label values of nothing", "/api/v1/label//values")
    b.post("series", "form", MATCHES["two"] + SPAN)
    b.post("series", "match in URL and body", MATCHES["one"] + SPAN, MATCHES["none such"])
    b.post("series", "no match", SPAN)
    b.post("labels", "form", MATCHES["two"] + SPAN)
    b.post("labels", "limit", MATCHES["two"] + SPAN + [("limit", "1")])
    b.post("series", "limit", MATCHES["overlapping"] + SPAN + [("limit", "2")])


def posts(b):
    ask = [("query", "lonely"), ("time", T)]
    b.post("query", "form", ask)
    b.post("query", "body wins", ask, [("query", "none_such")])
    b.post("query", "URL fills up", ask[:1], ask[1:])
    b.post("query", "bad", [("query", "(")])
    b.post("query_range", "form", [("query", "lonely")] + RANGE)
    b.post("query_range", "step in URL", [("query", "lonely")] + RANGE[:2], RANGE[2:])
    b.post("query_exemplars", "form", [("query", "lonely")] + SPAN)
    b.post("format_query", "form", [("query", "a+b")])
    encoded = urllib.parse.urlencode(ask).encode()
    for label, kind in (("charset", FORM + "; charset=UTF-8"), ("upper case", FORM.upper()),
                        ("JSON", "application/json"), ("text", "text/plain"),
                        ("broken", "application/x-www-form-urlencoded;;="), ("like a form",
                                                                             FORM + "x")):
        b.add(f"POST query as {label}", "/api/v1/query", method="POST", body=encoded,
              send={"Content-Type": kind})
    b.add("POST query without type", "/api/v1/query", method="POST", body=encoded)
    b.add("POST query without body", "/api/v1/query", ask, method="POST")
    boundary = "XbX"
    parts = "".join(f"--{boundary}\r\nContent-Disposition: form-data; name=\"{k}\"\r\n\r\n{v}\r\n"
                    for k, v in ask) + f"--{boundary}--\r\n"
    b.add("POST query multipart", "/api/v1/query", method="POST", body=parts.encode(),
          send={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    b.add("POST query multipart cut", "/api/v1/query", method="POST", body=parts[:60].encode(),
          send={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    b.add("POST query broken escape", "/api/v1/query", method="POST",
          body=b"query=1&time=" + T.encode() + b"&x=%zz", send={"Content-Type": FORM})
    b.add("POST series broken escape", "/api/v1/series", method="POST",
          body=b"match[]=lonely&x=%zz", send={"Content-Type": FORM})


def targets(b):
    b.get("scrape_pools", "all")
    for state in ("", "active", "dropped", "any", "ANY", "Active", "x"):
        b.get("targets", f"state {state!r}", [("state", state)])
    for pool in ("pages", "dropped", "none"):
        b.get("targets", f"pool {pool}", [("scrapePool", pool)])
    for params in ([], [("metric", "level_volts")], [("metric", "none")], [("limit", "0")],
                   [("limit", "7")], [("limit", "x")], [("limit", "-1")], [("limit_per_metric",
                                                                            "1")],
                   [("limit", "1"), ("metric", "mode")],
                   [("limit_per_metric", "x")], [("limit", "")], [("metric", "widgets")],
                   [("metric", "widgets_total")]):
        b.get("metadata", f"with {params}", params)
    for params in ([], [("metric", "level_volts")], [("match_target", '{job="pages"}')],
                   [("match_target", '{job="x"}')], [("match_target", "(")], [("match_target",
                                                                               "{}")],
                   [("limit", "1")], [("limit", "x")], [("limit", "-1")], [("metric", "none")],
                   [("match_target", '{rack=~"r.*"}'), ("metric", "mode")]):
        b.get("targets/metadata", f"with {params}", params, unordered=True)
    for endpoint in ("rules", "alerts", "alertmanagers"):
        b.get(endpoint, "none")
    for text in ("alert", "record", "x", ""):
        b.get("rules", f"type {text!r}", [("type", text)])
    for params in ([("exclude_alerts", "true")], [("exclude_alerts", "x")], [("match[]", "(")],
                   [("match[]", '{job="x"}')], [("group_limit", "0")], [("group_limit", "x")],
                   [("group_limit", "1")], [("group_next_token", "x")], [("rule_name[]", "x")],
                   [("group_limit", "1"), ("group_next_token", "x")], [("file[]", "x")]):
        b.get("rules", f"with {params}", params)
    b.add("rules broken escape", "/api/v1/rules?x=%zz")


def status(b):
    for endpoint in ("buildinfo", "runtimeinfo", "walreplay", "flags", "config", "tsdb"):
        b.get(f"status/{endpoint}", "plain")
    for text in ("1", "2", "0", "-1", "x", "10000", "10001", ""):
        b.get("status/tsdb", f"limit {text!r}", [("limit", text)])
    b.get("status/nothing", "404")
    b.add("API root", "/api/v1/")
    b.add("API root without slash", "/api/v1")
    b.add("API nothing", "/api/v1/nothing")
    b.add("API v2", "/api/v2/query")


def admin(b):
    for call in ("delete_series", "clean_tombstones", "snapshot"):
        for method in ("POST", "PUT"):
            b.add(f"{method} {call} off", f"/api/v1/admin/tsdb/{call}", method=method)
        b.add(f"GET {call}", f"/api/v1/admin/tsdb/{call}", compare=("Allow",))
    for endpoint in ("write", "read"):
        b.add(f"GET {endpoint}", f"/api/v1/{endpoint}", compare=("Allow",))
    b.add("POST write off", "/api/v1/write", method="POST", body=b"")


def methods(b):
    paths = ["query", "query_range", "labels", "series", "label/job/values", "targets", "metadata",
             "rules",
             "status/config", "status/tsdb", "nothing", "format_query", "alerts", "scrape_pools",
             "admin/tsdb/snapshot", "query_exemplars"]
    for path in paths:
        for method in ("HEAD", "OPTIONS", "DELETE", "PATCH"):
            b.add(f"{method} {path}", f"/api/v1/{path}", method=method, compare=("Allow",) + CORS)
    for path in ("targets", "metadata", "rules", "status/config", "label/job/values"):
        b.add(f"POST {path}", f"/api/v1/{path}", method="POST", body=b"", compare=("Allow",))
    for path in ("/metrics", "/-/healthy", "/-/ready", "/federate", "/version", "/-/reload",
                 "/-/quit"):
        for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE"):
            b.add(f"{method} {path}", path, method=method, compare=("Allow",
                                                                    "X-Content-Type-Options"))
        if path not in ("/metrics", "/federate"):
            b.add(f"GET {path}", path, compare=("Allow", "X-Content-Type-Options"))


def routing(b):
    compare = ("Location", "X-Content-Type-Options")
    for path in ("/", "/graph", "/graph?g0.expr=up&g0.tab=1", "/nothing", "/-/nothing", "/api",
                 "/api/",
                 "/api/v1/query/", "/api/v1//query", "//api/v1/query", "/API/v1/query",
                 "/-/healthy/",
                 "/-//healthy", "/federate/", "/metrics/", "/METRICS", "/classic/graph",
                 "/consoles/x",
                 "/api/v1/label/job/values/", "/api/v1/label/job", "/api/v1/labels/",
                 "/api/v1/../v1/query", "/api/v1/./labels", "/%61pi/v1/query?query=1&time=1",
                 "/api/v1/label/job%2Fx/values", "/../etc/passwd", "/assets/nothing",
                 "/static/nothing"):
        b.add(f"path {path}", path, compare=compare)
    b.add("POST path /api/v1/query/", "/api/v1/query/", method="POST", compare=compare)


def negotiation(b):
    ask = [("query", "lonely"), ("time", T)]
    for text in ("gzip", "deflate", "identity", "br", "gzip, deflate", "deflate, gzip", "gzip;q=0",
                 "*",
                 "GZIP", " gzip ", "br, gzip", "gzip;q=1.0, deflate", "", "zstd"):
        b.get("query", f"Accept-Encoding {text!r}", ask, send={"Accept-Encoding": text},
              compare=("Vary",) if text in ("gzip", "") else ())
    for text in ("text/html", "application/json", "*/*", "text/plain",
                 "application/openmetrics-text"):
        b.get("query", f"Accept {text}", ask, send={"Accept": text})
    for origin in ("http://example.org", "null", "https://a.b:1234"):
        for path in ("query", "labels", "nothing"):
            b.get(path, f"Origin {origin}", ask, send={"Origin": origin}, compare=CORS)
    b.get("query", "without Origin", ask, compare=CORS + ("Vary",))
    b.get("query", "with Origin", ask, send={"Origin": "http://x"}, compare=("Vary",))
    b.get("query", "failing with Origin", [("query", "(")], send={"Origin": "http://x"},
          compare=CORS)
    b.add("federate Accept-Encoding gzip", "/federate?match[]=live_gauge",
          send={"Accept-Encoding": "gzip"}, compare=("Vary",))
    b.add("healthy Accept-Encoding gzip", "/-/healthy", send={"Accept-Encoding": "gzip"},
          compare=("Vary",) + CORS)


def federate(b):
    for text in ("live_gauge", "live_total", "live_odd", '{job="live"}', '{__name__=~"live_.*"}',
                 "none_such",
                 "lonely", "{}", "(", "", '{zone="",__name__=~"live_.*"}', '{job=~".+"} offset 5m',
                 "live_gauge{"):
        b.add(f"federate {text}", "/federate", [("match[]", text)])
    b.add("federate two", "/federate", [("match[]", "live_total"), ("match[]", "live_gauge")])
    b.add("federate twice", "/federate", [("match[]", "live_total"), ("match[]", "live_total")])
    b.add("federate nothing", "/federate")
    b.add("federate one bad", "/federate", [("match[]", "live_total"), ("match[]", "(")])
    for accept in ("text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0", "*/*",
                   "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5",
                   "application/json"):
        b.add(f"federate Accept {accept}", "/federate", [("match[]", "live_gauge")],
              send={"Accept": accept})


def all_cases():
    b = Builder()
    for part in (queries, range_queries, text_forms, exemplars, series, posts, targets, status,
                 admin,
                 methods, routing, negotiation, federate):
        part(b)
    return b.cases

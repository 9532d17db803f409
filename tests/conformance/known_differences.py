"""Where Prometheus 2.42 rightly answers otherwise than 3.14, which Narthex follows.

Each entry has the reason, one minimal case that differs today (the test checks that it still does)
and a `matches` that is as narrow as can be said; whether an answer is right by 3.14 was looked at
case by case before an entry was made.
"""
import collections
import json
import re

import prometheus_peer

Known = collections.namedtuple("Known", "name reason case kind loose times matches")

# Seconds; a third of an interval behind the grid of the samples.
TIMES = (1795359515.0, 1795360415.0, 60)
PINS = re.compile(r"@ (start|end)\(\)")
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3600_000}


class Difference:
    """Two answers to one question (text, start_s, end_s, step_s) that differ."""

    def __init__(self, servers, question, kind, ours, theirs):
        self.servers, self.question, self.kind = servers, question, kind
        self.text = question.text
        self.ours, self.theirs = ours, theirs
        self.both_succeed = ours["status"] == theirs["status"] == "success"

    def points(self):
        """[(series, t, ours, theirs)…] of the values that differ; None when not even series and
        times are the same."""
        if not self.both_succeed:
            return None
        a, b = (prometheus_peer.flatten(x["data"]) for x in (self.ours, self.theirs))
        if a.keys() != b.keys():
            return None
        found = []
        for key, points in a.items():
            if [t for t, _ in points] != [t for t, _ in b[key]]:
                return None
            found += [(key, t, v, w) for (t, v), (_, w) in zip(points, b[key]) if v != w]
        return found

    def with_times(self, text):
        """start() and end() as numbers."""
        start_s = self.question.start_s if self.kind == "range" else self.question.end_s
        return text.replace("@ start()", f"@ {start_s:.3f}").replace(
            "@ end()", f"@ {self.question.end_s:.3f}")

    def ask(self, text):
        """The same about another query."""
        question = type(self.question)(text, False, (self.question.start_s, self.question.end_s,
                                                     self.question.step_s))
        answers = [question.ask(server, self.kind) for server in self.servers]
        return Difference(self.servers, question, self.kind, *answers)


# ---- extrapolation of rates ----

def milliseconds(text):
    sign = -1 if text.startswith("-") else 1
    return sign * sum(int(n) * UNITS_MS[unit] for n, unit in re.findall(r"(\d+)(ms|s|m|h)", text))


def calls_of(text, names):
    """(function with its grouping, argument) of every call in the text."""
    for match in re.finditer(r"\b((?:" + "|".join(names) + r")(?: (?:by|without) \([^)]*\) )?) ?\(",
                             text, re.I):
        depth, quoted, i = 1, False, match.end()
        while depth > 0:
            c = text[i]
            if c == '"' and text[i - 1] != "\\":
                quoted = not quoted
            depth += 0 if quoted else (c == "(") - (c == ")")
            i += 1
        yield match[1], text[match.end():i - 1]


def extrapolated(points, start_ms, end_ms, per_range_s, zero_first):
    """rate (or increase, with per_range_s 1) of [(t_ms, value)…]."""
    delta, previous = points[-1][1] - points[0][1], points[0][1]
    for _, value in points[1:]:
        if value < previous:
            delta += previous
        previous = value
    interval = (points[-1][0] - points[0][0]) / 1000
    average = interval / (len(points) - 1)
    to_start, to_end = (points[0][0] - start_ms) / 1000, (end_ms - points[-1][0]) / 1000
    threshold = average * 1.1
    zero = interval * (points[0][1] / delta) if delta > 0 and points[0][1] >= 0 else float("inf")
    if zero_first:
        to_start = min(to_start, zero)
    if to_start >= threshold:
        to_start = average / 2
    if not zero_first:
        to_start = min(to_start, zero)
    if to_end >= threshold:
        to_end = average / 2
    return delta * ((interval + to_start + to_end) / interval / per_range_s)


def near(a, b):
    return abs(a - b) <= 1e-12 * max(abs(a), abs(b))


def samples_of(server, argument, t_s, key):
    """[(t_ms, value)…] of one series (its JSON without the name) in the range vector."""
    for item in server.data("query", query=argument, time=f"{t_s:.3f}")["result"]:
        metric = {k: v for k, v in item["metric"].items() if k != "__name__"}
        if metric == json.loads(key):
            return [(round(float(t) * 1000), float(v)) for t, v in item["values"]]
    raise AssertionError(f"{argument} lacks {key}")


def is_zero_point(difference):
    """Computes the inner rates again, from the samples, in both ways."""
    explained = 0
    for function, argument in calls_of(difference.text, ["rate", "increase"]):
        argument = difference.with_times(argument)
        window = re.search(r"\[(\w+)(?::\w*)?\]((?: (?:offset|@) [-\w.]+)*)$", argument)
        if window is None:
            continue
        range_ms = milliseconds(window[1])
        modifiers = dict(re.findall(r" (offset|@) ([-\w.]+)", window[2]))
        inner = difference.ask(f"{function}({argument})")
        for key, t_s, ours, theirs in inner.points() or []:
            end_ms = round(float(modifiers.get("@", t_s)) * 1000) - \
                milliseconds(modifiers.get("offset", "0s"))
            per_range_s = range_ms / 1000 if function == "rate" else 1
            # Each from its own samples: those of a subquery may differ for the same reason.
            for server, zero_first, answer in ((0, False, ours), (1, True, theirs)):
                points = samples_of(difference.servers[server], argument, t_s, key)
                wanted = extrapolated(points, end_ms - range_ms, end_ms, per_range_s, zero_first)
                if not near(wanted, float(answer)):
                    return False
            explained += 1
    return explained > 0


# ---- the others ----

def is_variance_of_infinity(difference):
    """An inner one is NaN here and 0 there."""
    if not difference.both_succeed:
        return False
    for function, argument in calls_of(difference.text, ["stddev", "stdvar"]):
        inner = difference.ask(f"{function}({argument})").points()
        if inner and all(v == "NaN" and w == "0" for _, _, v, w in inner):
            return all(v == "NaN" for _, _, v, _ in difference.points() or [])
    return False


def is_overflow(difference):
    points = difference.points()
    return bool(points) and "_over_time(" in difference.text and \
        all(v in ("+Inf", "-Inf") and w == "NaN" for _, _, v, w in points)


def is_pinned_regression(difference):
    return difference.both_succeed and difference.kind == "range" and \
        any("@" in argument for _, argument in calls_of(difference.text, ["predict_linear"]))


def is_match_before_filter(difference):
    return difference.theirs["status"] == "success" and \
        difference.ours.get("error", "").startswith("multiple matches for labels: ") and \
        re.search(r"(==|!=|<=?|>=?) (?!bool)", difference.text) is not None


def is_pinned_timestamp(difference):
    return difference.both_succeed and any(
        "@" in argument and "offset" in argument and "(" not in PINS.sub("", argument)
        for _, argument in calls_of(difference.text, ["timestamp"]))


def is_sign_of_zero(difference):
    points = difference.points()
    return bool(points) and "quantile" in difference.text and \
        all(float(v) == float(w) == 0 for _, _, v, w in points)


def is_name_of_atan2(difference):
    if "atan2" not in difference.text or difference.theirs["status"] != "success":
        return False
    if difference.ours["status"] != "success":
        return difference.ours["error"] == "vector cannot contain metrics with the same labelset"
    ours, theirs = difference.ours["data"], difference.theirs["data"]
    if not any("__name__" in item["metric"] for item in theirs["result"]):
        return False
    for item in ours["result"] + theirs["result"]:
        item["metric"].pop("__name__", None)
    return prometheus_peer.compare("", ours, theirs, True) is None


KNOWN = [
    Known("zero point of a rate",
          "3.14 limits the extrapolation to where a counter was zero after it has decided how far "
          "to extrapolate at all, 2.42 before: it then takes up to 1.1 intervals instead of half",
          'increase(go_memstats_other_sys_bytes{instance="a",job="node"}[5m])', "range", False,
          (1795359845.0, 1795360445.0, 30), is_zero_point),
    Known("variance of one infinity", "NaN in 3.14, 0 in 2.42",
          "stddev(vector(Inf))", "instant", False, TIMES, is_variance_of_infinity),
    Known("overflow of a compensated sum",
          "3.14 drops the compensation when the sum becomes infinite, in 2.42 it becomes NaN",
          'stdvar_over_time(special_gauge{kind="large"}[2m])', "range", True, TIMES, is_overflow),
    Known("predict_linear of a pinned range",
          "2.42 moves the window of `@` along with the steps of a range query",
          "predict_linear(node_load1[2m] @ 1795359905, 60)", "range", True, TIMES,
          is_pinned_regression),
    Known("matching before filtering",
          "in 3.14 a comparison's left side must have unique matches even where it filters them out",
          'node_cpu_seconds_total{cpu="0"} < on(cpu) '
          'count by (cpu) (node_cpu_seconds_total{cpu="0"}) * 0', "instant", False, TIMES,
          is_match_before_filter),
    Known("timestamp() of a pinned selector with an offset", "2.42 ignores the offset",
          "timestamp(node_load1 @ 1795360310 offset -1m)", "instant", False, TIMES,
          is_pinned_timestamp),
    Known("which zero is the quantile", "0 and -0 are equal: which one comes last is the sort's "
          "choice", 'quantile_over_time(1, special_gauge{kind="zero"} offset 3s[2m:30s])', "range",
          False, (1795359965.0, 1795360265.0, 15), is_sign_of_zero),
    Known("name of an atan2", "2.42 keeps the metric's name", "node_load1 atan2 node_load1",
          "instant", True, TIMES, is_name_of_atan2),
]

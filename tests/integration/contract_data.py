"""The samples, the scrape target and the configuration of the contract test's servers."""

import scripted

START_S = 1700006400  # a multiple of two hours
INTERVAL_S = 15
ROWS = 60
END_S = START_S + (ROWS - 1) * INTERVAL_S
# A third of an interval behind the grid: 2.42 has closed ranges, 3.14 left-open ones.
INSTANT_S = START_S + 40 * INTERVAL_S + INTERVAL_S // 3
RANGE_START_S = START_S + 20 * INTERVAL_S + INTERVAL_S // 3
LIVE_AGE_S = 60  # how old the newest samples are when the servers start, for /federate

ODD_VALUES = ["NaN", "+Inf", "-Inf", "1e-07", "1e-06", "9.99e-05", "1e+20", "1e+21", "-0", "5e-324",
              "1.7976931348623157e+308", "123456789.123", "0.1", "100000", "1e+06"]
ODD_LABELS = {"html": "<a href='x'>&amp;</a>", "quote": 'say "hi"', "slash": "C:\\dir",
              "lines": "one\ntwo\ttab", "unicode": "Grüße 温度 😀", "line_sep": "a\u2028b",
              "control": "bell\u0007", "empty_like": " ", "long": "x" * 300}

# What the target serves: every type of OpenMetrics, HELP that needs escaping, units.
TARGET_PAGE = """\
# TYPE widgets counter
# HELP widgets Widgets made, <good> & "bad".
widgets_total{kind="round"} 3
widgets_total{kind="square"} 4
# TYPE level_volts gauge
# UNIT level_volts volts
# HELP level_volts A level with \\\\ backslash.
level_volts 1.5
# TYPE weight histogram
# HELP weight Weights.
weight_bucket{le="1.0"} 1
weight_bucket{le="+Inf"} 2
weight_sum 3
weight_count 2
# TYPE wait_seconds summary
# UNIT wait_seconds seconds
# HELP wait_seconds Waits.
wait_seconds{quantile="0.5"} 0.25
wait_seconds_sum 1
wait_seconds_count 4
# TYPE release info
# HELP release What runs.
release_info{version="1.2"} 1
# TYPE mode stateset
# HELP mode Which mode.
mode{mode="on"} 1
mode{mode="off"} 0
# TYPE thing unknown
# HELP thing Unknown.
thing 7
# EOF
"""

CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  external_labels: {{site: "lab"}}
scrape_configs:
- job_name: pages
  static_configs:
  - targets: ['127.0.0.1:{port}']
    labels: {{rack: "r<1>"}}
- job_name: dropped
  static_configs:
  - targets: ['127.0.0.1:{port}']
  relabel_configs:
  - {{action: drop, source_labels: [job], regex: dropped}}
"""


def quote(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def add(lines, name, labels, points):
    text = ",".join(f'{k}="{quote(v)}"' for k, v in sorted(labels.items()))
    key = f"{name}{{{text}}}" if text else name
    lines.extend(f"{key} {value} {t}" for t, value in points)


def grid(value):
    return [(START_S + i * INTERVAL_S, value(i)) for i in range(ROWS)]


def historic(lines):
    for i, instance in enumerate(("a:80", "b:80", "c:80")):
        for code in ("200", "404", "500"):
            # One counter starts again.
            add(lines, "requests_total", {"job": "api", "instance": instance, "code": code},
                grid(lambda k: (k * (i + 1) * 3) % (101 if (i, code) == (2, "500") else 10 ** 9)))
        add(lines, "temperature", {"job": "api", "instance": instance},
            grid(lambda k: 20 + (k * 7 + i * 3) % 11 / 4))
        add(lines, "build_info", {"job": "api", "instance": instance, "version": f"1.{i}"},
            grid(lambda k: 1))
        for le, share in (("0.1", 1), ("0.5", 3), ("1", 4), ("+Inf", 5)):
            add(lines, "latency_seconds_bucket", {"job": "api", "instance": instance, "le": le},
                grid(lambda k: k * share * (i + 1)))
        add(lines, "latency_seconds_count", {"job": "api", "instance": instance},
            grid(lambda k: k * 5 * (i + 1)))
        add(lines, "latency_seconds_sum", {"job": "api", "instance": instance},
            grid(lambda k: k * 1.25 * (i + 1)))
    for i, value in enumerate(ODD_VALUES):
        add(lines, "odd_value", {"i": f"{i:02}"}, grid(lambda k: value))
    for kind, value in ODD_LABELS.items():
        add(lines, "odd_label", {"kind": kind, "text": value}, grid(lambda k: 1))
    add(lines, "odd_time", {}, [(f"{START_S + i}.{i * 37 % 1000:03}", i) for i in range(0, 600, 7)])
    add(lines, "lonely", {}, grid(lambda k: k))
    add(lines, "namespace:rule:sum", {"job": "rules"}, grid(lambda k: k / 8))


def live(lines, now_s):
    t = now_s - LIVE_AGE_S
    add(lines, "live_gauge", {"instance": "x:1", "job": "live"}, [(t, "1.5")])
    add(lines, "live_gauge", {"job": "live", "zone": "no instance"}, [(t, "-0.25")])
    add(lines, "live_gauge", {"instance": "x:1", "site": "own", "text": 'a"b\\c\nd<&>'},
        [(t, "1e+21")])
    add(lines, "live_total", {"instance": "x:1"}, [(t - 30, "1"), (t, "1234567.5")])
    add(lines, "live_odd", {"v": "nan"}, [(t, "NaN")])
    add(lines, "live_odd", {"v": "inf"}, [(t, "+Inf")])
    add(lines, "live_odd", {"v": "ms"}, [(f"{t}.125", "1e-07")])


def write_samples(path, now_s):
    lines = []
    historic(lines)
    live(lines, now_s)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n# EOF\n")
    return len(lines)


class Target:
    """Serves TARGET_PAGE on loopback; counts who came."""

    def __init__(self):
        self.agents = set()
        target = self

        class Handler(scripted.Handler):
            def do_GET(self):
                target.agents.add(self.headers.get("User-Agent", ""))
                self.answer(TARGET_PAGE.encode(),
                            kind="application/openmetrics-text; version=1.0.0; charset=utf-8")

        self.port = scripted.serve(Handler).server_port

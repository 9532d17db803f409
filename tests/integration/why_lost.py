#!/usr/bin/env python3
"""/api/v1/why names the stage at which targets and series are lost, with the values seen there, and
/api/v1/targets/relabel_steps shows each rule.

usage: why_lost.py NARTHEX WORK_FOLDER
"""
import json
import sys

import harness
import scripted

PAGES = {
    "/good": "# TYPE good gauge\ngood 1\nkept{a=\"b\"} 2\nnoisy{a=\"b\"} 3\n",
    "/broken": "fine 1\nfine 2\nbroken{a=\"b\" 3\n",
    "/many": "".join(f"m{i} 1\n" for i in range(9)),
    "/vanish": "vanishing 1\n",
    "/series": "# TYPE gone gauge\ngone{a=\"b\"} 1\nrenamed{code=\"200\"} 2\n"
              "twice{a=\"b\"} 3\ntwice{a=\"b\"} 4\nzoned{zone=\"page\"} 5\n"
              "old 6 1000\nshown{code=\"7\"} 7\n",
    "/long": "first 1\nsecond{label=\"" + "v" * 40 + "\"} 1\n",
}

CONFIG = """\
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
- job_name: good
  metrics_path: /good
  static_configs:
  - targets: ['127.0.0.1:{port}', '127.0.0.1:{port}', 'other:1', 'third:1', 'bad/host:1']
    labels: {{zone: north}}
  relabel_configs:
  - {{action: replace, source_labels: [zone], target_label: area, regex: '(.)(.*)',
      replacement: '$1'}}
  - {{action: drop, source_labels: [__address__, area], regex: 'other:1;n'}}
  - {{action: keep, source_labels: [__address__], regex: '127.*|bad.*'}}
- job_name: series
  metrics_path: /series
  static_configs: [{{targets: ['127.0.0.1:{port}'], labels: {{zone: north}}}}]
  metric_relabel_configs:
  - {{action: replace, source_labels: [code], target_label: kind, regex: '(.+)'}}
  - {{action: drop, source_labels: [__name__], regex: gone}}
  - {{action: labeldrop, regex: code}}
- job_name: broken
  metrics_path: /broken
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
- job_name: many
  metrics_path: /many
  sample_limit: 5
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
- job_name: long
  metrics_path: /long
  label_value_length_limit: 30
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
- job_name: crowd
  target_limit: 1
  static_configs: [{{targets: ['127.0.0.1:1', '127.0.0.1:2']}}]
- job_name: vanish
  metrics_path: /vanish
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
- job_name: missing
  metrics_path: /missing
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


class Handler(scripted.Handler):
    def do_GET(self):
        self.answer(PAGES.get(self.path, "").encode(), 200 if self.path in PAGES else 404)


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def holds(found, **wanted):
    equal({name: found.get(name) for name in wanted}, wanted)


def check_steps(server):
    labels = {"__address__": "other:1", "zone": "north"}
    steps = server.data("targets/relabel_steps", scrapePool="good", labels=json.dumps(labels))
    equal(steps["steps"][0], {
        "rule": {"source_labels": ["zone"], "separator": ";", "regex": "(.)(.*)",
                 "target_label": "area", "replacement": "$1", "action": "replace"},
        "output": {**labels, "area": "n"}, "keep": True})
    equal([(s["output"], s["keep"]) for s in steps["steps"][1:]], [({}, False), ({}, False)])
    equal(server.data("targets/relabel_steps", scrapePool="many", labels="{}"), {"steps": []})
    for params, text in (
            ({}, "no scrapePool parameter provided"),
            ({"scrapePool": "good"}, "no labels parameter provided"),
            ({"scrapePool": "good", "labels": "{"}, "error parsing labels: "),
            ({"scrapePool": "good", "labels": '{"a":1}'},
             "error parsing labels: json: cannot unmarshal number into Go value of type string"),
            ({"scrapePool": "x", "labels": "{}"},
             'error retrieving scrape config: scrape pool "x" not found')):
        status, answer = server.api("targets/relabel_steps", **params)
        equal(status, 400)
        assert answer["error"].startswith(text), answer


def why(server, text, pool=""):
    return server.data("why", target=text, scrapePool=pool)


def check_targets(server, address):
    found = why(server, address, "good")
    equal([t["stage"] for t in found["targets"]], ["none", "duplicate"])
    holds(found, stage=None, discovered=5, matched=2)
    holds(found["targets"][0], health="up", samplesScraped=3, samplesKept=3,
          scrapeUrl=f"http://{address}/good")

    found = why(server, "other:1")["targets"]
    holds(found[0], stage="relabel", ruleNumber=1, scrapePool="good")
    equal(found[0]["rule"]["action"], "drop")
    holds(found[0]["labelsBefore"], area="n", __address__="other:1")
    found = why(server, "third:1")["targets"]
    holds(found[0], stage="relabel", ruleNumber=2)
    found = why(server, "bad/host:1")["targets"]
    holds(found[0], stage="invalid_target", reason='"bad/host:1" is not a valid hostname')
    # By a label instead of an address, and one that nobody has.
    equal(why(server, "north", "good")["matched"], 5)
    holds(why(server, "nobody"), stage="discovery", matched=0, targets=[])

    found = why(server, f"http://{address}/broken")["targets"]
    holds(found[0], stage="scrape", scrapePool="broken", line=3, lineText='broken{a="b" 3')
    assert "while parsing" in found[0]["reason"], found
    found = why(server, address, "many")["targets"]
    holds(found[0], stage="limit", reason="sample limit exceeded", samplesScraped=9)
    found = why(server, address, "long")["targets"]
    holds(found[0], stage="limit", line=2)
    assert found[0]["reason"].startswith("label_value_length_limit exceeded"), found
    found = why(server, "127.0.0.1:2", "crowd")["targets"]
    holds(found[0], stage="target_limit",
          reason="target_limit exceeded (number of targets: 2, limit: 1)")
    found = why(server, address, "missing")["targets"]
    holds(found[0], stage="scrape", reason="server returned HTTP status 404 Not Found")


def why_series(server, match, pool="series"):
    return server.data("why", **{"match[]": match, "scrapePool": pool})


def only_sample(server, match):
    found = why_series(server, match)
    holds(found, notAsked=0)
    target, = found["targets"]
    holds(target, stage="none", matched=1)
    return target["series"][0]


def check_series(server):
    sample = only_sample(server, 'shown{kind="7"}')
    holds(sample, stage="none", line=8, value="7")
    equal((sample["exposedLabels"]["code"], sample["labels"]["kind"]), ("7", "7"))

    sample = only_sample(server, "gone")
    holds(sample, stage="metric_relabel", ruleNumber=1, labels={}, line=2)
    equal((sample["rule"]["action"], sample["labelsBefore"]["a"]), ("drop", "b"))
    sample = only_sample(server, 'renamed{code="200"}')
    holds(sample, stage="metric_relabel", ruleNumber=2)
    equal((sample["labelsBefore"]["code"], "code" in sample["labels"]), ("200", False))
    # The target's own label wins; the exposed one has moved.
    sample = only_sample(server, 'zoned{zone="page"}')
    holds(sample, stage="target_label")
    equal((sample["labels"]["zone"], sample["labels"]["exported_zone"]), ("north", "page"))
    sample = only_sample(server, "old")
    holds(sample, stage="none", timestamp="1970-01-01T00:00:01Z")

    target, = why_series(server, "twice")["targets"]
    equal([s["stage"] for s in target["series"]], ["none", "duplicate"])
    target, = why_series(server, 'twice{a="c"}')["targets"]
    holds(target, stage="not_exposed", matched=0, sameName=2)
    equal(target["otherLabels"]["a"], "b")
    target, = why_series(server, "fine", "broken")["targets"]
    holds(target, stage="scrape", line=3, lineText='broken{a="b" 3', matched=2)
    target, = why_series(server, "m3", "many")["targets"]
    holds(target, stage="limit", reason="sample limit exceeded", samples=9, matched=1)
    target, = why_series(server, '{label=~"v+"}', "long")["targets"]
    holds(target, stage="limit", line=2)
    holds(target["series"][0], stage="refused")
    target, = why_series(server, "x", "missing")["targets"]
    holds(target, stage="scrape", reason="server returned HTTP status 404 Not Found")
    # Targets whose labels contradict the selector are not asked, unless they may relabel.
    equal([t["scrapePool"] for t in why_series(server, 'm3{job="many"}', "")["targets"]],
          ["many", "series"])
    for params, text in (({}, "exactly one of target and match[] must be given"),
                         ({"match[]": "{"}, 'invalid parameter "match[]": ')):
        status, answer = server.api("why", **params)
        equal((status, answer["error"][:len(text)]), (400, text))


def check_staleness(server):
    def stages():
        return [s["stage"] for s in why_series(server, "vanishing", "vanish")["stored"]]
    harness.wait_until(lambda: stages() == ["none"], "the series is stored")
    PAGES["/vanish"] = "other 1\n"
    harness.wait_until(lambda: stages() == ["staleness"], "the series is stale")
    found = why_series(server, "vanishing", "vanish")
    holds(found["stored"][0], staleMarker=True)
    holds(found["targets"][0], stage="not_exposed")


def main():
    program, work = sys.argv[1:3]
    port = scripted.serve(Handler).server_port
    address = f"127.0.0.1:{port}"
    with harness.WorkFolder(work) as folder:
        config = CONFIG.format(port=port)
        server = harness.start_narthex(program, folder, config,
                                       "--web.external-url=https://out.example/n",
                                       "--web.route-prefix=/").wait_ready()
        try:
            harness.wait_until(
                lambda: all(t["health"] != "unknown"
                            for t in server.data("targets")["activeTargets"]), "first scrapes")
            urls = {t["globalUrl"] for t in server.data("targets", scrapePool="good")
                    ["activeTargets"]}
            equal(urls, {f"http://out.example:{port}/good"})
            check_steps(server)
            check_targets(server, address)
            check_series(server)
            check_staleness(server)
        finally:
            status, _ = server.stop()
        equal(status, 0)
    print("every stage is named")
    return 0


if __name__ == "__main__":
    sys.exit(main())

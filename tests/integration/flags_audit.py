#!/usr/bin/env python3
"""Every flag and feature of Prometheus 3.14 is effective, an agreed no-op with a warning, or refused
with a reason; values that make no sense are refused.

usage: flags_audit.py NARTHEX WORK_FOLDER
"""
import os
import re
import subprocess
import sys

import harness

# Flags of Prometheus 3.14 (spec http-api.md 3) with their defaults, and a value to try.
EFFECTIVE = {
    "config.auto-reload": ("false", "true"), "config.auto-reload-interval": ("30s", "7s"),
    "web.read-timeout": ("5m", "4m"), "web.max-connections": ("512", "100"),
    "web.external-url": (None, "http://example.org/p"), "web.route-prefix": ("/", "/r"),
    "web.enable-lifecycle": ("false", "true"), "web.enable-admin-api": ("false", "true"),
    "web.max-notifications-subscribers": ("16", "3"), "web.search.max-limit": ("10000", "5"),
    "web.cors.origin": (".*", "https?://a"), "storage.tsdb.retention.time": ("15d", "3d"),
    "storage.tsdb.retention.size": ("0B", "1GB"), "storage.tsdb.no-lockfile": ("false", "true"),
    "storage.tsdb.min-block-duration": ("2h", "1h"), "storage.tsdb.max-block-duration": ("1d12h", "6h"),
    "query.lookback-delta": ("5m", "2m"), "query.timeout": ("2m", "1m"),
    "query.max-concurrency": ("20", "4"), "query.max-samples": ("50000000", "1000"),
    "scrape.adjust-timestamps": ("true", "false"), "scrape.timestamp-tolerance": ("2ms", "5ms"),
    "enable-feature": ("", "search-api"), "log.level": ("info", "debug"),
    "log.format": ("logfmt", "json"),
}
# Set by the harness, whatever they are by default.
GIVEN = ["config.file", "web.listen-address", "storage.tsdb.path", "web.config.file"]
NO_OPS = {
    "web.enable-remote-write-receiver": ("false", "true"),
    "web.enable-otlp-receiver": ("false", "true"),
    "web.remote-write-receiver.accepted-protobuf-messages":
        ("prometheus.WriteRequest,io.prometheus.write.v2.Request", "prometheus.WriteRequest"),
    "web.page-title": ("Prometheus Time Series Collection and Processing Server", "t"),
    "web.user-assets": ("", "a"), "web.console.templates": ("consoles", "c"),
    "web.console.libraries": ("console_libraries", "l"),
    "storage.tsdb.head-chunks-write-queue-size": ("0", "1"),
    "storage.tsdb.delay-compact-file.path": ("", "x"),
    "storage.tsdb.max-block-chunk-segment-size": ("0B", "1MB"),
    "storage.tsdb.wal-segment-size": ("0B", "1MB"), "storage.tsdb.wal-compression": ("true", "false"),
    "storage.tsdb.wal-compression-type": ("snappy", "zstd"),
    "storage.tsdb.samples-per-chunk": ("120", "100"),
    "storage.tsdb.allow-overlapping-compaction": ("true", "false"),
    "storage.tsdb.block-reload-interval": ("1m", "2m"),
    "storage.tsdb.delayed-compaction.max-percent": ("10", "5"),
    "storage.remote.flush-deadline": ("1m", "2m"),
    "storage.remote.read-sample-limit": ("50000000", "1"),
    "storage.remote.read-concurrent-limit": ("10", "1"),
    "storage.remote.read-max-bytes-in-frame": ("1048576", "1"),
    "rules.alert.for-outage-tolerance": ("1h", "2h"), "rules.alert.for-grace-period": ("10m", "1m"),
    "rules.alert.resend-delay": ("1m", "2m"), "rules.max-concurrent-evals": ("4", "1"),
    "alertmanager.notification-queue-capacity": ("10000", "1"),
    "alertmanager.notification-batch-size": ("256", "1"),
    "alertmanager.drain-notification-queue-on-shutdown": ("true", "false"),
    "scrape.discovery-reload-interval": ("5s", "1s"), "auto-gomaxprocs": ("true", "false"),
    "auto-gomemlimit": ("true", "false"), "auto-gomemlimit.ratio": ("0.9", "0.5"),
    "auto-gomemlimit.refresh-interval": ("0s", "1s"),
}
AGENT = {
    "storage.agent.path": "data-agent/", "storage.agent.wal-compression": "true",
    "storage.agent.retention.min-time": "5m", "storage.agent.retention.max-time": "4h",
    "storage.agent.no-lockfile": "false", "storage.agent.checkpoint-from-in-memory-series": "false",
    "storage.agent.checkpoint-batch-size": "1000",
}
FEATURES = """
    promql-experimental-functions promql-extended-range-selectors promql-binop-fill-modifiers
    promql-delayed-name-removal promql-per-step-stats use-start-timestamps exemplar-storage search-api
    extra-scrape-metrics created-timestamp-zero-ingestion st-storage st-synthesis type-and-unit-labels
    auto-reload-config""".split()
IDLE_FEATURES = """
    native-histograms ooo-native-histograms promql-duration-expr concurrent-rule-eval
    delayed-compaction fast-startup histograms-st-encoding memory-snapshot-on-shutdown
    use-uncached-io xor2-encoding metadata-wal-records old-ui
    otlp-native-delta-ingestion""".split()
BAD = [
    ("--nonsense", "unknown long flag '--nonsense'"), ("--no-log.level", "unknown long flag"),
    ("positional", "unexpected positional"), ("--query.timeout", "expected argument for flag"),
    ("--web.enable-lifecycle=maybe", "neither true nor false"),
    ("--query.max-concurrency=-3", "too small"), ("--query.max-concurrency=0", "too small"),
    ("--query.max-concurrency=99999999999", "too large"), ("--query.max-samples=x", "ParseInt"),
    ("--web.max-connections=0", "too small"), ("--web.read-timeout=0s", "too small"),
    ("--web.send-timeout=0s", "too small"), ("--query.lookback-delta=5", "lookback-delta"),
    ("--config.auto-reload-interval=500ms", "too small"), ("--query.threads=-2", "too small"),
    ("--storage.tsdb.retention.size=5", "retention.size"), ("--log.level=loud", "log level loud"),
    ("--log.format=xml", "log format xml"), ("--web.external-url=ftp://x", "external URL"),
    ("--enable-feature=otlp-deltatocumulative,otlp-native-delta-ingestion", "at the same time"),
]


def argument(name, value):
    if value in ("true", "false"):
        return f"--{name}" if value == "true" else f"--no-{name}"
    return f"--{name}={value}"


def ended(program, *arguments):
    """(status, output) of a start that ends by itself."""
    run = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60,
                         check=False)
    return run.returncode, run.stdout + run.stderr


def check_refused(program):
    for bad, text in BAD:
        status, said = ended(program, bad)
        assert status == 2 and text in said, (bad, status, said)
    status, said = ended(program, "--agent")
    assert status == 3 and "agent mode needs remote write" in said, (status, said)
    for name, default in AGENT.items():
        status, said = ended(program, argument(name, "false" if default == "true" else default))
        wanted = f'The following flag(s) can only be used in agent mode: ["--{name}"]\n'
        assert status == 3 and said == wanted, (status, said)
    assert ended(program, "--no-agent", "--version")[0] == 0


def started(program, work, name, flags, prefix=""):
    server = harness.start_narthex(program, os.path.join(work, name), "global: {scrape_interval: 1h}\n",
                                   *flags, "--host-metrics.disable")
    server.url += prefix
    server.wait_ready()
    return server


def check_defaults(program, work):
    server = started(program, work, "defaults", [])
    try:
        shown = server.data("status/flags")
    finally:
        server.stop()
    wanted = {name: default for name, (default, _) in {**EFFECTIVE, **NO_OPS}.items()}
    wanted |= {**AGENT, "agent": "false"}
    for name, default in wanted.items():
        assert name in shown and default in (None, shown[name]), (name, default, shown.get(name))
    missing = [name for name in GIVEN if name not in shown]
    assert not missing, missing
    text = server.log_tail()
    assert "change nothing" not in text and "Unknown" not in text, text
    return shown


def check_set(program, work):
    values = {name: value for name, (_, value) in {**EFFECTIVE, **NO_OPS}.items()}
    values["log.format"] = "logfmt"  # what is said is looked for below
    flags = [argument(name, value) for name, value in values.items() if name != "enable-feature"]
    flags += ["--enable-feature=" + ",".join(FEATURES[:5]),
              "--enable-feature=" + ",".join(FEATURES[5:] + IDLE_FEATURES + ["unheard-of"])]
    server = started(program, work, "set", flags, "/r")
    try:
        shown = server.data("status/flags")
        # Some of the effects that no other test sees.
        status, answer = server.api("query", query="vector(1)", limit="x")
        assert status == 400 and server.api("search/metric_names", limit=6)[0] == 400, answer
        assert server.api("query_range", query="vector(1)", start=0, end=2000, step=1)[0] == 422
        assert harness.http_get(server.url + "/-/reload", 20)[0] == 405
    finally:
        server.stop()
    for name, value in values.items():
        if name != "enable-feature":
            assert shown[name] == value, (name, value, shown[name])
    with open(server.log_path) as log:
        text = log.read()
    flags_line = re.search(r'accepted and change nothing" flags=(.*)', text)[1]
    for name, (_, value) in NO_OPS.items():
        assert f"--{name}={value}" in flags_line, (name, flags_line)
    features_line = re.search(r'accepted and change nothing" features=(.*)', text)[1]
    named = set(re.findall(r"[\w-]+(?= \()", features_line))
    assert named == set(IDLE_FEATURES), named ^ set(IDLE_FEATURES)
    assert 'Unknown option for --enable-feature" option=unheard-of\n' in text, text


def main():
    program, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        check_refused(program)
        check_defaults(program, work)
        check_set(program, work)
    print(f"{len(EFFECTIVE) + len(GIVEN)} flags with an effect, {len(NO_OPS)} without, "
          f"{len(AGENT) + 1} refused")


main()

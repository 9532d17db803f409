#!/usr/bin/env python3
"""Clients of Prometheus that know nothing of us: npm's prometheus-query and codemirror-promql, and
Debian's promtool.

usage: api_clients.py NARTHEX NARTHEXCTL WORK_FOLDER

The npm packages are installed below the working folder at first use; where that cannot be, it is
said and promtool alone is tried.
"""
import os
import shutil
import subprocess
import sys
import time

import contract_data
import harness

PACKAGES = ["prometheus-query@3.5", "@prometheus-io/codemirror-promql@0.314",
            "@codemirror/autocomplete@6", "@codemirror/language@6", "@codemirror/lint@6",
            "@codemirror/state@6", "@codemirror/view@6", "@lezer/common@1"]
HERE = os.path.dirname(os.path.abspath(__file__))


def install_packages(work):
    """The folder with the packages, or None."""
    folder = os.path.join(work, "npm")
    done = os.path.join(folder, "installed")
    if os.path.exists(done):
        return folder
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("without npm clients: no node or no npm")
        return None
    os.makedirs(folder, exist_ok=True)
    result = subprocess.run(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund",
                             "--silent", *PACKAGES], capture_output=True, text=True)
    if result.returncode != 0:
        print(f"without npm clients: they cannot be installed: {result.stderr.strip()[-300:]}")
        return None
    with open(done, "w"):
        return folder


def run_node(packages, server, script, *arguments):
    result = subprocess.run(["node", os.path.join(HERE, "clients", script), packages, server.url,
                             *arguments], capture_output=True, text=True, timeout=120)
    print(result.stdout.strip())
    assert result.returncode == 0, result.stderr


class Promtool:
    def __init__(self, path, server):
        self.path = path
        self.url = server.url

    def run(self, *arguments, stdin=""):
        result = subprocess.run([self.path, *arguments], capture_output=True, text=True, timeout=60,
                                input=stdin)
        return result.returncode, result.stdout, result.stderr

    def equals(self, wanted, *arguments):
        found = self.run(*arguments)
        assert found == (0, wanted, ""), (arguments, found)


def check_queries(promtool):
    t = contract_data.INSTANT_S
    promtool.equals('build_info{instance="a:80", job="api", version="1.0"} => 1 @[%d]\n' % t,
                    "query", "instant", f"--time={t}", promtool.url, 'build_info{instance="a:80"}')
    promtool.equals(f"scalar: 2 @[{t}]\n", "query", "instant", f"--time={t}", promtool.url, "1+1")
    promtool.equals('[{"metric":{"__name__":"lonely"},"value":[%d,"40"]}]\n' % t,
                    "query", "instant", "-o", "json", f"--time={t}", promtool.url, "lonely")
    promtool.equals("lonely =>\n39 @[%d]\n40 @[%d]\n" % (t - 20, t - 5),
                    "query", "instant", f"--time={t}", promtool.url, "lonely[30s]")
    promtool.equals("{} =>\n36 @[%d]\n40 @[%d]\n" % (t - 60, t), "query", "range",
                    f"--start={t - 60}", f"--end={t}", "--step=60s", promtool.url, "lonely * 1")
    promtool.equals('{__name__="build_info", instance="a:80", job="api", version="1.0"}\n', "query",
                    "series",
                    f"--start={contract_data.START_S}", f"--end={contract_data.END_S}",
                    '--match=build_info{instance="a:80"}', promtool.url)
    promtool.equals("1.0\n1.1\n1.2\n", "query", "labels", promtool.url, "version",
                    f"--start={contract_data.START_S}", f"--end={contract_data.END_S}",
                    "--match=build_info")
    status, _, text = promtool.run("query", "instant", promtool.url, "(")
    wanted = 'bad_data: invalid parameter "query": 1:2: parse error: unclosed left parenthesis'
    assert status == 1 and wanted in text, text


def check_health(promtool):
    """As of promtool 2.44; Debian 12's does not have the calls."""
    if "check healthy" not in promtool.run("--help")[1]:
        print("without `check healthy` and `check ready`: this promtool does not have them")
        return
    for call, text in (("healthy", "Prometheus Server is Healthy."),
                       ("ready", "Prometheus Server is Ready.")):
        status, out, err = promtool.run("check", call, f"--url={promtool.url}")
        assert status == 0 and text in out + err, (call, status, out, err)
    status, _, _ = promtool.run("check", "ready", f"--url={promtool.url}/nothing")
    assert status != 0


# Prometheus' own names that its linter does not like.
NAMES_OF_PROMETHEUS = {
    f"{name} metric name should not include type 'histogram'" for name in (
        "prometheus_engine_query_duration_histogram_seconds",
        "prometheus_rule_evaluation_duration_histogram_seconds",
        "prometheus_rule_group_duration_histogram_seconds",
        "prometheus_notifications_latency_histogram_seconds",
        "prometheus_target_interval_length_histogram_seconds",
        "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
        "prometheus_target_sync_length_histogram_seconds")}


def check_metrics(promtool, server):
    """Our pages hold to the format, and our names to the customs."""
    status, _, body = harness.http_get(server.url + "/metrics")
    assert status == 200
    _, _, text = promtool.run("check", "metrics", stdin=body.decode())
    found = set(text.splitlines())
    assert found <= NAMES_OF_PROMETHEUS, found - NAMES_OF_PROMETHEUS
    status, _, body = harness.http_get(
        server.url + "/federate?match[]=%7B__name__=~%22level.*|odd.*|thing|up%22%7D")
    assert status == 200 and b"# TYPE level_volts untyped" in body, body
    # Of a federated series nothing but its name and value is known.
    status, out, text = promtool.run("check", "metrics", stdin=body.decode())
    found = [line for line in text.splitlines() if not line.endswith("no help text")]
    assert not found and status in (0, 3), (status, out, found)


def main():
    program, ctl, work = sys.argv[1:4]
    packages = install_packages(work)
    path = harness.fetch_peer("prometheus", "usr/bin/promtool", os.path.join(work, "peers"))
    with harness.WorkFolder(work) as folder:
        target = contract_data.Target()
        samples = os.path.join(folder, "samples.om")
        contract_data.write_samples(samples, int(time.time()))
        subprocess.run([ctl, "tsdb", "create-blocks-from", "openmetrics", "--quiet", samples,
                        os.path.join(folder, "narthex-data")], check=True)
        server = harness.start_narthex(
            program, folder, contract_data.CONFIG.format(port=target.port),
            "--storage.tsdb.retention.time=100y", "--web.enable-admin-api").wait_ready()
        try:
            harness.wait_until(lambda: server.data("query", query="level_volts")["result"], "a scrape")
            promtool = Promtool(path, server)
            check_queries(promtool)
            check_health(promtool)
            check_metrics(promtool, server)
            print("promtool works")
            if packages is not None:
                run_node(packages, server, "codemirror_promql_client.mjs")
                run_node(packages, server, "prometheus_query_client.mjs",
                         str(contract_data.START_S), str(contract_data.END_S))
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

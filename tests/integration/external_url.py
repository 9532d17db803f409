#!/usr/bin/env python3
"""The external URL gives the prefix of all paths, the targets of redirects, and the host under which
others reach local targets; what is no URL stops the start.

usage: external_url.py NARTHEX WORK_FOLDER
"""
import http.client
import subprocess
import sys

import harness

CONFIG = """
global: {scrape_interval: 1h}
scrape_configs:
- job_name: self
  metrics_path: /prom/metrics
  static_configs: [{targets: ["localhost:%d"]}]
"""


def redirect_of(server, path):
    connection = http.client.HTTPConnection(server.url.split("/")[2], timeout=30 * harness.PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    connection.close()
    return answer.status, answer.headers.get("Location")


def check_prefix(program, work):
    port = harness.free_port()
    url = "https://metrics.example:8443/prom/?a=b"
    server = harness.start_narthex(program, work, CONFIG % port, f"--web.external-url={url}",
                                   port=port)
    try:
        server.url += "/prom"
        server.wait_ready()
        assert server.data("status/flags")["web.route-prefix"] == "/prom"
        assert redirect_of(server, "/prom/graph?g0.expr=up") == (302, "/prom/query?g0.expr=up")
        assert redirect_of(server, "/") == (302, "/prom")
        targets = harness.wait_until(lambda: server.data("targets")["activeTargets"], "a target")
        assert targets[0]["globalUrl"] == "https://metrics.example:8443/prom/metrics", targets
    finally:
        server.stop()


def check_refusal(program, url, reason):
    run = subprocess.run([program, f"--web.external-url={url}"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=30 * harness.PATIENCE)
    assert run.returncode == 2 and f'parse external URL "{url}": {reason}' in run.stdout, run


def main():
    program, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        check_prefix(program, work)
        check_refusal(program, "'http://x/'", "URL must not begin or end with quotes")
        check_refusal(program, "http://a b/", "invalid character")
        check_refusal(program, "metrics.example:9090", "neither")
        check_refusal(program, "http:///p", "no host")
    print("external URL: prefix, redirects, targets, refusals")


main()

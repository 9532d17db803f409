#!/usr/bin/env python3
"""A target whose samples come late: what is kept, counted, told by the window and by a reload.

usage: late_scrapes.py NARTHEX WORK_FOLDER
"""
import os
import sys
import time
import urllib.request

import harness
import scripted

NOW_MS = round(time.time() * 1000)


class Target(scripted.Handler):
    body = b""

    def do_GET(self):
        self.answer(self.body)


def config(port, window):
    return (f"storage: {{tsdb: {{out_of_order_time_window: {window}}}}}\n"
            "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\n"
            "scrape_configs:\n"
            "- job_name: late\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")


def offer(value, seconds_ago):
    Target.body = f"m {value} {NOW_MS - seconds_ago * 1000}\n".encode()


def stored(server):
    """{seconds ago: value} of everything stored."""
    result = server.data("query", query="m[2h]")["result"]
    return {round((NOW_MS - t * 1000) / 1000): float(v) for t, v in result[0]["values"]} \
        if result else {}


def latest(server, name):
    return float(server.data("query", query=name)["result"][0]["value"][1])


def check_counts(server, appended):
    assert server.metric_sum("prometheus_tsdb_head_out_of_order_samples_appended_total") == appended
    # What is refused makes no scrape fail; one that came too late did.
    harness.wait_until(
        lambda: latest(server, 'up{job="late"}') == 1 and
        latest(server, 'scrape_samples_post_metric_relabeling{job="late"}') == 1, "a good scrape")


def main():
    program, work = sys.argv[1:3]
    port = scripted.serve(Target).server_port
    refused = "prometheus_target_scrapes_sample_out_of_order_total"
    unordered = "prometheus_tsdb_out_of_order_samples_total"
    with harness.WorkFolder(work) as folder:
        offer(1, 10)
        server = harness.start_narthex(program, folder, config(port, "10m"),
                                       "--web.enable-lifecycle").wait_ready()
        try:
            harness.wait_until(lambda: stored(server) == {10: 1}, "the first sample")
            offer(2, 70)
            harness.wait_until(lambda: stored(server) == {10: 1, 70: 2}, "a late sample")
            # It is offered again and again, and stored and counted once.
            scrapes = latest(server, 'count_over_time(up{job="late"}[1h])')
            harness.wait_until(lambda: latest(server, 'count_over_time(up{job="late"}[1h])')
                               > scrapes + 3, "more scrapes")
            check_counts(server, 1)
            assert server.metric_sum(refused) == 0
            offer(3, 1200)
            harness.wait_until(lambda: server.metric_sum(refused) > 0, "a refusal")
            assert server.metric_sum("prometheus_tsdb_too_old_samples_total") > 0
            assert server.metric_sum(unordered) == 0
            check_counts(server, 1)
            with open(os.path.join(folder, "narthex.yml"), "w") as file:
                file.write(config(port, "0s"))
            offer(4, 80)
            urllib.request.urlopen(urllib.request.Request(server.url + "/-/reload", method="POST"),
                                   timeout=30)
            harness.wait_until(lambda: server.metric_sum(unordered) > 0,
                               "a refusal without a window")
            # A scrape with the old window may have come before.
            found = stored(server)
            assert {k: v for k, v in found.items() if k != 80} == {10: 1, 70: 2}, found
            server.kill()
            server = harness.start_narthex(program, folder, config(port, "0s")).wait_ready()
            assert stored(server) == found
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

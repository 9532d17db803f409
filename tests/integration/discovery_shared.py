#!/usr/bin/env python3
"""Jobs with the same discovery section share one mechanism: the server is asked once for all, what it
says reaches all, and it goes on for as long as one of them is configured.

usage: discovery_shared.py NARTHEX WORK_FOLDER
"""
import json
import signal
import sys
import threading

import harness
import scripted

JOBS = 20


class Origin:
    """An http_sd server; counts requests by path, and does not answer while `held` is not set."""

    def __init__(self):
        self.requests = {}
        self.address = "one:1"
        self.status = 200
        self.held = threading.Event()
        self.held.set()
        origin = self

        class Handler(scripted.Handler):
            def do_GET(self):
                origin.requests[self.path] = origin.requests.get(self.path, 0) + 1
                origin.held.wait(60)
                body = json.dumps([{"targets": [origin.address]}]).encode()
                self.answer(body, origin.status, "application/json")

        self.port = scripted.serve(Handler).server_port


def section(origin, path, refresh="1h", password="x"):
    return (f"{{url: 'http://127.0.0.1:{origin.port}{path}', refresh_interval: {refresh}, "
            f"basic_auth: {{username: u, password: {password}}}}}")


def config(jobs):
    """jobs: {name: section}"""
    lines = ["global: {scrape_interval: 1h}", "scrape_configs:"]
    for name, text in jobs.items():
        lines += [f"- job_name: {name}", f"  http_sd_configs: [{text}]"]
    return "\n".join(lines) + "\n"


def addresses(server):
    """{job: addresses}"""
    found = {}
    for target in server.data("targets", state="active")["activeTargets"]:
        found.setdefault(target["scrapePool"], set()).add(
            target["discoveredLabels"]["__address__"])
    return found


def reload(server, folder, jobs):
    with open(f"{folder}/narthex.yml", "w") as file:
        file.write(config(jobs))
    before = own(server, "prometheus_config_last_reload_success_timestamp_seconds")
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: own(
        server, "prometheus_config_last_reload_success_timestamp_seconds") != before, "reloaded")


def own(server, name):
    text = harness.http_get(server.url + "/metrics")[2].decode()
    return [line.rsplit(" ", 1)[1] for line in text.splitlines() if line.startswith(name + " ")]


def expect(server, wanted):
    harness.wait_until(lambda: addresses(server) == wanted, f"{wanted}")


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


def check(server, folder, origin, jobs):
    expect(server, {name: {"one:1"} for name in jobs})
    # One request for all that are equal; a password makes a difference.
    equal(origin.requests, {"/a": 2})
    # The first job, for which it was started, goes; a new one has the targets at once although the
    # server does not answer any more.
    origin.held.clear()
    jobs.pop("job00")
    jobs["late"] = section(origin, "/a")
    reload(server, folder, jobs)
    equal(addresses(server), {name: {"one:1"} for name in jobs})
    equal(origin.requests, {"/a": 2})
    # A section that changed has the targets of before until its server has answered.
    jobs["late"] = section(origin, "/b", "100ms")
    jobs["job01"] = jobs["late"]
    reload(server, folder, jobs)
    harness.wait_until(lambda: origin.requests.get("/b"), "asked")
    equal(addresses(server), {name: {"one:1"} for name in jobs})
    origin.address = "two:2"
    origin.held.set()
    moved = {name: {"two:2" if name in ("late", "job01") else "one:1"} for name in jobs}
    expect(server, moved)
    equal(origin.requests["/a"], 2)
    # What it says next reaches both.
    origin.address = "three:3"
    expect(server, {name: {"three:3"} if name in ("late", "job01") else {"one:1"} for name in jobs})
    # It fails: said, counted, and the targets stay.
    origin.status = 500
    harness.wait_until(lambda: float(own(server, "prometheus_sd_http_failures_total")[0]) > 0,
                       "failures are counted")
    with open(server.log_path) as log:
        assert "server returned HTTP status 500 Internal Server Error" in log.read()
    equal(addresses(server)["late"], {"three:3"})
    # Nobody wants it any more: it is asked no more.
    jobs.pop("late")
    jobs["job01"] = section(origin, "/a")
    reload(server, folder, jobs)
    equal(addresses(server), {name: {"one:1"} for name in jobs})
    asked = dict(origin.requests)
    reload(server, folder, jobs)
    equal(origin.requests, asked)


def main():
    program, work = sys.argv[1:3]
    origin = Origin()
    with harness.WorkFolder(work) as folder:
        jobs = {f"job{i:02}": section(origin, "/a") for i in range(JOBS)}
        jobs["secret"] = section(origin, "/a", password="y")
        server = harness.start_narthex(program, folder, config(jobs)).wait_ready()
        try:
            check(server, folder, origin, jobs)
        finally:
            origin.held.set()
            status, _ = server.stop()
        equal(status, 0)
    print(f"{JOBS} jobs, one request")
    return 0


if __name__ == "__main__":
    sys.exit(main())

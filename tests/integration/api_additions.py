#!/usr/bin/env python3
"""What Prometheus 2.42 has not, against the specification of 3.14: search, notifications and their
stream, own metrics, features, blocks, parse_query, the OpenAPI document, ETags, admin calls.

usage: api_additions.py NARTHEX NARTHEXCTL WORK_FOLDER
"""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import contract_data
import harness

ULID = re.compile(r"^[0-9A-HJKMNP-TV-Z]{26}$")
LIVE_CLIENTS = 2


def request(server, method, target, headers=None, body=None):
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def get(server, target, **headers):
    return request(server, "GET", target, headers)


def equal(found, wanted):
    assert found == wanted, f"{found!r}, not {wanted!r}"


# ---- search ----

def search(server, subject, **params):
    """(records, the last line) or (status, error) of a failure."""
    query = "&".join(f"{k}={v}" for k, v in params.items())
    status, headers, body = get(server, f"/api/v1/search/{subject}?start=1&{query}")
    if status != 200:
        answer = json.loads(body)
        return status, f"{answer['errorType']}: {answer['error']}"
    equal(headers["Content-Type"], "application/x-ndjson; charset=utf-8")
    lines = [json.loads(line) for line in body.decode().splitlines()]
    return [record for line in lines[:-1] for record in line["results"]], lines[-1]


def names(answer):
    return [record.get("name", record.get("value")) for record in answer[0]]


def check_search(server):
    equal(names(search(server, "metric_names", **{"search[]": "odd_"})),
          ["odd_label", "odd_time", "odd_value"])
    records, last = search(server, "metric_names", **{"search[]": "odd_time"}, include_score="true")
    equal(records[0], {"name": "odd_time", "score": 1})
    equal(last, {"status": "success", "has_more": False})
    equal(names(search(server, "metric_names", **{"search[]": "ODD_"}, fuzz_threshold="100")), [])
    equal(names(search(server, "metric_names", **{"search[]": "ODD_"}, case_sensitive="false",
                       fuzz_threshold="100", sort_dir="dsc")), ["odd_value", "odd_time",
                                                                "odd_label"])
    equal(names(search(server, "metric_names", **{"search[]": "tmprtr"})), ["temperature"])
    equal(names(search(server, "metric_names", **{"search[]": "temperatuer"},
                       fuzz_alg="jarowinkler",
                       fuzz_threshold="90")), ["temperature"])
    # The best first: the text itself, texts that begin so, texts that hold it.
    equal(names(search(server, "label_values", label="le", **{"search[]": "1"}, sort_by="score",
                       fuzz_threshold="100")), ["1", "1.0", "0.1"])
    equal(names(search(server, "label_names", **{"match[]": "build_info"})),
          ["__name__", "instance", "job", "version"])
    records, last = search(server, "label_values", label="instance", **{"match[]": "build_info"},
                           limit="2")
    equal([r["value"] for r in records], ["a:80", "b:80"])
    equal(last["has_more"], True)
    records, _ = search(server, "metric_names", **{"search[]": "level_volts"}, include_metadata="1")
    equal(records[0], {"name": "level_volts", "type": "gauge", "help": "A level with \\ backslash.",
                       "unit": "volts"})
    _, _, body = get(server, "/api/v1/search/label_values?label=code&start=1&batch_size=1")
    equal(body.count(b"\n"), 4)
    for subject, params, text in (
            ("label_values", {}, 'missing required parameter "label"'),
            ("metric_names", {"limit": "10001"},
             'invalid parameter "limit": must be between 1 and 10000'),
            ("metric_names", {"sort_by": "score"},
             'invalid parameter "sort_by": score needs search[]'),
            ("metric_names", {"sort_by": "x"},
             'invalid parameter "sort_by": must be "alpha" or "score"'),
            ("metric_names", {"fuzz_threshold": "101"},
             'invalid parameter "fuzz_threshold": must be an integer between 0 and 100'),
            ("metric_names", {"x": "%zz"}, 'error parsing form values: invalid URL escape "%zz"')):
        equal(search(server, subject, **params), (400, "bad_data: " + text))


# ---- status ----

def check_self_metrics(server):
    families = server.data("status/self_metrics")
    by_name = {family["name"]: family for family in families}
    equal(len(by_name), len(families))
    equal(by_name["prometheus_ready"]["type"], "GAUGE")
    equal(by_name["prometheus_ready"]["metric"], [{"label": [], "gauge": {"value": 1}}])
    assert by_name["process_start_time_seconds"]["metric"][0]["gauge"]["value"] > 1e9
    requests = by_name["prometheus_http_requests_total"]
    equal(requests["type"], "COUNTER")
    assert [label["name"] for label in requests["metric"][0]["label"]] == ["handler", "code"]
    durations = by_name["prometheus_http_request_duration_seconds"]["metric"][0]["histogram"]
    buckets = durations["bucket"]
    equal(buckets[-1]["upperBound"], "Infinity")
    equal(buckets[-1]["cumulativeCount"], durations["sampleCount"])
    queries = by_name["prometheus_engine_query_duration_seconds"]["metric"][0]["summary"]
    equal([q["quantile"] for q in queries["quantile"]], [0.5, 0.9, 0.99])
    only = server.data("status/self_metrics", metric_name_pattern="prometheus_r.*")
    assert only and all(family["name"].startswith("prometheus_r") for family in only)
    status, answer = server.api("status/self_metrics", metric_name_pattern="(")
    equal(status, 400)
    text = get(server, "/metrics?name[]=prometheus_ready&name[]=process_open_fds&name[]=x")[2].decode()
    equal([line.split(" ")[:3] for line in text.splitlines() if line.startswith("# TYPE ")],
          [["#", "TYPE", "prometheus_ready"], ["#", "TYPE", "process_open_fds"]])
    equal(len(text.splitlines()), 6)
    kind = get(server, "/metrics", Accept="text/plain;version=1.0.0;escaping=allow-utf-8")[1]
    equal(kind["Content-Type"], "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8")
    # The same families as on /metrics.
    text = harness.http_get(server.url + "/metrics")[2].decode()
    equal({line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")},
          set(by_name))


def check_status(server):
    blocks = server.data("status/tsdb/blocks")["blocks"]
    assert len(blocks) >= 2
    for block in blocks:
        equal(list(block), ["ulid", "minTime", "maxTime", "stats", "compaction", "version"])
        equal(list(block["stats"]), ["numSamples", "numFloatSamples", "numSeries", "numChunks"])
        assert ULID.match(block["ulid"]) and block["minTime"] < block["maxTime"]
        assert block["compaction"]["level"] >= 1
        assert all(ULID.match(source) for source in block["compaction"]["sources"])
    features = server.data("features")
    equal(list(features), sorted(features))
    for names_of in features.values():
        equal(list(names_of), sorted(names_of))
    equal(features["api"]["search"], True)
    equal(features["promql_functions"]["rate"], True)
    equal(features["promql_functions"]["mad_over_time"], False)
    tree = server.data("parse_query", query="sum by (a) (rate(x{b!=\"c\"}[5m] offset 1m)) > bool 2")
    equal(tree["type"], "binaryExpr")
    equal(tree["lhs"]["expr"]["func"]["name"], "rate")
    equal(tree["lhs"]["expr"]["args"][0]["range"], 300000)


def check_etags(server):
    for path in ("openapi.json", "features", "status/flags", "status/config", "metadata"):
        target = f"/api/v1/{path}"
        status, headers, body = get(server, target)
        assert status == 200 and body, path
        status, again, body = get(server, target, **{"If-None-Match": headers["ETag"]})
        equal((status, again["ETag"], body), (304, headers["ETag"], b""))
        equal(get(server, target, **{"If-None-Match": '"x"'})[0], 200)


def check_openapi(server):
    """Every path of the document answers to every method it names."""
    document = json.loads(get(server, "/api/v1/openapi.json")[2])
    status, headers, body = get(server, "/api/v1/openapi.yaml?openapi_version=3.2")
    equal((status, headers["Content-Type"]), (200, "application/yaml; charset=utf-8"))
    equal(json.loads(body)["openapi"], "3.2.0")
    count = 0
    for path, methods in document["paths"].items():
        for method in methods:
            if path in ("/-/quit", "/api/v1/notifications/live"):
                continue
            status, _, body = request(server, method.upper(), path.replace("{name}", "job"))
            # 404 and 405 belong to no path of the document, apart from the GETs of the lifecycle.
            allowed = (405,) if path == "/-/reload" and method == "get" else ()
            assert status not in (404, 405) or status in allowed, (method, path, status, body)
            count += 1
    assert count >= 60, count


# ---- notifications ----

class Live:
    """A client of the stream of notifications, which collects them."""

    def __init__(self, server):
        host, port = server.url.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.connection.request("GET", "/api/v1/notifications/live")
        self.answer = self.connection.getresponse()
        self.events = []
        self.ended = False
        self.reader = None
        if self.answer.status == 200:
            equal(self.answer.getheader("Content-Type"), "text/event-stream")
            self.reader = threading.Thread(target=self.read, daemon=True)
            self.reader.start()

    def read(self):
        try:
            for line in self.answer:
                if line.startswith(b"data: "):
                    self.events.append(json.loads(line[6:]))
        except (OSError, http.client.HTTPException, ValueError):
            pass
        self.ended = True

    def close(self):
        # The reading thread ends with the connection.
        if self.reader is not None:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
            self.reader.join()
        self.connection.close()


def break_config(server, folder, broken):
    path = os.path.join(folder, "narthex.yml")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text + "broken: x\n" if broken else text.replace("broken: x\n", ""))
    return request(server, "POST", "/-/reload")[0]


def check_notifications(server, folder):
    equal(server.data("notifications"), [])
    clients = [Live(server) for _ in range(LIVE_CLIENTS)]
    # There is no room for another until one leaves.
    refused = Live(server)
    equal(refused.answer.status, 204)
    refused.close()
    equal(break_config(server, folder, True), 500)
    found = server.data("notifications")
    equal([(n["text"], n["active"]) for n in found], [("Configuration reload has failed.", True)])
    harness.wait_until(lambda: all(client.events == found for client in clients), "live events")
    clients[0].close()

    def admitted():
        client = Live(server)
        if client.answer.status == 200:
            return client
        client.close()
        return None
    clients[0] = harness.wait_until(admitted, "room after a client left")
    harness.wait_until(lambda: clients[0].events == found, "current notifications first")
    equal(break_config(server, folder, False), 200)
    equal(server.data("notifications"), [])
    for client in clients:
        harness.wait_until(lambda: len(client.events) == 2, "the end of a notification")
        equal(client.events[1], dict(found[0], active=False))
    return clients


# ---- admin ----

def check_admin(server, folder):
    data = os.path.join(folder, "narthex-data")
    status, _, body = request(server, "POST", "/api/v1/admin/tsdb/snapshot?skip_head=true")
    name = json.loads(body)["data"]["name"]
    assert status == 200 and re.match(r"^\d{8}T\d{6}Z-[0-9a-f]{16}$", name), body
    assert os.path.isdir(os.path.join(data, "snapshots", name))
    for target, text in (
            ("snapshot?skip_head=x", 'invalid parameter "skip_head": unable to parse boolean: '
                                     'strconv.ParseBool: parsing "x": invalid syntax'),
            ("delete_series", "no match[] parameter provided"),
            ("delete_series?match[]=(",
             'invalid parameter "match[]": 1:1: parse error: unexpected "("'),
            ("delete_series?match[]=a&start=x",
             'invalid parameter "start": invalid time value for \'start\': cannot parse "x" to a '
             'valid timestamp')):
        status, _, body = request(server, "PUT", "/api/v1/admin/tsdb/" + target)
        equal((status, json.loads(body)["error"]), (400, text))
    equal(len(server.data("query", query="odd_value", time=contract_data.INSTANT_S)["result"]),
          len(contract_data.ODD_VALUES))
    status, headers, body = request(server, "POST",
                                    "/api/v1/admin/tsdb/delete_series?match[]=odd_value")
    equal((status, body), (204, b""))
    equal(server.data("query", query="odd_value", time=contract_data.INSTANT_S)["result"], [])
    equal(request(server, "POST", "/api/v1/admin/tsdb/clean_tombstones")[0], 204)
    equal(server.data("series", **{"match[]": "odd_value"}), [])


def main():
    program, ctl, work = sys.argv[1:4]
    with harness.WorkFolder(work) as folder:
        target = contract_data.Target()
        path = os.path.join(folder, "samples.om")
        contract_data.write_samples(path, int(time.time()))
        subprocess.run([ctl, "tsdb", "create-blocks-from", "openmetrics", "--quiet", path,
                        os.path.join(folder, "narthex-data")], check=True)
        server = harness.start_narthex(
            program, folder, contract_data.CONFIG.format(port=target.port),
            "--storage.tsdb.retention.time=100y", "--enable-feature=search-api",
            "--web.enable-admin-api", "--web.enable-lifecycle",
            f"--web.max-notifications-subscribers={LIVE_CLIENTS}").wait_ready()
        try:
            harness.wait_until(lambda: server.data("query", query="level_volts")["result"], "a scrape")
            check_search(server)
            check_self_metrics(server)
            check_status(server)
            check_etags(server)
            check_openapi(server)
            clients = check_notifications(server, folder)
            check_admin(server, folder)
            server.process.send_signal(signal.SIGTERM)
            for client in clients:
                harness.wait_until(lambda: client.ended, "the end of the stream")
        finally:
            status, seconds = server.stop()
        equal(status, 0)
        print(f"stopped within {seconds:.1f} s")
        equal([n["text"] for n in clients[0].events[2:]],
              ["Prometheus is shutting down and gracefully stopping all operations."])
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A long query is seen among the running ones, is killed, and ends with Prometheus' text; so does one
whose client goes away.

usage: running_queries.py NARTHEX WORK_FOLDER
"""
import json
import socket
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import harness

CONFIG = "global: {scrape_interval: 1h}\n"
# Needs no data and hours of sorting: ten thousand windows of a million values.
SLOW = "quantile_over_time(0.5, vector(time())[1000000s:1s])"
RANGE = {"query": SLOW, "start": "1700000000", "end": "1700100000", "step": "10"}


def post(server, path, **params):
    request = urllib.request.Request(f"{server.url}/api/v1/{path}",
                                     data=urllib.parse.urlencode(params).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30 * harness.PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


def running(server):
    return [q for q in server.data("status/active_queries") if q["query"] == SLOW]


def started(server):
    """The one query, once a worker has taken it."""
    found = running(server)
    assert len(found) <= 1, found
    return found[0] if found and found[0]["state"] == "running" else None


def check_kill(server):
    answers = []
    asker = threading.Thread(target=lambda: answers.append(post(server, "query_range", **RANGE)))
    asker.start()
    query = harness.wait_until(lambda: started(server), "the query in the list")
    assert query["start"] == 1700000000, query
    assert query["end"] == 1700100000 and query["step"] == 10, query
    assert query["client"].startswith("127.0.0.1:") and query["duration"] >= 0, query
    assert query["samples"] >= 0 and query["startedAt"].endswith("Z"), query

    status, body = post(server, "admin/kill_query", id=query["id"] + 1000)
    assert status == 404 and json.loads(body)["errorType"] == "not_found", (status, body)
    status, body = post(server, "admin/kill_query", id="x")
    assert status == 400 and json.loads(body)["errorType"] == "bad_data", (status, body)
    status, body = post(server, "admin/kill_query", id=query["id"])
    assert status == 204 and body == b"", (status, body)
    asker.join()
    status, body = answers[0]
    answer = json.loads(body)
    assert status == 499 and answer["errorType"] == "canceled", (status, body)
    assert answer["error"] == "query was canceled in query execution", answer
    assert running(server) == []


def check_hang_up(server):
    host, port = server.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)))
    client.sendall(f"GET /api/v1/query_range?{urllib.parse.urlencode(RANGE)} HTTP/1.1\r\n"
                   "Host: x\r\n\r\n".encode())
    harness.wait_until(lambda: running(server), "the query in the list")
    client.close()
    harness.wait_until(lambda: not running(server), "the end of a query nobody waits for")


def main():
    program, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        server = harness.start_narthex(program, work, CONFIG, "--web.enable-admin-api")
        try:
            server.wait_ready()
            check_kill(server)
            check_hang_up(server)
        finally:
            server.stop()
        server = harness.start_narthex(program, work, CONFIG)
        try:
            server.wait_ready()
            status, body = post(server, "admin/kill_query", id=1)
            assert status == 500 and json.loads(body)["error"] == "admin APIs disabled", body
            assert server.data("status/active_queries") == []
        finally:
            server.stop()


if __name__ == "__main__":
    main()

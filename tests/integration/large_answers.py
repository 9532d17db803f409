#!/usr/bin/env python3
"""Answers of 300 MB: right to the byte, compressed or not, in bounded memory; clients that take them
slowly or leave in the middle cost a piece, and not for ever.

usage: large_answers.py NARTHEX WORK_FOLDER
"""
import hashlib
import http.client
import json
import socket
import struct
import sys
import threading
import time
import urllib.parse
import zlib

import harness

CONFIG = "global: {scrape_interval: 1h}\n"
SERIES = 500
# In JSON each of these bytes takes six: the answers are that much larger than what is stored.
FILLER = "\x01" * 100_000
ANSWER_BYTES_MIN = 300_000_000
GROWTH_BYTES_MAX = 24 << 20
STORED_BYTES = 50 << 20  # lists of values and results of queries are copies of what is stored
FEDERATED_BYTES_MIN = 50_000_000
ROWS = 300  # series of short labels: their matrices are rendered on all cores
HELD_BYTES_MAX = 64 << 20  # of answers that are sent with their length, all together
SEND_TIMEOUT_S = 6


def resident(server):
    with open(f"/proc/{server.process.pid}/status") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) << 10


def value_of(number):
    return f"{number:06}{FILLER}"


def import_series(server, now):
    text = "".join(f'big{{filler="{value_of(i)}"}} {i} {now}\n' for i in range(SERIES))
    text += "".join(f'row{{i="{i}"}} {i / 8} {now - 4000}\n' for i in range(ROWS)) + "# EOF\n"
    request = urllib.parse.urlparse(server.url)
    connection = http.client.HTTPConnection(request.hostname, request.port,
                                            timeout=120 * harness.PATIENCE)
    connection.request("POST", "/api/v1/admin/tsdb/import", text.encode())
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body[:300]


class Watch:
    """The largest resident size while it lasts."""

    def __init__(self, server):
        self.server, self.most, self.done = server, 0, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.done.wait(0.01):
            self.most = max(self.most, resident(self.server))

    def __enter__(self):
        self.before = resident(self.server)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def growth(self):
        return max(0, self.most - self.before)


def fetch(server, path, encoding=None, method="GET"):
    """(headers, hash and size of the decoded body)"""
    address = urllib.parse.urlparse(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port,
                                            timeout=120 * harness.PATIENCE)
    connection.request(method, path, headers={"Accept-Encoding": encoding} if encoding else {})
    answer = connection.getresponse()
    assert answer.status == 200, (path, answer.status, answer.read(300))
    unpack = zlib.decompressobj({"gzip": 31, "deflate": 15}[encoding]) if encoding else None
    digest, size = hashlib.sha256(), 0
    while part := answer.read(1 << 20):
        part = unpack.decompress(part) if unpack else part
        digest.update(part)
        size += len(part)
    assert unpack is None or unpack.eof, f"{path}: the compressed body has no end"
    connection.close()
    return dict(answer.getheaders()), digest.hexdigest(), size


def expected(before, item, separator, after):
    digest, size = hashlib.sha256(), 0
    for i in range(SERIES):
        part = ((before if i == 0 else separator) + item(i)).encode()
        digest.update(part)
        size += len(part)
    digest.update(after.encode())
    return digest.hexdigest(), size + len(after)


def cases(now):
    def labels(i):
        return json.dumps({"__name__": "big", "filler": value_of(i)}, separators=(",", ":"))

    query = f"query=sort(big)&time={now}"
    yield ("/api/v1/series?match[]=big", ANSWER_BYTES_MIN, 0,
           expected('{"status":"success","data":[', labels, ",", "]}"))
    yield ("/api/v1/label/filler/values", ANSWER_BYTES_MIN, STORED_BYTES,
           expected('{"status":"success","data":[', lambda i: json.dumps(value_of(i)), ",", "]}"))
    yield (f"/api/v1/query?{query}", ANSWER_BYTES_MIN, STORED_BYTES,
           expected('{"status":"success","data":{"resultType":"vector","result":[',
                    lambda i: f'{{"metric":{labels(i)},"value":[{now},"{i}"]}}', ",", "]}}"))
    yield (f"/api/v1/query_range?query=big&start={now}&end={now}&step=1&limit={SERIES - 1}",
           ANSWER_BYTES_MIN - 700_000, STORED_BYTES, None)
    yield ("/federate?match[]=big", FEDERATED_BYTES_MIN, 0,
           expected("# TYPE big untyped\n", lambda i: f'big{{filler="{value_of(i)}",instance=""}} '
                    f"{i} {now}000\n", "", ""))


def check_whole(server, now):
    """Every byte is there, and the server never holds the answer."""
    for path, least, copies, wanted in cases(now):
        sizes = set()
        for encoding in (None, "gzip", "deflate") if "series" in path else (None, "gzip"):
            with Watch(server) as watch:
                headers, digest, size = fetch(server, path, encoding)
            assert size >= least, (path, size)
            assert wanted is None or (digest, size) == wanted, (path, encoding, size, wanted)
            assert headers.get("Transfer-Encoding") == "chunked", headers
            assert headers.get("Content-Encoding") == encoding, headers
            assert headers.get("Vary", "").endswith("Accept-Encoding"), headers
            assert "ETag" not in headers and "Content-Length" not in headers, headers
            assert watch.growth() < copies + GROWTH_BYTES_MAX, (path, encoding, watch.growth())
            sizes.add((digest, size))
            print(f"{path[:40]:40} {encoding or '-':8} {size / 1e6:.0f} MB, resident size grew by "
                  f"{watch.growth() / 1e6:.1f} MB")
        assert len(sizes) == 1, path
    headers, _, _ = fetch(server, f"/api/v1/query?query=1&time={now}")
    assert "Content-Length" in headers and "Transfer-Encoding" not in headers, headers


def check_end_of_range(server, now):
    """What follows the pieces: the warnings."""
    path = f"/api/v1/query_range?query=big&start={now}&end={now}&step=1&stats=no&limit=9"
    answer = json.loads(harness.http_get(server.url + path)[2])
    assert [s["values"] for s in answer["data"]["result"]] == [[[now, str(i)]] for i in range(9)]
    assert answer["data"]["stats"]["samples"], answer["data"]["stats"]
    assert len(answer["warnings"]) == 2, answer["warnings"]


def matrix_path(now, steps):
    return "/api/v1/query_range?" + urllib.parse.urlencode(
        {"query": "last_over_time(row[2h])", "start": now, "end": now + steps - 1, "step": 1})


def check_matrix(server, now):
    """Long ones are made at once, very long ones while they are sent; both come with their length."""
    for steps in (400, 2500):
        path = matrix_path(now, steps)
        headers, digest, size = fetch(server, path)
        assert int(headers["Content-Length"]) == size and "Transfer-Encoding" not in headers
        packed, same_digest, same_size = fetch(server, path, "gzip")
        assert packed["Content-Encoding"] == "gzip", packed
        assert (digest, size) == (same_digest, same_size), path
        answer = json.loads(harness.http_get(server.url + path + "&stats=no")[2])
        rows = {row["metric"]["i"]: row["values"] for row in answer["data"]["result"]}
        wanted = {str(i): [[now + s, f"{i / 8:g}"] for s in range(steps)] for i in range(ROWS)}
        assert rows == wanted, path
        assert answer["data"]["stats"]["samples"] and answer["warnings"], path
        print(f"matrix of {ROWS} x {steps}: {size / 1e6:.1f} MB")


def check_slow_matrices(server, now):
    """What is held for slow readers has a bound; those beyond it are made bit by bit."""
    with Watch(server) as watch:
        clients = [open_large(server, path=matrix_path(now, 600)) for _ in range(40)]
        for client in clients[::2]:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        whole = [drain(client, b"]}]}}") for client in clients[1::2]]
    assert all(whole), "an answer has no end"
    for client in clients[1::2]:
        client.close()
    print(f"40 matrices at once: {watch.growth() / 1e6:.0f} MB")
    # Each has its result, which is smaller than its text, besides.
    assert watch.growth() < 2 * HELD_BYTES_MAX + GROWTH_BYTES_MAX, watch.growth()


def open_large(server, more="", path="/api/v1/series?match[]=big"):
    address = urllib.parse.urlparse(server.url)
    client = socket.create_connection((address.hostname, address.port), 60 * harness.PATIENCE)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    return client


def drain(client, body_end=b"0\r\n\r\n"):
    """All that still comes; whether it ends as a whole answer does, in chunks or with body_end."""
    end = b""
    try:
        while part := client.recv(1 << 20):
            end = (end + part)[-5:]
            if end in (b"0\r\n\r\n", body_end):
                return True
    except ConnectionResetError:
        pass
    return False


def check_slow(server):
    """More slow readers than there are workers: others are answered, memory stays, and after the
    send timeout they are cut, so that they cannot take it for a whole answer."""
    with Watch(server) as watch:
        clients = [open_large(server) for _ in range(60)]
        start = time.monotonic()
        while time.monotonic() - start < SEND_TIMEOUT_S * 2 / 3:
            assert server.data("query", query="1")["resultType"] == "scalar"
            # Who had to wait for them would be answered once they are cut.
            assert server.metrics()["narthex_http_slow_clients_total"] == 0, "others have to wait"
            for client in clients:
                client.recv(100)
        held = watch.growth()
        harness.wait_until(lambda: server.metrics()["narthex_http_slow_clients_total"] >= 60,
                           "slow clients cut")
        whole = [drain(client) for client in clients]
    assert not any(whole), "an answer that was cut looks whole"
    assert held < 60 * (2 << 20) + GROWTH_BYTES_MAX, held
    for client in clients:
        client.close()
    print(f"60 slow readers: {held / 1e6:.0f} MB")


def check_leaving(server):
    """Clients that leave in the middle, some with a reset: their answers end."""
    fds = server.metrics()["process_open_fds"]
    for i in range(100):
        client = open_large(server, "Accept-Encoding: gzip\r\n" if i % 3 == 0 else "")
        client.recv(1 + i * 10_000)
        if i % 2 == 0:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    harness.wait_until(lambda: server.metrics()["process_open_fds"] <= fds + 3, "connections closed")


def check_head(server):
    """HEAD is not for the API; it has no body anywhere."""
    address = urllib.parse.urlparse(server.url)
    for path, status in (("/api/v1/series?match[]=big", 405), ("/federate?match[]=big", 405),
                         ("/-/healthy", 200)):
        with socket.create_connection((address.hostname, address.port),
                                      20 * harness.PATIENCE) as client:
            client.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            out = b""
            while part := client.recv(65536):
                out += part
        assert out.startswith(f"HTTP/1.1 {status} ".encode()) and out.endswith(b"\r\n\r\n"), out


def check_old_protocol(server):
    """HTTP/1.0 knows no chunks: the end of the connection is the end of the answer."""
    address = urllib.parse.urlparse(server.url)
    with socket.create_connection((address.hostname, address.port), 60 * harness.PATIENCE) as client:
        client.sendall(b"GET /api/v1/label/filler/values HTTP/1.0\r\n\r\n")
        out = bytearray()
        while part := client.recv(1 << 20):
            out += part
    head, _, body = bytes(out).partition(b"\r\n\r\n")
    assert b"chunked" not in head, head
    assert len(json.loads(body)["data"]) == SERIES


def check_etag(server):
    """Answers with an ETag are whole, and the tag is that of the body, compressed or not."""
    status, headers, body = harness.http_get(server.url + "/api/v1/openapi.json")
    tag = headers["ETag"]
    packed = fetch(server, "/api/v1/openapi.json", "gzip")
    assert packed[0]["ETag"] == tag and packed[1] == hashlib.sha256(body).hexdigest()
    address = urllib.parse.urlparse(server.url)
    connection = http.client.HTTPConnection(address.hostname, address.port,
                                            timeout=20 * harness.PATIENCE)
    connection.request("GET", "/api/v1/openapi.json", headers={"If-None-Match": tag})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (304, b"") and status == 200
    connection.close()


def check_stop(server):
    """The end of the server does not wait for who reads slowly."""
    clients = [open_large(server) for _ in range(3)]
    status, _ = server.stop()
    assert status == 0
    assert not any(drain(client) for client in clients)
    for client in clients:
        client.close()


def main():
    program, folder = sys.argv[1:3]
    now = int(time.time())
    with harness.WorkFolder(folder) as work:
        server = harness.start_narthex(program, work, CONFIG, "--web.enable-admin-api",
                                       "--host-metrics.disable")
        try:
            server.wait_ready()
            import_series(server, now)
            fetch(server, "/api/v1/series?match[]=big")  # mappings and caches as they will be
            check_whole(server, now)
            check_end_of_range(server, now)
            check_matrix(server, now)
            check_slow_matrices(server, now)
            check_leaving(server)
            check_head(server)
            check_old_protocol(server)
            check_etag(server)
        finally:
            server.stop()
        server = harness.start_narthex(program, work, CONFIG, "--host-metrics.disable",
                                       f"--web.send-timeout={SEND_TIMEOUT_S}s")
        try:
            server.wait_ready()
            check_slow(server)
            check_stop(server)
        finally:
            server.stop()


main()

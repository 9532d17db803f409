#!/usr/bin/env python3
"""What a server federates is what it holds: Debian's Prometheus and another Narthex scrape
/federate of a Narthex, in text and in protobuf, and answer alike.

usage: federation.py NARTHEX WORK_FOLDER

The page behind it all has gauges, a name that only UTF-8 allows, and native histograms, for which
Prometheus 2.42 asks in protobuf with its feature native-histograms.
"""
import os
import struct
import sys
import urllib.parse

import harness
import scripted

PROTOBUF = ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
            "encoding=delimited")


# ---- the page, as io.prometheus.client.MetricFamily messages ----

def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def signed(number, value):
    return field(number, value << 1 if value >= 0 else (-value << 1) - 1)


def family(name, kind, *metrics):
    message = field(1, name) + field(3, kind) + b"".join(field(4, metric) for metric in metrics)
    return varint(len(message)) + message


def label(name, value):
    return field(1, field(1, name) + field(2, value))


def span(offset, length):
    return signed(1, offset) + field(2, length)


def native_histogram():
    """Schema 1, buckets on both sides with a gap; counts are differences of differences."""
    return field(7, field(1, 23) + field(2, 18.5) + signed(5, 1) + field(6, 0.001) + field(7, 2)
                 + field(9, span(0, 1)) + signed(10, 3)
                 + field(12, span(-1, 2)) + field(12, span(2, 1))
                 + signed(13, 4) + signed(13, 2) + signed(13, 2))


PAGE = (family("plain", 1, label("text", 'a"b\\c\nd<&>') + field(2, field(1, 1.5)),
               label("text", "") + field(2, field(1, float("inf"))))
        + family("made_total", 0, field(3, field(1, 1234567.5)))
        + family("sizes", 4, label("kind", "x") + native_histogram()))
UTF8_PAGE = family("my.metric", 1, label("a.b", "c") + field(2, field(1, 7.0)))


class Page:
    def __init__(self, body):
        class Handler(scripted.Handler):
            def do_GET(self):
                self.answer(body, kind=PROTOBUF)

        self.port = scripted.serve(Handler).server_port


SOURCE = """\
global: {{scrape_interval: 1s, scrape_native_histograms: true, external_labels: {{site: lab}}}}
scrape_configs:
- job_name: page
  static_configs: [{{targets: ['127.0.0.1:{page}']}}]
- job_name: utf8
  static_configs: [{{targets: ['127.0.0.1:{utf8}']}}]
"""

READER = """\
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: federation
  honor_labels: true
  metrics_path: /federate
  params: {{'match[]': ['{{job="page"}}']}}
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""
NATIVE = "  scrape_native_histograms: true\n"


def federate(source, match, accept=None):
    status, headers, body = harness.http_get(
        f"{source.url}/federate?match[]={urllib.parse.quote(match)}",
        headers={"Accept": accept} if accept else {})
    assert status == 200, (status, body)
    return headers["Content-Type"], body


def check_names(source):
    """Of the metric my.metric{a.b="c"} in every escaping."""
    for escaping, name, label_name in (("underscores", "my_metric", "a_b"),
                                       ("dots", "my_dot_metric", "a_dot_b"),
                                       ("values", "U__my_2e_metric", "U__a_2e_b")):
        kind, body = federate(source, '{job="utf8",__name__="my.metric"}',
                              f"text/plain;version=0.0.4;escaping={escaping}")
        assert kind == f"text/plain; version=0.0.4; charset=utf-8; escaping={escaping}", kind
        assert body.startswith(f'# TYPE {name} untyped\n{name}{{{label_name}="c",'.encode()), body
    kind, body = federate(source, '{job="utf8",__name__="my.metric"}',
                          "application/openmetrics-text,text/plain;version=1.0.0;q=0.5;"
                          "escaping=allow-utf-8")
    assert kind == "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8", kind
    assert body.startswith(b'# TYPE "my.metric" untyped\n{"my.metric","a.b"="c",'), body
    kind, body = federate(source, '{job="page"}', "text/html,*/*;q=0.1")
    assert kind.startswith("text/plain; version=0.0.4;") and b"sizes" not in body, (kind, body)
    kind, body = federate(source, '{job="page"}', PROTOBUF)
    assert kind == PROTOBUF + "; escaping=underscores" and b"sizes" in body, kind


def answer(server, query):
    """{labels: value} without what is the server's own."""
    found = {}
    for item in server.data("query", query=query)["result"]:
        labels = {k: v for k, v in item["metric"].items() if k not in ("site",)}
        value = item["histogram"][1] if "histogram" in item else item["value"][1]
        found[tuple(sorted(labels.items()))] = value
    return found


def check_readers(source, readers):
    for query in ("plain", "made_total", "sizes", "histogram_count(sizes)"):
        wanted = harness.wait_until(lambda: answer(source, query), query)
        for reader in readers:
            harness.wait_until(lambda: answer(reader, query) == wanted,
                               f"{query} on {reader.url}: {answer(reader, query)}, not {wanted}",
                               20)
            print(f"{query}: {len(wanted)} alike on {reader.url}", flush=True)


def main():
    program, work = sys.argv[1:3]
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", os.path.join(work, "peers"))
    with harness.WorkFolder(work) as folder:
        servers = []
        try:
            source = harness.start_narthex(
                program, os.path.join(folder, "source"),
                SOURCE.format(page=Page(PAGE).port, utf8=Page(UTF8_PAGE).port))
            servers.append(source.wait_ready())
            harness.wait_until(lambda: answer(source, "sizes") and answer(source, '{job="utf8"}'),
                               "a scrape")
            check_names(source)
            config = READER.format(port=source.url.rsplit(":", 1)[1])
            servers.append(harness.start_prometheus(prometheus, folder, config,
                                                    "--enable-feature=native-histograms"))
            servers.append(harness.start_narthex(program, folder, config + NATIVE))
            for server in servers:
                server.wait_ready()
            check_readers(source, servers[1:])
        finally:
            for server in servers:
                server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

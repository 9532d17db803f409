"""The query list: answers first, then times, one system at a time."""
import http.client
import json
import math
import statistics
import sys
import time
import urllib.parse

from .history import Dataset
from .measure import forget_files
from .results import geometric_mean

SLOW_MS = 5
TOLERANCE = 1e-9


class Query:
    """An instant query (span 0) or a range query over the last span seconds of a data set."""

    def __init__(self, name, dataset, text, span=0, step=0):
        self.name, self.dataset, self.text, self.span, self.step = name, dataset, text, span, step


def node_queries(hours):
    host = 'instance="host-7:9100"'
    hour, full = 3600, hours * 3600
    cpu = "node_cpu_seconds_total"
    return [
        Query("Q1", "D1", 'node_load1{instance="host-0:9100"}'),
        Query("Q2", "D1", "node_load1"),
        Query("Q3", "D1", f"node_memory_MemAvailable_bytes{{{host}}}", hour, 15),
        Query("Q5", "D1", f"rate({cpu}{{{host}}}[1m])", hour, 15),
        Query("Q6", "D1", "rate(node_network_receive_bytes_total[5m])", full, 60),
        Query("Q9", "D1", "irate(node_disk_io_time_seconds_total[1m])", hour, 15),
        Query("Q11", "D1", f"sum(rate({cpu}[5m]))", hour, 15),
        Query("Q12", "D1", f"sum by (instance,mode)(rate({cpu}[5m]))", full, 60),
        Query("Q13", "D1", f'avg without (cpu)(rate({cpu}{{mode="idle"}}[5m]))', hour, 30),
        Query("Q16", "D1", 'count_values("v", node_boot_time_seconds)'),
        Query("Q23", "D1", "quantile(0.95, node_load1)", full, 60),
        Query("Q24", "D1", "quantile_over_time(0.95, node_load1[1h])"),
        Query("Q25", "D1", "topk(5, rate(node_network_transmit_bytes_total[5m]))", full, 60),
        Query("Q26", "D1", 'topk(20, count by (job,__name__)({job!=""}))'),
        Query("Q27", "D1", 'sum({__name__=~"node_(cpu|disk|network).*_total"})', hour, 60),
        Query("Q28", "D1", 'count(node_filesystem_avail_bytes{fstype!~"^(fuse.*|tmpfs|nfs)",'
                           'mountpoint=~"/.*"})'),
        Query("Q30", "D1", "node_filesystem_avail_bytes / node_filesystem_size_bytes < .1 and "
                           "on(instance,device,mountpoint) node_filesystem_readonly == 0", hour, 30),
        Query("Q34", "D1", f'max_over_time(sum(rate({cpu}{{mode!="idle"}}[1m]))[30m:1m])', full, 60),
        Query("Q35", "D1", "predict_linear(node_filesystem_avail_bytes[1h], 86400) < 0", full, 300),
        Query("Q36", "D1", "changes(node_boot_time_seconds[1h]) + "
                           "resets(node_context_switches_total[1h])"),
    ]


def pod_queries():
    bucket = "http_request_duration_seconds_bucket"
    return [
        Query("Q20", "D4", f"histogram_quantile(0.99, sum by (le)(rate({bucket}[5m])))", 3600, 30),
        Query("Q21", "D4", f"histogram_quantile(0.9, sum by (le,route)(rate({bucket}[5m])))", 3600, 30),
    ]


def upstream_queries():
    return [
        Query("Q4", "D7", "a_hundred", 86400, 60),
        Query("Q7", "D7", "rate(a_hundred[1m])", 100000, 10),
        Query("Q8", "D7", "rate(sparse[1m])", 100000, 10),
        Query("Q10", "D7", "rate(a_hundred[1d])", 10000, 10),
        Query("Q22", "D7", "histogram_quantile(0.9, rate(h_hundred_bucket[5m]))", 10000, 10),
        Query("Q33", "D7", 'a_hundred unless b_hundred{l=~".*[0-4]$"}', 10000, 10),
    ]


def wide_queries():
    return [
        Query("Q14", "D3", 'count by (__name__)({__name__!=""})'),
        Query("Q15", "D3", "sum by (zone)(wide_metric)", 3600, 30),
    ]


def datasets(options):
    """Name -> (data set, queries). The quick run leaves D3 out and takes a part of the others."""
    hours = 1 if options.quick else 6
    pods = 24000 if options.quick else 240000
    every = {
        "D1": (Dataset("D1", "node", 100000, hours * 240, 15000), node_queries(hours)),
        "D4": (Dataset("D4", "shape:k8s", pods, 120 if options.quick else 360, 30000), pod_queries()),
        "D7": (Dataset("D7", "shape:ranges", 1444, 18640, 10000), upstream_queries()),
    }
    if not options.quick:
        every["D3"] = (Dataset("D3", "shape:wide", 1000000, 120, 30000), wide_queries())
    return every


class Client:
    """One kept connection."""

    def __init__(self, system, port):
        self.system = system
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def ask(self, query, dataset):
        """(milliseconds to the last byte, body)"""
        end = dataset.end_s
        parameters = {"query": query.text, **self.system.query_parameters}
        if query.span:
            start = max(end - query.span, dataset.start_s + query.step)
            start = end - (end - start) // query.step * query.step
            path = "query_range"
            parameters.update(start=f"{start:.3f}", end=f"{end:.3f}", step=query.step)
        else:
            path = "query"
            parameters["time"] = f"{end:.3f}"
        begun = time.monotonic()
        self.connection.request("GET", f"/api/v1/{path}?" + urllib.parse.urlencode(parameters))
        body = self.connection.getresponse().read()
        return (time.monotonic() - begun) * 1e3, body


def flatten(body):
    data = json.loads(body)["data"]
    return {json.dumps(item["metric"], sort_keys=True): item.get("values") or [item["value"]]
            for item in data["result"]}


def close(a, b):
    x, y = float(a), float(b)
    if math.isnan(x) or math.isnan(y):
        return math.isnan(x) and math.isnan(y)
    return x == y or abs(x - y) <= TOLERANCE * max(abs(x), abs(y))


def difference(ours, theirs):
    """None, or what differs first."""
    try:
        a, b = flatten(ours), flatten(theirs)
    except (ValueError, KeyError):
        return f"no answer: {ours[:120]!r}, {theirs[:120]!r}"
    if a.keys() != b.keys():
        return f"{len(a.keys() - b.keys())} series only here, {len(b.keys() - a.keys())} only there"
    for key, points in a.items():
        if [p[0] for p in points] != [p[0] for p in b[key]]:
            return f"times of {key[:80]}"
        for (at, v), (_, w) in zip(points, b[key]):
            if not close(v, w):
                return f"{key[:80]} at {at}: {v}, not {w}"
    return None


def time_system(system, dataset, queries, options, cores, cold):
    """Per query: (median of warm runs, first run, answer)."""
    folder, _ = dataset.prepare(options, system)
    forget_files(folder)
    server = system.wait_ready(system.start(folder, cores), 300)
    out = {}
    try:
        client = Client(system, server.port)
        for query in queries:
            first_ms, body = client.ask(query, dataset)
            client.ask(query, dataset)
            times = [client.ask(query, dataset)[0] for _ in range(options.query_runs)]
            out[query.name] = statistics.median(times), first_ms if cold else None, body
    finally:
        server.stop(60)
    return out


def compare_answers(name, text, answers, results):
    """The peers whose answers equal ours; differences are noted."""
    equal = []
    for peer in results.systems[1:]:
        problem = difference(answers["narthex"], answers[peer.name])
        if problem is None:
            equal.append(peer.name)
        else:
            results.note(f"{name} `{text}`: {peer.name} differs: {problem}")
    return equal


def summarise(kind, ratios, results):
    """Geometric means over the queries whose answers agree."""
    for peer, rows in ratios.items():
        slow = [mine / theirs for mine, theirs in rows.values() if theirs >= SLOW_MS]
        every = [mine / theirs for mine, theirs in rows.values()]
        if not every:
            continue
        worst = max(rows, key=lambda name: rows[name][0] / rows[name][1])
        text = f"queries, {kind}: {len(every)} against {peer}: geometric mean "
        text += f"{geometric_mean(every):.3f}, worst {max(every):.3f} ({worst})"
        if slow:
            text += f"; {len(slow)} that take it {SLOW_MS} ms or more: {geometric_mean(slow):.3f}"
        results.note(text)


def run_queries(options, results):
    ways = [("two cores, warm", "0,1")] if options.quick else [("one core, warm", "0"),
                                                             ("two cores, warm", "0,1")]
    for kind, cores in ways:
        ratios = {peer.name: {} for peer in results.systems[1:]}
        for name, (dataset, queries) in datasets(options).items():
            measured = {}
            for system in results.systems:
                measured[system.name] = time_system(system, dataset, queries, options, cores, True)
                print(f"queries: {kind}: {name}: {system.name} done", file=sys.stderr)
            for query in queries:
                answers = {system: rows[query.name][2] for system, rows in measured.items()}
                equal = compare_answers(query.name, query.text, answers, results)
                for system, rows in measured.items():
                    if system == "narthex" or system in equal:
                        results.add(f"{query.name}, {kind}", "ms", system, rows[query.name][0])
                        results.add(f"{query.name}, cold", "ms", system, rows[query.name][1])
                for peer in equal:
                    ratios[peer][query.name] = (measured["narthex"][query.name][0],
                                                measured[peer][query.name][0])
        summarise(kind, ratios, results)

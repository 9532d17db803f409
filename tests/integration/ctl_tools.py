"""What narthexctl has that Debian's promtool lacks: analysis of histograms, debug archives, service
discovery, clients with credentials, JSON and bars.

    ctl_tools.py NARTHEX NARTHEXCTL FOLDER
"""
import base64
import http.server
import json
import os
import pty
import random
import subprocess
import sys
import tarfile
import threading

import harness

START = 1700000000
SEED = 20261123
CLASSIC = [(0, 0, 0), (1, 1, 1), (1, 3, 3), (1, 3, 4)] # cumulative counts of le 1, 2, +Inf
LABELS = '{job="x"}'


def run(ctl, *arguments, status=0, folder=None):
    done = subprocess.run([ctl, *arguments], cwd=folder, capture_output=True, text=True, timeout=120,
                          check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == status, (arguments, done)
    return done.stdout, done.stderr


def openmetrics():
    lines = ["# TYPE h histogram"]
    for i, counts in enumerate(CLASSIC):
        time = START + i * 15
        lines += [f'h_bucket{{job="x",le="{le}"}} {count} {time}'
                  for le, count in zip(("1.0", "2.0", "+Inf"), counts)]
        lines += [f'h_sum{LABELS} {i} {time}', f'h_count{LABELS} {counts[2]} {time}']
    return "\n".join([*lines, "# EOF"]) + "\n"


def check_histograms(ctl, url):
    wanted = [{"series": 'h{job="x"}', "type": "classic", "scrapes": 4, "buckets": 3,
               "populated": {"min": 0.0, "avg": 1.5, "max": 3.0},
               "changed": {"min": 1.0, "avg": 1.0, "max": 1.0},
               "delta": {"min": 1.0, "avg": 4 / 3, "max": 2.0}}]
    flags = ["query", "analyze", "--server", url, "--type", "histogram", "--time", str(START + 60)]
    for selector in ("h_bucket", "h_sum", '{__name__=~"h_.*"}'):
        found = json.loads(run(ctl, *flags, "--match", selector, "-o", "json")[0])
        assert found == wanted, (selector, found)
    assert json.loads(run(ctl, *flags, "--match", "h_count", "-ojson")[0]) == []
    out, _ = run(ctl, *flags, "--match", "h_sum", "--match", "h_bucket")
    assert "classic  4        3        0/1.500/3" in out and "1 classic histograms with 3" in out, out
    # Histograms that are stored as native ones.
    query = ["query", "analyze", "--server", url, "--type", "histogram", "--duration", "1m", "-ojson",
             "--match", 'prometheus_http_request_duration_seconds{job="native"}']
    found = harness.wait_until(lambda: json.loads(run(ctl, *query)[0]), "native histograms")
    assert {h["type"] for h in found} == {"native"} and found[0]["buckets"] >= 1, found
    for missing in ("server", "type", "match"):
        rest = {"server": url, "type": "histogram", "match": "h_sum"}
        del rest[missing]
        _, err = run(ctl, "query", "analyze", *(f"--{k}={v}" for k, v in rest.items()), status=1)
        assert f"required flag --{missing} not provided" in err, err


def check_debug(ctl, url, folder):
    archive = os.path.join(folder, "debug.tar.gz")
    out, _ = run(ctl, "debug", "metrics", url, folder=folder)
    assert out.split("\n")[0] == f"collecting: {url}/metrics", out
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["metrics.txt"]
        assert b"prometheus_build_info" in tar.extractfile("metrics.txt").read()
    run(ctl, "debug", "all", url, folder=folder)
    with tarfile.open(archive) as tar:
        names = tar.getnames()
        assert {"metrics.txt", "config.json", "targets.json", "blocks.json"} <= set(names), names
        for name in names:
            if name.endswith(".json"):
                assert json.load(tar.extractfile(name))["status"] == "success", name
    os.unlink(archive)
    _, err = run(ctl, "debug", "all", "http://127.0.0.1:1", status=1, folder=folder)
    assert "connection refused" in err and not os.path.exists(archive), err


def check_server(program, ctl, folder):
    port = harness.free_port()
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: native
  convert_classic_histograms_to_nhcb: true
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""
    server = harness.start_narthex(program, folder, config, "--web.enable-admin-api",
                                   "--storage.tsdb.retention.time=100y", port=port).wait_ready()
    try:
        text = os.path.join(folder, "in.om")
        with open(text, "w") as file:
            file.write(openmetrics())
        run(ctl, "tsdb", "create-blocks-from", "openmetrics", f"--url={server.url}", text)
        check_histograms(ctl, server.url)
        check_debug(ctl, server.url, folder)
        _, err = run(ctl, "check", "ready", "--url", server.url)
        assert err.startswith("  SUCCESS:  "), err
        _, err = run(ctl, "check", "healthy", "--url", server.url + "/no", status=1)
        assert err == f"  FAILED: check failed: URL={server.url}/no/-/healthy, status=404\n", err
    finally:
        server.stop()
    return text


class Recorder(http.server.BaseHTTPRequestHandler):
    """Takes no POST, wants a user, and keeps what it was asked."""
    asked = []
    make_answer = staticmethod(
        lambda: b'{"status":"success","data":{"resultType":"vector","result":[]}}')

    def answer(self, status, body):
        self.asked.append((self.command, self.path, dict(self.headers)))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(405, b"no")

    def do_GET(self):
        self.answer(200, type(self).make_answer())

    def log_message(self, *arguments):
        pass


def check_client(ctl, folder):
    path = os.path.join(folder, "client.yml")
    with open(path, "w") as file:
        file.write("basic_auth: {username: me, password_file: password}\n")
    with open(os.path.join(folder, "password"), "w") as file:
        file.write("secret\n")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        out, _ = run(ctl, "query", "instant", f"--http.config.file={path}", "--header=X-Scope=a=b", url,
                     "sum by (a) (b)")
        server.shutdown()
    assert out == "\n", out
    assert [command for command, _, _ in Recorder.asked] == ["POST", "GET"], Recorder.asked
    _, target, headers = Recorder.asked[-1]
    assert target == "/api/v1/query?query=sum%20by%20%28a%29%20%28b%29", target
    assert headers["X-Scope"] == "a=b", headers
    assert base64.b64decode(headers["Authorization"].split()[1]) == b"me:secret", headers
    with open(path, "w") as file:
        file.write("basic_auth: {username: me}\nfoo: 1\n")
    _, err = run(ctl, "query", "instant", f"--http.config.file={path}", url, "a", status=1)
    assert "line 2: field foo not found" in err, err


def mutate(value, source):
    """JSON of the same shape with some parts replaced or left out."""
    if source.random() < 0.06:
        return source.choice([None, 1, "x", [], {}, True, -1.5, [[]]])
    if isinstance(value, list):
        return [mutate(item, source) for item in value]
    if isinstance(value, dict):
        return {key: mutate(item, source) for key, item in value.items() if source.random() > 0.03}
    return value


def check_broken_answers(ctl):
    """Whatever a server says, narthexctl ends with an answer or an error."""
    source = random.Random(SEED)
    bucket = {"metric": {"__name__": "h_bucket", "le": "1"}, "values": [[1, "1"], [2, "2"]]}
    native = {"metric": {}, "histograms": [[1, {"count": "1", "sum": "2",
                                                "buckets": [[0, "1", "2", "1"]]}]]}
    answers = [{"status": "success", "data": data} for data in (
        {"resultType": "matrix", "result": [bucket, native]}, ["a"], [{"__name__": "a"}],
        {"resultType": "vector", "result": [{"metric": {"a": "b"}, "value": [1, "1"]}]},
        {"resultType": "scalar", "result": [1, "2"]})]
    Recorder.make_answer = staticmethod(lambda: json.dumps(mutate(source.choice(answers), source)).encode())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        commands = [["query", "instant", url, "a"], ["query", "range", url, "a"],
                    ["query", "series", url, "--match", "a"], ["query", "labels", url, "a"],
                    ["query", "analyze", "--server", url, "--type", "histogram", "--match", "a"]]
        for i in range(150):
            command = [ctl, *commands[i % len(commands)], *(["-ojson"] if i % 2 else [])]
            done = subprocess.run(command, capture_output=True, timeout=60, check=False)
            assert done.returncode in (0, 1), done
        server.shutdown()


def check_discovery(ctl, folder):
    path = os.path.join(folder, "sd.yml")
    with open(os.path.join(folder, "found.json"), "w") as file:
        json.dump([{"targets": ["f:1", "drop:1"], "labels": {"a": "b"}}], file)
    with open(path, "w") as file:
        file.write("""
scrape_configs:
- job_name: j
  file_sd_configs: [{files: [found.json]}]
  static_configs: [{targets: ['s:1', 's:1']}]
  relabel_configs:
  - {source_labels: [__address__], regex: 'drop.*', action: drop}
  - {source_labels: [__address__], regex: '(s):.*', target_label: __address__, replacement: 'bad/x'}
""")
    out, _ = run(ctl, "check", "service-discovery", "--timeout=5s", path, "j")
    found = json.loads(out)
    assert len(found) == 3, found
    refused, kept, dropped = found
    assert "not a valid hostname" in refused["error"] and refused["labels"] == {}, refused
    assert kept["labels"]["__address__"] == "f:1" and kept["labels"]["a"] == "b", kept
    assert kept["discoveredLabels"]["__meta_filepath"].endswith("found.json"), kept
    assert dropped["labels"] == {} and dropped["discoveredLabels"]["__address__"] == "drop:1", dropped


def check_folder(ctl, folder, text):
    """Tables as JSON, and a bar for those who watch."""
    data = os.path.join(folder, "blocks")
    made = json.loads(run(ctl, "tsdb", "create-blocks-from", "openmetrics", "-ojson", text, data)[0])
    assert len(made) == 1 and made[0]["numSamples"] == 20 and made[0]["numSeries"] == 5, made
    assert json.loads(run(ctl, "tsdb", "list", "-o", "json", data)[0]) == made
    analysis = json.loads(run(ctl, "tsdb", "analyze", "-ojson", "--extended", "--match", "h_bucket",
                              data)[0])
    assert (analysis["numSeries"], analysis["matchedSeries"]) == (5, 3), analysis
    assert analysis["namesByValues"][0] == {"count": 3, "name": "le"}, analysis
    assert analysis["floatColumns"]["samples"] == 12, analysis
    assert all(f["ok"] for f in json.loads(run(ctl, "tsdb", "verify", "--format=json", data)[0]))
    lines = run(ctl, "tsdb", "dump", "--format=seriesjson", "--match", "h_sum", data)[0]
    assert json.loads(lines) == {"__name__": "h_sum", "job": "x"}, lines
    ours, theirs = pty.openpty()
    done = subprocess.run([ctl, "tsdb", "verify", data], stdin=subprocess.DEVNULL, timeout=60,
                          stdout=subprocess.PIPE, stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "\rVerifying [" in shown and shown.endswith("\r\x1b[K"), repr(shown)
    assert b"Verifying" not in done.stdout, done


def main():
    program, ctl, work = sys.argv[1:4]
    print(f"seed {SEED}")
    with harness.WorkFolder(work) as folder:
        text = check_server(program, ctl, folder)
        check_client(ctl, folder)
        check_broken_answers(ctl)
        check_discovery(ctl, folder)
        check_folder(ctl, folder, text)


if __name__ == "__main__":
    main()

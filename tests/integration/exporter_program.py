#!/usr/bin/env python3
"""Checks what narthex-exporter answers over HTTP and how it starts and ends.

usage: exporter_program.py PROGRAM WORK_FOLDER
"""
import gzip
import http.client
import os
import signal
import subprocess
import sys
import tempfile
from urllib.parse import urlsplit

faults = []


def check(condition, text):
    if not condition:
        faults.append(text)
        print("FAULT", text)


class Exporter:
    def __init__(self, program, *flags):
        self.process = subprocess.Popen([program, "--web.listen-address=127.0.0.1:0", *flags],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.url = urlsplit(self.process.stdout.readline().split()[-1])

    def ask(self, path, method="GET", headers=None):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=20)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def stop(self, number):
        self.process.send_signal(number)
        try:
            _, log = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            check(False, "does not end")
            return ""
        check(self.process.returncode == 0, f"status {self.process.returncode} after signal")
        return log


def check_answers(program):
    exporter = Exporter(program)
    try:
        answer, body = exporter.ask("/metrics")
        check(answer.status == 200, "GET /metrics")
        check(answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8",
              "content type")
        check(answer.getheader("Content-Encoding") is None, "compressed unasked")
        check(b"\nnode_memory_MemTotal_bytes " in body, "memory")
        check(b"\nprocess_open_fds " in body, "process")
        check(b"\nnarthex_exporter_build_info{version=" in body, "build info")

        for header, packed in (("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False),
                               ("br", False), ("GZip", True)):
            answer, body = exporter.ask("/metrics", headers={"Accept-Encoding": header})
            check((answer.getheader("Content-Encoding") == "gzip") == packed, header)
            text = gzip.decompress(body) if packed else body
            check(b"\nnode_load1 " in text, f"body for {header}")

        answer, body = exporter.ask("/metrics?collect[]=loadavg&collect%5B%5D=uname")
        check(b"node_load1" in body and b"node_uname_info" in body, "collect[]")
        check(b"node_memory" not in body, "collect[] leaves the others out")
        answer, body = exporter.ask("/metrics?exclude[]=meminfo")
        check(b"node_load1" in body and b"node_memory_" not in body, "exclude[]")
        answer, body = exporter.ask("/metrics?collect[]=nothing")
        check(answer.status == 400 and b"missing collector: nothing" in body, "unknown collector")
        answer, _ = exporter.ask("/metrics?" + "&".join(["collect[]=cpu"] * 100))
        check(answer.status == 400, "too many names")

        answer, body = exporter.ask("/")
        check(answer.status == 200 and b'href="/metrics"' in body, "front page")
        answer, body = exporter.ask("/metrics", method="HEAD")
        check(answer.status == 200 and body == b"", "HEAD")
        answer, _ = exporter.ask("/metrics", method="POST")
        check(answer.status == 405, "POST")
        answer, _ = exporter.ask("/elsewhere")
        check(answer.status == 404, "unknown path")
    finally:
        log = exporter.stop(signal.SIGTERM)
    check("level=INFO msg=stopping signal=SIGTERM" in log, "log line of the end")


def check_flags(program):
    with tempfile.TemporaryDirectory() as root:
        os.makedirs(os.path.join(root, "proc"))
        with open(os.path.join(root, "proc/loadavg"), "w", encoding="ascii") as file:
            file.write("7.00 8.00 9.00 1/2 3\n")
        exporter = Exporter(program, f"--path.procfs={root}/proc", "--path.sysfs", f"{root}/sys",
                            f"--path.rootfs={root}", "--web.telemetry-path=/m", "--log.format=json",
                            "--log.level=debug")
        try:
            check(exporter.url.path == "/m", "printed path")
            _, body = exporter.ask("/m")
            check(b"\nnode_load1 7\n" in body, "procfs of its own")
            check(b'success{collector="meminfo"} 0' in body, "absent file")
            answer, _ = exporter.ask("/metrics")
            check(answer.status == 404, "default path is off")
        finally:
            log = exporter.stop(signal.SIGINT)
        check('"msg":"collector found nothing","collector":"meminfo"' in log, "debug line as JSON")

    for flags in (["--no.such=1"], ["--log.level=loud"], ["--log.format"], ["stray"],
                  ["--web.telemetry-path=metrics"], ["--web.listen-address=nowhere"],
                  ["--web.listen-address=127.0.0.1:99999"]):
        ended = subprocess.run([program, *flags], capture_output=True, text=True, timeout=20)
        check(ended.returncode == 1 and ended.stderr.startswith("narthex-exporter: "), str(flags))
    ended = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=20)
    check(ended.returncode == 0 and "--path.procfs" in ended.stdout, "--help")


def main():
    check_answers(sys.argv[1])
    check_flags(sys.argv[1])
    print("all answers as wanted" if not faults else f"{len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

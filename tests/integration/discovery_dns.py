#!/usr/bin/env python3
"""dns_sd against a real DNS server (dnsmasq): all record types, the search list, answers that need
TCP, changes, names that do not exist, and a server that is gone: the old targets stay.

usage: discovery_dns.py NARTHEX WORK_FOLDER
"""
import os
import signal
import socket
import subprocess
import sys

import harness

PACKAGES = ["dnsmasq-base", "libnetfilter-conntrack3", "libnftables1", "libnftnl11",
            "libnfnetlink0", "libmnl0"]
MANY = 300  # SRV records that no UDP answer holds

RECORDS = """
srv-host=_metrics._tcp.example.test,node1.example.test,9100,1,10
srv-host=_metrics._tcp.example.test,node2.example.test,9101,1,10
host-record=node1.example.test,10.1.2.3,fd00::3
host-record=node2.example.test,10.1.2.4
cname=alias.example.test,node1.example.test
mx-host=example.test,mail.example.test,5
dns-rr=zone.test,2,036e7331047a6f6e65047465737400
"""

CONFIG = """
global: {scrape_interval: 1h}
scrape_configs:
"""
JOBS = {
    "srv": "{names: [_metrics._tcp.example.test], refresh_interval: 1s}",
    "a": "{names: [node1.example.test, node2.example.test.], type: A, port: 80,"
         " refresh_interval: 1s}",
    "alias": "{names: [alias.example.test], type: A, port: 80, refresh_interval: 1s}",
    "aaaa": "{names: [node1.example.test], type: aaaa, port: 81, refresh_interval: 1s}",
    "mx": "{names: [example.test], type: MX, port: 25, refresh_interval: 1s}",
    "ns": "{names: [zone.test], type: NS, port: 53, refresh_interval: 1s}",
    "searched": "{names: [node2], type: A, port: 82, refresh_interval: 1s}",
    "many": "{names: [many.example.test], refresh_interval: 1s}",
    "absent": "{names: [absent.example.test], refresh_interval: 1s}",
}


def target(address, **labels):
    return (address, *sorted((f"__meta_dns_{name}", value) for name, value in labels.items()))


EXPECTED = {
    "srv": {target("node1.example.test:9100", name="_metrics._tcp.example.test",
                   srv_record_target="node1.example.test.", srv_record_port="9100"),
            target("node2.example.test:9101", name="_metrics._tcp.example.test",
                   srv_record_target="node2.example.test.", srv_record_port="9101")},
    "a": {target("10.1.2.3:80", name="node1.example.test"),
          target("10.1.2.4:80", name="node2.example.test.")},
    "alias": {target("10.1.2.3:80", name="alias.example.test")},
    "aaaa": {target("[fd00::3]:81", name="node1.example.test")},
    "mx": {target("mail.example.test:25", name="example.test",
                  mx_record_target="mail.example.test.")},
    "ns": {target("ns1.zone.test:53", name="zone.test", ns_record_target="ns1.zone.test.")},
    "searched": {target("10.1.2.4:82", name="node2")},
}


class Dnsmasq:
    def __init__(self, program, environment, folder, port):
        self.command = [program, "--keep-in-foreground", "--no-daemon", f"--port={port}",
                        "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv",
                        "--no-hosts", "--local=/test/", "--user=", "--group=", "--pid-file=",
                        f"--conf-file={folder}/dnsmasq.conf"]
        self.environment = environment
        self.folder = folder
        self.port = port
        self.process = None

    def start(self, records):
        with open(f"{self.folder}/dnsmasq.conf", "w") as file:
            file.write(records)
        with open(f"{self.folder}/dnsmasq.log", "ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)

        def answers():
            if self.process.poll() is not None:
                with open(f"{self.folder}/dnsmasq.log", errors="replace") as log:
                    harness.skip("dnsmasq does not start here: " + log.read()[-500:])
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
                query.settimeout(0.2)
                query.connect(("127.0.0.1", self.port))
                # A question for A records of "x.test".
                query.send(bytes.fromhex("0001010000010000000000000178047465737400" "00010001"))
                try:
                    return query.recv(512)
                except OSError:
                    return None
        harness.wait_until(answers, "dnsmasq answers", 30)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10 * harness.PATIENCE)


def found(server):
    """job -> set of (address, meta labels…) as discovered."""
    result = {job: set() for job in JOBS}
    for entry in server.data("targets", state="active")["activeTargets"]:
        labels = entry["discoveredLabels"]
        result[labels["job"]].add((labels["__address__"], *sorted(
            (n, v) for n, v in labels.items() if n.startswith("__meta_"))))
    return result


def metric(server, name):
    body = harness.http_get(server.url + "/metrics")[2].decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines()
               if line.startswith(name + " ") or line.startswith(name + "{"))


def expect(server, expected, many):
    def right():
        got = found(server)
        return all(got[job] == targets for job, targets in expected.items()) and \
            len(got["many"]) == many and not got["absent"]
    try:
        harness.wait_until(right, "the targets", 30)
    except AssertionError:
        for job, targets in found(server).items():
            if targets != expected.get(job, set()):
                print(job, len(targets), sorted(targets)[:5])
        print(server.log_tail())
        raise


def run(narthex, programs, folder):
    (program,), environment = programs
    many = "".join(f"srv-host=many.example.test,host-{i}.example.test,{1000 + i}\n"
                   for i in range(MANY))
    dnsmasq = Dnsmasq(program, environment, folder, harness.free_port())
    dnsmasq.start(RECORDS + many)
    resolver = os.path.join(folder, "resolv.conf")
    with open(resolver, "w") as file:
        # A server that refuses comes first.
        file.write(f"nameserver [127.0.0.1]:{harness.free_port()}\n"
                   f"nameserver [127.0.0.1]:{dnsmasq.port}\nsearch none.test example.test\n")
    config = CONFIG + "".join(f"- job_name: {job}\n  dns_sd_configs: [{settings}]\n"
                              for job, settings in JOBS.items())
    server = harness.start_narthex(narthex, folder, config,
                                   environment=dict(os.environ, NARTHEX_RESOLV_CONF=resolver))
    try:
        server.wait_ready()
        expect(server, EXPECTED, MANY)
        assert metric(server, "prometheus_sd_dns_lookup_failures_total") == 0
        # A record more and the many gone.
        dnsmasq.stop()
        dnsmasq.start(RECORDS + "srv-host=_metrics._tcp.example.test,new.example.test,9102\n")
        changed = dict(EXPECTED, srv=EXPECTED["srv"] | {
            target("new.example.test:9102", name="_metrics._tcp.example.test",
                   srv_record_target="new.example.test.", srv_record_port="9102")})
        expect(server, changed, 0)
        # Nobody answers: said, counted, and nothing lost.
        dnsmasq.stop()
        before = metric(server, "prometheus_sd_dns_lookup_failures_total")
        harness.wait_until(
            lambda: metric(server, "prometheus_sd_dns_lookup_failures_total") >= before + 18,
            "failures counted", 60)
        expect(server, changed, 0)
        assert "could not resolve" in server.log_tail(), server.log_tail()
        assert metric(server, "prometheus_sd_dns_lookups_total") > 18
    finally:
        status, _ = server.stop()
        if dnsmasq.process.poll() is None:
            dnsmasq.stop()
    assert status == 0, status
    print(f"{len(JOBS)} jobs found what dnsmasq serves")


def main():
    narthex, folder = sys.argv[1:3]
    programs = harness.fetch_peers(PACKAGES, ["usr/sbin/dnsmasq"], folder)
    with harness.WorkFolder(folder) as work:
        run(narthex, programs, work)


main()

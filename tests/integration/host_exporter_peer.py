#!/usr/bin/env python3
"""Runs narthex-exporter beside Debian's prometheus-node-exporter and compares what they answer.

usage: host_exporter_peer.py PROGRAM WORK_FOLDER

Families, types and label sets must be equal but for the lists below; counters must lie between two
answers of the peer taken before and after, gauges near them. Then both read a made-up machine
(host_tree.py) with hardware that test machines lack: there values must be equal, too. The peer's
package is downloaded and unpacked into WORK_FOLDER, never installed. Exit 77 (skipped) if it
cannot be had.
"""
import os
import re
import signal
import subprocess
import sys
import tempfile

import harness
import host_tree

COLLECTORS = """arp bonding conntrack cpu cpufreq diskstats dmi edac entropy filefd filesystem hwmon
    interrupts loadavg mdadm meminfo netclass netdev netstat nvme os powersupplyclass pressure
    processes rapl schedstat selinux sockstat softnet stat textfile thermal_zone time timex udp_queues uname
    vmstat""".split()
# Compared on the made-up machine.
TREE_COLLECTORS = """bonding conntrack cpu cpufreq dmi edac entropy filefd hwmon interrupts loadavg
    mdadm meminfo nvme os powersupplyclass pressure processes rapl schedstat selinux sockstat stat
    textfile thermal_zone udp_queues vmstat""".split()

# Families that exporters newer than the peer have.
NEWER_FAMILIES = re.compile(
    "node_softnet_(cpu_collision_total|received_rps_total|flow_limit_count_total|backlog_len)"
    "|node_netstat_TcpExt_(TCPOFOQueue|TCPRcvQDrop)"
    "|node_filesystem_mount_info|node_os_support_end_timestamp_seconds"
    "|node_pressure_irq_stalled_seconds_total|narthex_exporter_build_info"
)
# The peer's own process and library.
PEER_FAMILIES = re.compile("go_.*|promhttp_.*|node_exporter_build_info")
# The peer says -125000 for an unknown speed.
NEGATIVE_SPEED = "node_network_speed_bytes"
# Values that belong to the asking process or to the moment.
UNCOMPARED_VALUES = re.compile("process_.*|node_scrape_.*|node_timex_.*|node_procs_.*|node_load.*"
                               "|node_processes_.*")
# The states that processes and threads are in differ from one moment to the next.
UNCOMPARED_LABELS = re.compile("node_processes_(threads_)?state")
SLACK = [
    (re.compile("node_memory_.*"), 1e9),
    (re.compile("node_filesystem_.*bytes"), 4e9),
    (re.compile("node_filesystem_files_free"), 1e5),
    (re.compile("node_(sockstat|filefd|entropy|nf_conntrack|arp)_.*"), 1000),
    (re.compile("node_time_seconds|node_boot_time_seconds"), 2),
    (re.compile("node_disk_io_now"), 1000),
]
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


def get(url):
    """The page, as soon as somebody answers."""
    def answer():
        try:
            return harness.http_get(url)[2].decode()
        except OSError:
            return None
    return harness.wait_until(answer, url, 10)


def parse(text):
    """family -> (type, has help, {labels: value})"""
    families, types, helps = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            helps.add(line.split(" ", 3)[2])
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types, f"{name} begins twice"
            types[name] = kind
        else:
            match = SAMPLE.match(line)
            assert match, f"not a sample: {line}"
            name, labels, value = match.groups()
            key = tuple(sorted(LABEL.findall(labels or "")))
            kind = types.get(name)
            # Histograms and summaries belong to the peer's library alone.
            if kind is None:
                continue
            samples = families.setdefault(name, (kind, name in helps, {}))[2]
            assert key not in samples, f"{line} appears twice"
            samples[key] = float(value)
    return families


def compare_shape(ours, peer, moving=False):
    """{what differs: how}"""
    faults = {}
    for name in sorted(set(ours) | set(peer)):
        if NEWER_FAMILIES.fullmatch(name) or PEER_FAMILIES.fullmatch(name):
            continue
        if name not in ours or name not in peer:
            peers = peer.get(name, (None, None, {}))[2]
            if name == NEGATIVE_SPEED and all(value < 0 for value in peers.values()):
                continue
            faults[name] = f"only {'the peer' if name in peer else 'we'} have it"
            continue
        (kind, has_help, samples), (peer_kind, peer_help, peer_samples) = ours[name], peer[name]
        if kind != peer_kind:
            faults[f"type of {name}"] = f"{kind}, peer {peer_kind}"
        if peer_help and not has_help:
            faults[f"HELP of {name}"] = "none"
        if moving and UNCOMPARED_LABELS.fullmatch(name):
            continue
        wanted = {labels for labels, value in peer_samples.items()
                  if name != NEGATIVE_SPEED or value >= 0}
        for labels in sorted(set(samples) ^ wanted):
            faults[f"{name}{dict(labels)}"] = f"only {'we' if labels in samples else 'the peer'}"
    return faults


def compare_values(ours, before, after):
    """{what differs: how}"""
    faults = {}
    for name, (kind, _, samples) in sorted(ours.items()):
        if UNCOMPARED_VALUES.fullmatch(name) or name not in before or name not in after:
            continue
        slack = next((amount for pattern, amount in SLACK if pattern.fullmatch(name)), 0)
        for labels, value in samples.items():
            ends = (before[name][2].get(labels), after[name][2].get(labels))
            if None in ends:
                continue
            low, high = min(ends), max(ends)
            if kind == "counter" or kind == "untyped":
                room = 1e-9 * abs(high)  # roundings of conversions
            else:
                room = slack + 0.05 * abs(high)
            if not low - room <= value <= high + room:
                faults[f"{name}{dict(labels)}"] = f"{value}, peer {low} to {high}"
    return faults


class Pair:
    """Both exporters with the same flags; `url` and `peer_url` are where they answer."""

    def __init__(self, program, peer_program, folder, flags):
        self.commands = (
            [peer_program, f"--web.listen-address=127.0.0.1:{harness.free_port()}",
             "--collector.disable-defaults", "--collector.netdev.device-exclude=^$",
             "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|"
             "var/lib/docker/.+|var/lib/containers/storage/.+)($|/)"]
            + [f"--collector.{name}" for name in COLLECTORS] + flags,
            [program, "--web.listen-address=127.0.0.1:0", "--collector.interrupts",
             "--collector.processes"] + flags)
        self.folder = folder
        self.running = []

    def start(self):
        with open(os.path.join(self.folder, "exporters.log"), "a", encoding="utf-8") as log:
            for command in self.commands:
                self.running.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log,
                                                     text=True))
        self.url = self.running[1].stdout.readline().split()[-1]
        self.peer_url = f"http://{self.commands[0][1].split('=')[1]}/metrics"
        get(self.peer_url)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10 * harness.PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def check_this_machine(program, peer_program, folder):
    """The machine goes on between two answers: connections, mounts and devices come and go. What we
    read wrongly differs every time, so only that is a fault."""
    textfiles = os.path.join(folder, "textfiles")  # Debian's peer has a default folder
    os.makedirs(textfiles, exist_ok=True)
    flags = [f"--collector.textfile.directory={textfiles}"]
    lasting = None

    def agree():
        nonlocal lasting
        before, ours, after = (parse(get(url)) for url in (pair.peer_url, pair.url, pair.peer_url))
        faults = {**compare_shape(ours, after, moving=True), **compare_values(ours, before, after)}
        lasting = faults if lasting is None else {what: how for what, how in faults.items()
                                                  if what in lasting}
        return not lasting and ours
    with Pair(program, peer_program, folder, flags) as pair:
        try:
            ours = harness.wait_until(agree, "no lasting difference", 10)
        except AssertionError:
            return lasting
    print(f"{len(ours)} families, {sum(len(f[2]) for f in ours.values())} samples agree")
    return {}


def compare_exactly(ours, peer):
    faults = compare_shape(ours, peer)
    for name, (_, _, samples) in sorted(ours.items()):
        if re.fullmatch("process_.*|node_scrape_collector_duration_seconds", name):
            continue
        for labels, value in samples.items():
            wanted = peer.get(name, (None, None, {}))[2].get(labels, value)
            # The peer multiplies by 0.001 where we divide by 1000.
            if abs(value - wanted) > 1e-14 * abs(wanted):
                faults[f"{name}{dict(labels)}"] = f"{value}, peer {wanted}"
    return faults


def check_made_up_machine(program, peer_program, folder):
    with tempfile.TemporaryDirectory() as root:
        host_tree.write(root)
        flags = [f"--path.procfs={root}/proc", f"--path.sysfs={root}/sys", f"--path.rootfs={root}",
                 f"--collector.textfile.directory={root}/text"]
        query = "?" + "&".join(f"collect[]={name}" for name in TREE_COLLECTORS)
        with Pair(program, peer_program, folder, flags) as pair:
            ours, peer = parse(get(pair.url + query)), parse(get(pair.peer_url + query))
    faults = compare_exactly(ours, peer)
    if not faults:
        print(f"{sum(len(f[2]) for f in ours.values())} samples agree on the made-up machine")
    return faults


def main():
    program, folder = sys.argv[1:3]
    peer_program = harness.fetch_peer("prometheus-node-exporter",
                                      "usr/bin/prometheus-node-exporter",
                                      os.path.join(folder, "peers"))
    faults = check_this_machine(program, peer_program, folder)
    faults.update(check_made_up_machine(program, peer_program, folder))
    for what, how in faults.items():
        print(f"{what}: {how}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

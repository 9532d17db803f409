#!/usr/bin/env python3
"""Debian's Prometheus and Narthex find the same targets, label for label, in the same files, behind
the same URL and in the same Docker Engine and swarm, which are scripted.

usage: discovery_peer.py NARTHEX WORK_FOLDER

Prometheus 2.42 has no match_first_network (all networks count), takes no IPv6 address of a container
and looks into no other container's network, and Debian's has neither Consul nor Kubernetes: these
are left to the unit tests and to kubernetes_golden.py.
"""
import json
import os
import sys
import urllib.parse

import harness
import scripted

GROUPS = [
    {"targets": ["a:1", "[fd00::1]:2", "plain"], "labels": {"zone": "z 1", "__meta_own": "x"}},
    {"targets": [], "labels": {"zone": "none"}},
    {"targets": ["b:1"]},
    {"Targets": ["c:1"], "Labels": {"empty": "", "quote": "\"\\é"}},
]
YAML = """- targets: [d:1, 4711]
  labels: {yes: no, number: 1.50, 'null': ~}
- &same
  targets: ['e:1']
  labels: {own: here}
- <<: *same
  targets: ['f:1']
"""
CONTAINERS = [
    {"Id": "1", "Names": ["/web", "/alias"], "Image": "i:1", "ImageID": "sha256:1",
     "Labels": {"a.b": "1", "ü": "2", "empty": ""}, "HostConfig": {"NetworkMode": "bridge"},
     "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
               {"PrivatePort": 53, "Type": "udp"}, {"PrivatePort": 9100, "Type": "tcp"}],
     "NetworkSettings": {"Networks": {
         "front": {"NetworkID": "n1", "IPAddress": "10.0.0.1"},
         "back": {"NetworkID": "n2", "IPAddress": "10.0.1.1"}}}},
    {"Id": "2", "Names": ["/udp"], "HostConfig": {"NetworkMode": "bridge"}, "Labels": {},
     "Ports": [{"PrivatePort": 53, "Type": "udp"}],
     "NetworkSettings": {"Networks": {"gone": {"NetworkID": "n9", "IPAddress": "10.0.0.2"}}}},
    {"Id": "3", "Names": ["/host"], "HostConfig": {"NetworkMode": "host"}, "Ports": [],
     "NetworkSettings": {"Networks": {"host": {"NetworkID": "n3", "IPAddress": ""}}}},
    {"Id": "4", "Names": [], "HostConfig": {"NetworkMode": "bridge"}, "Ports": [],
     "NetworkSettings": {"Networks": {"front": {"NetworkID": "n1", "IPAddress": "10.0.0.4"}}}},
]
NETWORKS = [
    {"Id": "n1", "Name": "front", "Scope": "local", "Internal": False, "Ingress": False,
     "Labels": {"net-label": "v"}},
    {"Id": "n2", "Name": "back", "Scope": "swarm", "Internal": True, "Ingress": True},
    {"Id": "n3", "Name": "host", "Scope": "local"},
]
NODES = [
    {"ID": "m", "Spec": {"Role": "manager", "Availability": "active", "Labels": {"a-b": "1"}},
     "Description": {"Hostname": "h1", "Platform": {"Architecture": "x86_64", "OS": "linux"},
                     "Engine": {"EngineVersion": "20.10.24"}},
     "Status": {"State": "ready", "Addr": "10.9.0.1"},
     "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "10.9.0.1:2377"}},
    {"ID": "w", "Spec": {"Role": "worker", "Availability": "drain"},
     "Description": {"Hostname": "h2", "Platform": {"Architecture": "aarch64", "OS": "linux"},
                     "Engine": {"EngineVersion": "20.10.5"}},
     "Status": {"State": "down", "Addr": "fd00::9"}},
]
SERVICES = [
    {"ID": "s1", "Spec": {"Name": "web", "Labels": {"tier.x": "1"},
                          "Mode": {"Replicated": {"Replicas": 2}},
                          "TaskTemplate": {"ContainerSpec": {"Hostname": "w", "Image": "i:1"}}},
     "UpdateStatus": {"State": "completed"},
     "Endpoint": {"Ports": [
         {"Name": "http", "Protocol": "tcp", "TargetPort": 80, "PublishedPort": 8080,
          "PublishMode": "ingress"},
         {"Protocol": "udp", "TargetPort": 53, "PublishedPort": 5353, "PublishMode": "host"}],
         "VirtualIPs": [{"NetworkID": "n1", "Addr": "10.1.0.3/24"},
                        {"NetworkID": "n9", "Addr": "10.2.0.3/16"}]}},
    {"ID": "s2", "Spec": {"Name": "all", "Mode": {"Global": {}},
                          "TaskTemplate": {"ContainerSpec": {"Image": "i:2"}}},
     "Endpoint": {"VirtualIPs": [{"NetworkID": "n2", "Addr": "10.3.0.3/24"}]}},
]
TASKS = [
    {"ID": "t1", "ServiceID": "s1", "NodeID": "m", "Slot": 1, "DesiredState": "running",
     "Spec": {"ContainerSpec": {"Labels": {"k/k": "v"}}},
     "Status": {"State": "running", "ContainerStatus": {"ContainerID": "c1"}, "PortStatus": {
         "Ports": [{"Protocol": "tcp", "PublishedPort": 7001, "PublishMode": "host"},
                   {"Protocol": "udp", "PublishedPort": 7002, "PublishMode": "host"}]}},
     "NetworksAttachments": [{"Network": {"ID": "n1"}, "Addresses": ["10.1.0.9/24"]},
                             {"Network": {"ID": "n2"}, "Addresses": ["10.2.0.9/16"]}]},
    {"ID": "t2", "ServiceID": "s2", "NodeID": "w", "DesiredState": "shutdown",
     "Spec": {"ContainerSpec": {}}, "Status": {"State": "failed", "PortStatus": {}},
     "NetworksAttachments": [{"Network": {"ID": "n2"}, "Addresses": ["10.3.0.9/24"]}]},
]


class Engine(scripted.Handler):
    """The Docker Engine's API, and the list of groups behind /groups."""
    lists = {"containers/json": CONTAINERS, "networks": NETWORKS, "nodes": NODES,
             "services": SERVICES, "tasks": TASKS}

    def do_HEAD(self):
        self.answer(b"", Api_Version="1.41")

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/_ping":
            self.answer(b"OK", Api_Version="1.41")
        elif path == "/groups":
            self.answer(json.dumps(GROUPS).encode(), kind="application/json; charset=utf-8")
        else:
            found = self.lists.get(path.removeprefix("/v1.41/"), [])
            self.answer(json.dumps(found).encode(), kind="application/json")


def config(folder, engine_port, first_network):
    engine = f"host: 'http://127.0.0.1:{engine_port}', refresh_interval: 1s"
    sections = {
        "files": f"file_sd_configs: [{{files: ['{folder}/sd/*.json', '{folder}/sd/one.yml']}}]",
        "url": f"http_sd_configs: [{{url: 'http://127.0.0.1:{engine_port}/groups'}}]",
        "docker": f"docker_sd_configs: [{{{engine}, port: 7070, host_networking_host: h.test"
                  f"{first_network}}}]",
    }
    for role in ("nodes", "services", "tasks"):
        sections[role] = f"dockerswarm_sd_configs: [{{{engine}, role: {role}, port: 7071}}]"
    # The names of what was found stay, so that no two targets are one.
    return "global: {scrape_interval: 1h}\nscrape_configs:\n" + "".join(
        f"- job_name: {job}\n  {section}\n  relabel_configs:\n"
        "  - {action: labelmap, regex: '__meta_(.+)', replacement: 'm_$1'}\n"
        for job, section in sections.items())


# Later documentation has them, 2.42 does not.
NEW = {"__meta_docker_container_image", "__meta_docker_container_image_id"}


def found(server):
    """{job: its targets as discovered}"""
    jobs = {}
    for target in server.data("targets", state="active")["activeTargets"]:
        labels = {n: v for n, v in target["discoveredLabels"].items()
                  if n not in NEW and (not n.startswith("__") or n == "__address__"
                                       or n.startswith("__meta_"))}
        jobs.setdefault(labels.pop("job"), []).append(sorted(labels.items()))
    return {job: sorted(targets) for job, targets in jobs.items()}


# Targets of each job: what both leave out would not be seen.
COUNTS = {"files": 9, "url": 5, "docker": 6, "nodes": 2,
          "services": 3, "tasks": 4}


def compare(theirs, ours):
    for job in COUNTS:
        for target in ours.get(job, []):
            if target not in theirs.get(job, []):
                print(f"{job}: only Narthex has {target}")
        for target in theirs.get(job, []):
            if target not in ours.get(job, []):
                print(f"{job}: only Prometheus has {target}")
    assert ours == theirs


def count(server):
    return {job: len(targets) for job, targets in found(server).items()}


def run(narthex, prometheus, folder):
    os.makedirs(f"{folder}/sd")
    for name in ("a.json", ".hidden.json"):
        with open(f"{folder}/sd/{name}", "w") as file:
            json.dump(GROUPS[:1] if name != "a.json" else GROUPS[2:], file)
    with open(f"{folder}/sd/one.yml", "w") as file:
        file.write(YAML)
    engine = scripted.serve(Engine)
    servers = []
    try:
        port = engine.server_port
        servers.append(harness.start_prometheus(
            prometheus, folder, config(folder, port, "")).wait_ready())
        servers.append(harness.start_narthex(
            narthex, folder, config(folder, port, ", match_first_network: false")).wait_ready())
        for server in servers:
            try:
                harness.wait_until(lambda: count(server) == COUNTS, "the targets", 60)
            except AssertionError:
                print(server.url, count(server), "not", COUNTS, server.log_tail())
                if server is servers[0]:
                    raise
        compare(found(servers[0]), found(servers[1]))
    finally:
        for server in servers:
            server.stop()
        engine.shutdown()
    print(sum(COUNTS.values()), "targets, label for label")


def main():
    narthex, work = sys.argv[1:3]
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus",
                                    os.path.join(work, "peers"))
    with harness.WorkFolder(work) as folder:
        run(narthex, prometheus, folder)


main()

#!/usr/bin/env python3
"""dockerswarm_sd against a real swarm of one node: nodes, services and tasks, on the host's network,
with ports of the host, and behind virtual addresses of an overlay network.

usage: discovery_swarm.py NARTHEX WORK_FOLDER
"""
import json
import sys

import docker_engine
import harness


def target(address, *parts):
    return docker_engine.target("dockerswarm", address, *parts)


def config(engine):
    jobs = {
        "nodes": "role: nodes, port: 9323",
        "services": "role: services",
        "tasks": "role: tasks, port: 9099",
        "one": "role: services, filters: [{name: name, values: [virtual]}]",
        "none": "role: nodes, filters: [{name: role, values: [worker]}]",
        "bad": "role: nodes, filters: [{name: nonsense, values: [x]}]",
    }
    return "global: {scrape_interval: 1h}\nscrape_configs:\n" + "".join(
        f"- job_name: {job}\n  dockerswarm_sd_configs:\n"
        f"  - {{host: \"{engine.host}\", refresh_interval: 1s, {settings}}}\n"
        for job, settings in jobs.items())


def listed(engine, path):
    """A list of the Engine's API, by identifier."""
    kind = {"nodes": "node", "services": "service"}[path]
    names = engine.run(kind, "ls", "-q").split()
    return {item["ID"]: item for item in json.loads(engine.run(kind, "inspect", *names))}


def tasks_of(engine, service):
    ids = engine.run("service", "ps", "-q", "--no-trunc", service).split()
    return json.loads(engine.run("inspect", "--type=task", *ids))


def node_labels(node):
    return {"node_id": node["ID"], "node_role": "manager", "node_availability": "active",
            "node_hostname": node["Description"]["Hostname"], "node_platform_os": "linux",
            "node_platform_architecture": node["Description"]["Platform"]["Architecture"],
            "node_status": "ready", "node_address": node["Status"]["Addr"],
            "node_label_zone_name": "z 1"}


def network_labels(engine, network_id):
    found = engine.inspect(network_id)
    return {"network_id": found["Id"], "network_name": found["Name"], "network_scope": "swarm",
            "network_internal": "false", "network_ingress": str(found["Ingress"]).lower(),
            **{f"network_label_{k}": v for k, v in (found["Labels"] or {}).items()}}


def service_labels(service):
    mode = "global" if "Global" in service["Spec"]["Mode"] else "replicated"
    return {"service_id": service["ID"], "service_name": service["Spec"]["Name"],
            "service_mode": mode,
            **{f"service_label_{k}": v for k, v in service["Spec"]["Labels"].items()}}


def expected_services(engine, services):
    result = set()
    for service in services:
        labels = {**service_labels(service), "service_task_container_image": docker_engine.IMAGE,
                  "service_task_container_hostname":
                      service["Spec"]["TaskTemplate"]["ContainerSpec"].get("Hostname", "")}
        endpoint = service["Endpoint"]
        for virtual in endpoint.get("VirtualIPs", []):
            if "Addr" not in virtual:
                continue
            ip = virtual["Addr"].split("/")[0]
            network = network_labels(engine, virtual["NetworkID"])
            for port in endpoint.get("Ports", []):
                result.add(target(f"{ip}:{port['PublishedPort']}", labels, network, {
                    "service_endpoint_port_publish_mode": port["PublishMode"],
                    "service_endpoint_port_name": port.get("Name", "")}))
            if not endpoint.get("Ports"):
                result.add(target(f"{ip}:80", labels, network))
    return result


def expected_tasks(engine, services, node):
    result = set()
    for service in services:
        for task in tasks_of(engine, service["ID"]):
            labels = {**service_labels(service), **node_labels(node), "task_id": task["ID"],
                      "task_desired_state": task["DesiredState"],
                      "task_state": task["Status"]["State"], "task_slot": task.get("Slot", 0),
                      "task_container_id": task["Status"]["ContainerStatus"]["ContainerID"],
                      **{f"container_label_{k}": v for k, v in
                         task["Spec"]["ContainerSpec"].get("Labels", {}).items()}}
            for port in task["Status"]["PortStatus"].get("Ports", []):
                result.add(target(f"{node['Status']['Addr']}:{port['PublishedPort']}", labels,
                                  {"task_port_publish_mode": port["PublishMode"]}))
            for attachment in task.get("NetworksAttachments", []):
                network = network_labels(engine, attachment["Network"]["ID"])
                for address in attachment.get("Addresses", []):
                    ip = address.split("/")[0]
                    ports = service["Endpoint"].get("Ports", [])
                    for port in ports:
                        result.add(target(f"{ip}:{port['PublishedPort']}", labels, network,
                                          {"task_port_publish_mode": port["PublishMode"]}))
                    if not ports:
                        result.add(target(f"{ip}:9099", labels, network))
    return result


def create_services(engine):
    """Names of the services whose tasks run here; those on overlay networks may not."""
    command = [docker_engine.IMAGE, "/bin/busybox", "sleep", "1000"]
    port = harness.free_port()
    engine.run("service", "create", "-d", "--name", "plain", "--network", "host", "--label",
               "tier=1", "--container-label", "kind=worker", *command)
    engine.run("network", "create", "-d", "overlay", "--label", "use=test", "narthex-overlay")
    engine.run("service", "create", "-d", "--name", "published", "--mode", "global", "--publish",
               f"mode=host,target=80,published={port}", "--hostname", "published.test",
               "--network", "narthex-overlay", *command)
    engine.run("service", "create", "-d", "--name", "virtual", "--network", "narthex-overlay",
               "--publish", f"{harness.free_port()}:81", *command)
    engine.run("service", "create", "-d", "--name", "portless", "--network", "narthex-overlay",
               *command)


def all_run(engine):
    states = engine.run("service", "ls", "--format", "{{.Replicas}}").split()
    return len(states) == 4 and all(state == "1/1" for state in states)


def check(engine, server):
    nodes = listed(engine, "nodes")
    services = list(listed(engine, "services").values())
    (node,) = nodes.values()
    expected = {
        "nodes": {target(f"{node['Status']['Addr']}:9323", node_labels(node), {
            "node_engine_version": node["Description"]["Engine"]["EngineVersion"],
            "node_manager_leader": "true", "node_manager_reachability": "reachable",
            "node_manager_address": node["ManagerStatus"]["Addr"]})},
        "services": expected_services(engine, services),
        "tasks": expected_tasks(engine, services, node),
        "one": expected_services(engine, [s for s in services
                                          if s["Spec"]["Name"] == "virtual"]),
        "none": set(),
        "bad": set(),
    }
    assert len(expected["services"]) == 4, expected
    # On its node's address only if the Engine could publish the port there.
    assert len(expected["tasks"]) in (4, 5), expected
    docker_engine.expect(server, expected)
    log = open(server.log_path, errors="replace").read()
    assert "Error response from daemon: Invalid filter 'nonsense'" in log or \
        "invalid filter 'nonsense'" in log, log


def run(narthex, packages, folder):
    engine = docker_engine.Engine(packages, folder).start()
    server = None
    try:
        started = engine.try_run("swarm", "init", "--advertise-addr", "127.0.0.1",
                                 "--listen-addr", f"127.0.0.1:{harness.free_port()}")
        if started.returncode != 0:
            harness.skip("no swarm here: " + started.stderr.decode()[-500:])
        engine.run("node", "update", "--label-add", "zone/name=z 1",
                   engine.run("node", "ls", "-q"))
        create_services(engine)
        try:
            harness.wait_until(lambda: all_run(engine), "the services run", 90)
        except AssertionError:
            harness.skip("overlay networks do not work here: " + engine.log_tail())
        server = harness.start_narthex(narthex, folder, config(engine)).wait_ready()
        check(engine, server)
        # A service goes: its targets with it.
        engine.run("service", "rm", "portless")
        services = [s for s in listed(engine, "services").values()]
        docker_engine.expect(server, {"services": expected_services(engine, services)})
    finally:
        if server is not None:
            server.stop()
        for name in engine.try_run("service", "ls", "-q").stdout.decode().split():
            engine.try_run("service", "rm", name)
        engine.try_run("swarm", "leave", "--force")
        engine.try_run("network", "rm", "docker_gwbridge")
        engine.stop()
    print("nodes, services and tasks found")


def main():
    narthex, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        run(narthex, folder, work)


main()

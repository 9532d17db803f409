#!/usr/bin/env python3
"""docker_sd against a real Docker Engine: every kind of network, ports, labels, filters, a container
that is scraped, one that ends, and an Engine that ends.

usage: discovery_docker.py NARTHEX WORK_FOLDER
"""
import sys

import docker_engine
import harness

SUBNETS = {"narthex-a": "10.213.71.0/24", "narthex-b": "10.213.72.0/24"}


def target(address, *parts):
    return docker_engine.target("docker", address, *parts)


def common(info):
    labels = {"container_id": info["Id"], "container_name": info["Name"],
              "container_network_mode": info["HostConfig"]["NetworkMode"],
              "container_image": docker_engine.IMAGE, "container_image_id": info["Image"]}
    for key, value in (info["Config"]["Labels"] or {}).items():
        labels["container_label_" + "".join(c if c.isalnum() else "_" for c in key)] = value
    return labels


def network(engine, name, info):
    found = engine.inspect(name)
    labels = {"network_id": found["Id"], "network_name": name, "network_scope": "local",
              "network_internal": str(found["Internal"]).lower(), "network_ingress": "false",
              "network_ip": info["NetworkSettings"]["Networks"][name]["IPAddress"]}
    for key, value in (found["Labels"] or {}).items():
        labels[f"network_label_{key}"] = value
    return labels


def config(engine, scraped_port):
    return f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: first
  docker_sd_configs: [{{host: "{engine.host}", refresh_interval: 1s, port: 7070}}]
- job_name: every
  docker_sd_configs:
  - {{host: "{engine.host}", refresh_interval: 1s, match_first_network: false, port: 8080,
     host_networking_host: host.test}}
- job_name: filtered
  docker_sd_configs:
  - host: "{engine.host}"
    refresh_interval: 1s
    filters: [{{name: label, values: [role=web, "odd/key=1 & 2"]}}, {{name: name, values: [web]}}]
- job_name: scraped
  fallback_scrape_protocol: PrometheusText0.0.4
  docker_sd_configs: [{{host: "{engine.host}", refresh_interval: 1s}}]
  relabel_configs:
  - {{source_labels: [__meta_docker_container_label_port], regex: "", action: drop}}
  - {{source_labels: [__address__, __meta_docker_container_label_port], separator: ":",
     target_label: __address__}}
- job_name: absent
  docker_sd_configs: [{{host: "unix:///nonexistent/docker.sock", refresh_interval: 1s}}]
"""


def expected_targets(engine, infos, public_port):
    """job -> targets, of the containers that run."""
    first, every, filtered = set(), set(), set()
    web = infos["web"]
    a, b = network(engine, "narthex-a", web), network(engine, "narthex-b", web)
    public = {"port_private": 80, "port_public": public_port, "port_public_ip": "127.0.0.1"}
    for labels, jobs in ((a, (first, every, filtered)), (b, (every,))):
        for part in (public, {"port_private": 9100}):
            for job in jobs:
                job.add(target(f"{labels['network_ip']}:{part['port_private']}", common(web),
                               labels, part))
    if "inner" in infos:
        inner = network(engine, "narthex-a", infos["inner"])
        first.add(target(f"{inner['network_ip']}:7070", common(infos["inner"]), inner))
        every.add(target(f"{inner['network_ip']}:8080", common(infos["inner"]), inner))
    # The networks of web and the ports of its own, which are none.
    first.add(target(f"{a['network_ip']}:7070", common(infos["shared"]), a))
    for labels in (a, b):
        every.add(target(f"{labels['network_ip']}:8080", common(infos["shared"]), labels))
    host = network(engine, "host", infos["scraped"])
    first.add(target("localhost", common(infos["scraped"]), host))
    every.add(target("host.test", common(infos["scraped"]), host))
    none = network(engine, "none", infos["alone"])
    first.add(target(":7070", common(infos["alone"]), none))
    every.add(target(":8080", common(infos["alone"]), none))
    return {"first": first, "every": every, "filtered": filtered}


def run(narthex, packages, folder):
    engine = docker_engine.Engine(packages, folder).start()
    server = None
    try:
        for name, subnet in SUBNETS.items():
            engine.network(name, "--subnet", subnet, "--label", f"of={name[-1]}",
                           *(["--internal"] if name == "narthex-b" else []))
        public_port, scraped_port = harness.free_port(), harness.free_port()
        infos = {}
        engine.container("web", "--network", "narthex-a", "--expose", "9100", "--expose",
                         "53/udp", "-p", f"127.0.0.1:{public_port}:80", "-l", "role=web", "-l",
                         "odd/key=1 & 2")
        engine.run("network", "connect", "narthex-b", "web")
        infos["web"] = engine.inspect("web")
        infos["inner"] = engine.container("inner", "--network", "narthex-a", "-l", "role=web")
        infos["shared"] = engine.container("shared", "--network", "container:web")
        infos["alone"] = engine.container("alone", "--network", "none")
        infos["scraped"] = engine.container(
            "scraped", "--network", "host", "-l", f"port={scraped_port}", command=(
                "sh", "-c", "/bin/busybox mkdir -p /www && echo 'from_container 42' >/www/metrics "
                f"&& /bin/busybox httpd -f -p 127.0.0.1:{scraped_port} -h /www"))
        server = harness.start_narthex(narthex, folder, config(engine, scraped_port))
        server.wait_ready()
        expected = expected_targets(engine, infos, public_port)
        docker_engine.expect(server, expected)

        def value():
            result = server.data("query", query="from_container")["result"]
            return result and result[0]["value"][1] == "42"
        harness.wait_until(value, "the container is scraped")
        # One ends.
        engine.remove("inner")
        del infos["inner"]
        expected = expected_targets(engine, infos, public_port)
        docker_engine.expect(server, expected)
        # The Engine ends, its containers do not matter: their targets stay.
        engine.process.send_signal(19)  # SIGSTOP: it hangs
        failures = 'prometheus_sd_refresh_failures_total{mechanism="docker",config="first"}'

        def failed():
            body = harness.http_get(server.url + "/metrics")[2].decode()
            return any(line.startswith(failures) and float(line.rsplit(" ", 1)[1]) >= 2
                       for line in body.splitlines())
        harness.wait_until(failed, "refreshes that hang are counted")
        engine.process.send_signal(18)  # SIGCONT
        docker_engine.expect(server, expected)
        log = open(server.log_path, errors="replace").read()
        assert "Unable to refresh target groups" in log and "context deadline exceeded" in log, log
        assert "dial unix /nonexistent/docker.sock: connect: no such file or directory" in log, log
        assert not docker_engine.discovered(server, "absent")
    finally:
        if server is not None:
            server.stop()
        engine.clean()
        engine.stop()
    print("containers found on", ", ".join(sorted(infos)))


def main():
    narthex, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        run(narthex, folder, work)


main()

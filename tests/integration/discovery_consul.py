#!/usr/bin/env python3
"""consul_sd end to end, against a scripted Consul (Debian 12 has no package of a real one): targets
come, are scraped, change within a moment, stay while Consul fails, and vanish.

usage: discovery_consul.py NARTHEX WORK_FOLDER
"""
import sys

import docker_engine
import fake_consul
import harness
import scripted


class Page(scripted.Handler):
    def do_GET(self):
        self.answer(b"from_consul 7\n")


def config(consul, token):
    settings = f"server: '127.0.0.1:{consul.port}', refresh_interval: 100ms"
    return f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: all
  consul_sd_configs: [{{{settings}, token: {token}}}]
- job_name: tagged
  consul_sd_configs: [{{{settings}, token: {token}, tags: [prod], tag_separator: "|"}}]
- job_name: named
  consul_sd_configs: [{{{settings}, token: {token}, services: [web], allow_stale: false}}]
- job_name: refused
  consul_sd_configs: [{{{settings}, token: wrong}}]
- job_name: scraped
  consul_sd_configs: [{{{settings}, token: {token}}}]
  relabel_configs:
  - {{source_labels: [__meta_consul_tags], regex: '.*,scrape,.*', action: keep}}
  - {{source_labels: [__meta_consul_service], target_label: service}}
"""


def target(name, port, tags, health="passing", separator=","):
    labels = {"address": "127.0.0.1", "node": "node-a", "dc": "dc-test", "service": name,
              "service_id": f"{name}-{port}", "service_address": "127.0.0.1",
              "service_port": port, "tags": separator + separator.join(tags) + separator,
              "health": health, "metadata_rack_id": "r1", "service_metadata_version": "1",
              "tagged_address_lan": "127.0.0.1"}
    return docker_engine.target("consul", f"127.0.0.1:{port}", labels)


def failures(server):
    body = harness.http_get(server.url + "/metrics")[2].decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in body.splitlines()
               if line.startswith("prometheus_sd_consul_rpc_failures_total"))


def run(narthex, folder, consul, page_port):
    web = fake_consul.instance("web", page_port, ["prod", "scrape"])
    db = fake_consul.instance("db", 5432, [], status="critical")
    consul.set(web=[web], db=[db])
    server = harness.start_narthex(narthex, folder, config(consul, "secret"))
    try:
        server.wait_ready()
        page = target("web", page_port, ["prod", "scrape"])
        expected = {"all": {page, target("db", 5432, [], "critical")},
                    "tagged": {target("web", page_port, ["prod", "scrape"], separator="|")},
                    "named": {page}, "refused": set(), "scraped": {page}}
        docker_engine.expect(server, expected)
        harness.wait_until(
            lambda: [r["value"][1] for r in server.data(
                "query", query='from_consul{service="web"}')["result"]] == ["7"], "a scrape")
        harness.wait_until(lambda: failures(server) >= 1, "the refused token is counted")
        # One more instance, and a service that comes.
        consul.set(web=[web, fake_consul.instance("web", 1, ["prod"])],
                   cache=[fake_consul.instance("cache", 6379)])
        expected["all"] |= {target("web", 1, ["prod"]), target("cache", 6379, [])}
        expected["named"] |= {target("web", 1, ["prod"])}
        expected["tagged"] |= {target("web", 1, ["prod"], separator="|")}
        docker_engine.expect(server, expected)
        # Consul fails: said and counted, and the targets stay.
        before = failures(server)
        consul.set(broken=500)
        harness.wait_until(lambda: failures(server) >= before + 3, "failures counted")
        docker_engine.expect(server, expected)
        # Reloading something else leaves the targets, although Consul could not name them now.
        path = f"{folder}/narthex.yml"
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("scrape_interval: 1s", "scrape_interval: 2s"))
        server.process.send_signal(1)
        harness.wait_until(lambda: all(
            t["scrapeInterval"] == "2s" for t in server.data("targets")["activeTargets"]), "reload")
        docker_engine.expect(server, expected)
        # Back again, with a service less: the next queries are due within 15 s.
        consul.set(db=None)
        expected["all"] -= {target("db", 5432, [], "critical")}
        docker_engine.expect(server, expected, 60)
        paths = "\n".join(consul.seen)
        assert "stale=" in paths and "wait=120000ms" in paths and "tag=prod" in paths, paths
    finally:
        server.stop()
    print("consul: found, followed, kept and forgotten")


def main():
    narthex, folder = sys.argv[1:3]
    consul = fake_consul.FakeConsul(token="secret")
    page = scripted.serve(Page)
    with harness.WorkFolder(folder) as work:
        run(narthex, work, consul, page.server_port)
    consul.stop()
    page.shutdown()


main()

#!/usr/bin/env python3
"""file_sd: files renamed into place, folders swapped by a link as Kubernetes mounts them, broken and
vanished files, and a folder in which something is always written.

usage: discovery_files.py NARTHEX WORK_FOLDER
"""
import json
import os
import subprocess
import sys

import docker_engine
import harness


def config(folder):
    return f"""
global: {{scrape_interval: 1h}}
scrape_configs:
- job_name: files
  file_sd_configs: [{{files: ["{folder}/plain/*.json", "{folder}/plain/one.yml"]}}]
- job_name: mounted
  file_sd_configs: [{{files: ["{folder}/mount/targets.yaml"]}}]
- job_name: relative
  file_sd_configs: [{{files: [plain/*.YML]}}]
- job_name: often
  file_sd_configs: [{{files: ["{folder}/busy/t.json"], refresh_interval: 1h}}]
- job_name: polled
  file_sd_configs: [{{files: ["{folder}/later/t.json"], refresh_interval: 1s}}]
"""


def write(path, groups):
    """As careful programs write: beside it, then renamed."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write(groups if isinstance(groups, str) else json.dumps(groups))
    os.rename(path + ".new", path)


def group(*targets, **labels):
    return {"targets": list(targets), "labels": labels}


def target(address, path):
    return docker_engine.target("", address) + (("filepath", path),)


def swap_mount(folder, name, text):
    """targets.yaml -> ..data/targets.yaml, ..data -> a new folder."""
    write(f"{folder}/mount/..{name}/targets.yaml", text)
    os.symlink(f"..{name}", f"{folder}/mount/..data_tmp")
    os.rename(f"{folder}/mount/..data_tmp", f"{folder}/mount/..data")
    if not os.path.islink(f"{folder}/mount/targets.yaml"):
        os.symlink("..data/targets.yaml", f"{folder}/mount/targets.yaml")


def check(server, folder):
    a, one = f"{folder}/plain/a.json", f"{folder}/plain/one.yml"
    mounted = f"{folder}/mount/targets.yaml"
    docker_engine.expect(server, {
        "files": {target("a:1", a), target("b:1", one)},
        "mounted": {target("m:1", mounted)},
        "relative": {target("r:1", f"{folder}/plain/r.YML")}, "often": set(), "polled": set()})
    write(a, [group("a:1"), group("a:2", zone="z")])
    swap_mount(folder, "second", "- targets: ['m:2']\n")
    write(f"{folder}/busy/t.json", [group("busy:1")])
    write(f"{folder}/later/t.json", [group("later:1")])
    docker_engine.expect(server, {
        "files": {target("a:1", a), target("a:2", a), target("b:1", one)},
        "mounted": {target("m:2", mounted)},
        "often": {target("busy:1", f"{folder}/busy/t.json")},
        "polled": {target("later:1", f"{folder}/later/t.json")}})
    mtime = f'prometheus_sd_file_mtime_seconds{{filename="{a}"}}'
    harness.wait_until(lambda: server.metrics()[mtime] == int(os.stat(a).st_mtime), mtime)
    # A file that breaks keeps what it said; the others change all the same.
    write(a, '[{"targets": ["lost:1"]}, {"targets": "lost:2"}]')
    write(one, "- targets: ['b:2']\n")
    docker_engine.expect(server, {"files": {target("a:1", a), target("a:2", a),
                                            target("b:2", one)}})
    harness.wait_until(lambda: server.metrics()["prometheus_sd_file_read_errors_total"] >= 1,
                       "the error counted")
    # One that goes takes its targets along.
    os.unlink(a)
    docker_engine.expect(server, {"files": {target("b:2", one)}})
    harness.wait_until(lambda: mtime not in server.metrics(), "its time is gone")


def run(narthex, folder):
    write(f"{folder}/plain/a.json", [group("a:1")])
    write(f"{folder}/plain/one.yml", "- targets: ['b:1']\n")
    write(f"{folder}/plain/r.YML", "- targets: ['r:1']\n")
    swap_mount(folder, "first", "- targets: ['m:1']\n")
    os.makedirs(f"{folder}/busy")
    writer = subprocess.Popen(["sh", "-c", "while :; do : >log; done"],
                              cwd=f"{folder}/busy")
    server = harness.start_narthex(narthex, folder, config(folder))
    try:
        server.wait_ready()
        check(server, folder)
    finally:
        server.stop()
        writer.kill()
        writer.wait()
    print("files followed")


def main():
    narthex, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        run(narthex, work)


main()

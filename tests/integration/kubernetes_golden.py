"""What Prometheus 3.14 finds in a scripted cluster, target for target and label for label, is what
Narthex finds. kubernetes_golden.json was recorded from Prometheus' own discovery package through
kubernetes_oracle.go, at v0.315.0: v0.314.0 differs in one label only, a balancer's address, which
the specification has as that bug fix left it.

    kubernetes_golden.py narthex folder
    kubernetes_golden.py --record oracle
"""
import collections
import json
import os
import subprocess
import sys
import tempfile

import kubernetes_fake as fake
from harness import start_narthex, wait_until

PREFIX = "__meta_kubernetes_"
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kubernetes_golden.json")
EVERYTHING = "attach_metadata: {node: true, namespace: true, deployment: true, job: true, " \
    "cronjob: true}"
# name: (role, more of the configuration)
JOBS = {role: (role, "") for role in
        ["node", "pod", "service", "endpoints", "endpointslice", "ingress"]}
JOBS.update({role + "-attached": (role, EVERYTHING) for role in
             ["pod", "service", "endpoints", "endpointslice", "ingress"]})
JOBS["pod-shop"] = ("pod", "namespaces: {names: [shop]}")
JOBS["pod-selected"] = ("pod", "selectors: [{role: pod, label: 'a-b=1'}]")
JOBS["pod-node-selected"] = ("pod", "attach_metadata: {node: true}, selectors: [{role: node, "
                             "label: 'zone=z-n1'}]")
JOBS["endpoints-selected"] = ("endpoints", "selectors: [{role: pod, field: "
                              "'metadata.name=full'}, {role: service, label: 'l=none'}]")


def container(name, *ports, image="image:1"):
    return {"name": name, "image": image, "ports": [
        {"containerPort": number, "protocol": protocol, **({"name": port} if port else {})}
        for port, number, protocol in ports]}


def metadata(name, namespace=None, labels=None, annotations=None, **more):
    result = {"name": name, "labels": labels or {}, "annotations": annotations or {}, **more}
    if namespace:
        result["namespace"] = namespace
    return result


def add_pods(api):
    base = {"phase": "Running", "hostIP": "192.168.0.1",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "main", "containerID": "cri://main"}]}
    containers = [container("main", ("http", 8080, "TCP"), ("", 9090, "TCP")),
                  container("bare"), container("dns", ("dns", 53, "UDP"), ("http", 8080, "TCP"))]
    owners = [{"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "1"},
              {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": "2",
               "controller": True}]
    api.put("pods", {"metadata": metadata("full", "shop", {"app.io/n": "x", "a-b": "1", "a_b": "1"},
                                          {"note": "é\n\"quoted\"", "empty": ""},
                                          ownerReferences=owners),
                     "spec": {"nodeName": "n1", "containers": containers,
                              "initContainers": [container("setup", ("init", 7000, "TCP"))]},
                     "status": {**base, "podIP": "10.0.0.1"}})
    api.put("pods", {"metadata": metadata("six", "shop"), "spec": {"nodeName": "n1",
                     "containers": [container("c", ("p", 1, "TCP"))]},
                     "status": {**base, "podIP": "fd00::7", "phase": "Pending",
                                "conditions": [{"type": "Ready", "status": "False"}]}})
    api.put("pods", {"metadata": metadata("nightly-1", "shop", ownerReferences=[
        {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly", "uid": "3",
         "controller": True}]), "spec": {"nodeName": "gone", "containers": [
             container("c", ("p", 1, "TCP"))]}, "status": {**base, "podIP": "10.0.0.3"}})
    api.put("pods", {"metadata": metadata("nightly-2", "shop", ownerReferences=[
        {"apiVersion": "batch/v1", "kind": "Job", "name": "nightly", "uid": "3",
         "controller": True}]), "spec": {"nodeName": "n2", "containers": [
             container("c", ("p", 1, "TCP"))]}, "status": {**base, "podIP": "10.0.0.4"}})
    api.put("pods", {"metadata": metadata("unscheduled", "other"), "spec": {
        "containers": [container("c", ("p", 1, "TCP"))]}, "status": {"phase": "Pending"}})
    api.put("pods", {"metadata": metadata("plain", "other"), "spec": {
        "nodeName": "n2", "containers": [container("c")]}, "status": {"podIP": "10.0.0.9"}})


def add_services(api):
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "q", "port": 53,
                                                               "protocol": "UDP"}]
    api.put("services", {"metadata": metadata("web", "shop", {"l": "v"}, {"a/b": "c"}),
                         "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.1", "ports": ports}})
    api.put("services", {"metadata": metadata("outside", "shop"), "spec": {
        "type": "ExternalName", "externalName": "db.example.org", "ports": ports[:1]}})
    api.put("services", {"metadata": metadata("headless", "other"), "spec": {
        "type": "ClusterIP", "clusterIP": "None", "ports": ports}})
    api.put("services", {"metadata": metadata("balanced", "other"), "spec": {
        "type": "LoadBalancer", "clusterIP": "10.96.0.3", "loadBalancerIP": "5.6.7.8",
        "ports": ports[:1]}, "status": {"loadBalancer": {"ingress": [
            {"ip": "1.1.1.1"}, {"hostname": "h"}, {"ip": "1.1.1.2"}]}}})
    api.put("services", {"metadata": metadata("asked", "other"), "spec": {
        "type": "LoadBalancer", "clusterIP": "10.96.0.4", "loadBalancerIP": "5.6.7.8",
        "ports": ports[:1]}})
    api.put("services", {"metadata": metadata("dual", "shop"), "spec": {
        "type": "ClusterIP", "clusterIP": "10.96.0.9", "ipFamilyPolicy": "PreferDualStack",
        "ipFamilies": ["IPv4", "IPv6"], "ports": ports[:1]}})
    api.put("services", {"metadata": metadata("portless", "other"), "spec": {
        "type": "ClusterIP", "clusterIP": "10.96.0.2"}})


def add_endpoints(api):
    def reference(name, kind="Pod"):
        return {"kind": kind, "name": name, "namespace": "shop"}
    api.put("endpoints", {"metadata": metadata("web", "shop", {"e": "1"}), "subsets": [
        {"addresses": [{"ip": "10.0.0.1", "nodeName": "n1", "targetRef": reference("full")},
                       {"ip": "10.0.0.77", "hostname": "h", "nodeName": "n2"}],
         "notReadyAddresses": [{"ip": "fd00::7", "targetRef": reference("six")},
                               {"ip": "10.0.0.78", "targetRef": reference("gone")}],
         "ports": [{"name": "http", "port": 8080, "protocol": "TCP"},
                   {"port": 53, "protocol": "UDP"}]}]})
    api.put("endpoints", {"metadata": metadata("alone", "other"), "subsets": [
        {"addresses": [{"ip": "1.2.3.4", "targetRef": reference("n1", "Node")}],
         "ports": [{"name": "x", "port": 99, "protocol": "TCP"}]}, {"addresses": []},
        {"addresses": [{"ip": "1.2.3.5", "nodeName": "n2", "targetRef": reference("n1", "Node")},
                       {"ip": "1.2.3.6", "nodeName": "nowhere"}],
         "ports": [{"name": "x", "port": 98, "protocol": "SCTP"}]},
        {"addresses": [{"ip": "10.0.0.1", "targetRef": reference("full")}],
         "ports": [{"name": "odd", "port": 8080, "protocol": "UDP"}]}]})
    api.put("endpoints", {"metadata": metadata("empty", "other")})
    service = {"kubernetes.io/service-name": "web"}
    api.put("endpointslices", {
        "metadata": metadata("web-1", "shop", service), "addressType": "IPv4", "endpoints": [
            {"addresses": ["10.0.0.1"], "nodeName": "n1", "targetRef": reference("full"),
             "conditions": {"ready": True, "serving": True, "terminating": False},
             "zone": "z", "deprecatedTopology": {"rack": "r1"}},
            {"addresses": ["10.0.0.77", "10.0.0.78"], "hostname": "h",
             "conditions": {"ready": False}}],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP", "appProtocol": "http"},
                  {"name": "q", "port": 53, "protocol": "UDP"}]})
    for family, address in [("IPv4", "10.0.0.1"), ("IPv6", "fd00::7")]:
        api.put("endpointslices", {
            "metadata": metadata("dual-" + family, "shop", {"kubernetes.io/service-name": "dual"}),
            "addressType": family, "endpoints": [{"addresses": [address], "conditions": {}}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]})
    api.put("endpointslices", {
        "metadata": metadata("nodes", "shop"), "addressType": "IPv4", "endpoints": [
            {"addresses": ["1.2.3.4"], "nodeName": "n2", "targetRef": reference("n1", "Node"),
             "conditions": {}}, {"addresses": ["1.2.3.5"], "nodeName": "n2", "conditions": {}}],
        "ports": [{"name": None, "protocol": "TCP"}, {"name": "", "port": 9}]})
    api.put("endpointslices", {
        "metadata": metadata("lost", "other"), "addressType": "FQDN",
        "endpoints": [{"addresses": ["a.example.org"], "conditions": {}}],
        "ports": [{"name": "x", "port": 1, "protocol": "TCP"}]})


def add_others(api):
    api.put("namespaces", {"metadata": metadata("shop", None, {"team": "red"}, {"a": "b"})})
    api.put("replicasets", {"metadata": metadata("rs", "shop", ownerReferences=[
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "9",
         "controller": True}])})
    api.put("jobs", {"metadata": metadata("nightly", "shop", ownerReferences=[
        {"apiVersion": "batch/v1", "kind": "CronJob", "name": "every-night", "uid": "8",
         "controller": True}])})
    for name, kind in [("n1", "InternalIP"), ("n2", "Hostname"), ("n3", "ExternalDNS")]:
        api.put("nodes", {"metadata": metadata(name, None, {"zone": "z-" + name}, {"k/v": "w"}),
                          "spec": {"providerID": "p://" + name}, "status": {
            "addresses": [{"type": "Hostname", "address": "host-" + name},
                          {"type": kind, "address": "a-" + name},
                          {"type": kind, "address": "b-" + name}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}})
    api.put("ingresses", {"metadata": metadata("in", "shop", {"l": "v"}), "spec": {
        "ingressClassName": "nginx", "tls": [{"hosts": ["*.example.org", "b.net"]}],
        "rules": [{"host": "www.example.org", "http": {"paths": [
            {"path": "/a", "pathType": "Prefix", "backend": {}}, {"pathType": "Prefix",
                                                                  "backend": {}}]}},
                  {"host": "x.y.example.org", "http": {"paths": [{"path": "/", "backend": {},
                                                                  "pathType": "Exact"}]}},
                  {"host": "b.net"}]}})


def build():
    api = fake.KubernetesApi()
    for add in (add_pods, add_services, add_endpoints, add_others):
        add(api)
    return api


def section(role, url, more):
    return f"{{role: {role}, api_server: '{url}'" + (", " + more if more else "") + "}"


def sets_of(targets):
    """How often each set of labels comes."""
    return collections.Counter(frozenset(
        (name, value) for name, value in labels.items()
        if name.startswith(PREFIX) or name in ("__address__", "instance")) for labels in targets)


def show(labels):
    return " ".join(f"{n.replace(PREFIX, '')}={v!r}" for n, v in sorted(labels))


def record(oracle):
    api = build()
    golden = {}
    for name, (role, more) in JOBS.items():
        answer = subprocess.run([oracle, section(role, api.url, more)], check=True,
                                stdout=subprocess.PIPE).stdout
        golden[name] = sorted(json.loads(answer) or [], key=lambda labels: sorted(labels.items()))
        print(name, len(golden[name]))
    with open(GOLDEN, "w") as file:
        file.write("{" + ",\n".join(
            f'"{name}": [\n' + ",\n".join(json.dumps(t, sort_keys=True, ensure_ascii=False)
                                         for t in targets) + "]"
            for name, targets in golden.items()) + "}\n")


def compare(program, folder):
    with open(GOLDEN) as file:
        golden = {name: sets_of(targets) for name, targets in json.load(file).items()}
    api = build()
    config = "scrape_configs:\n" + "".join(
        f"  - job_name: {name}\n    kubernetes_sd_configs: [{section(role, api.url, more)}]\n"
        "    relabel_configs: [{source_labels: [job], regex: nothing, action: keep}]\n"
        for name, (role, more) in JOBS.items())
    server = start_narthex(program, tempfile.mkdtemp(dir=folder), config).wait_ready()

    def found():
        targets = collections.defaultdict(list)
        for target in server.data("targets", state="dropped")["droppedTargets"]:
            targets[target["discoveredLabels"]["job"]].append(target["discoveredLabels"])
        return {name: sets_of(targets[name]) for name in JOBS}
    try:
        wait_until(lambda: found() == golden, "the same targets", 30)
    except AssertionError:
        ours = found()
        for name in JOBS:
            for labels in ours[name] - golden[name]:
                print(f"{name}: only ours:   {show(labels)}")
            for labels in golden[name] - ours[name]:
                print(f"{name}: only theirs: {show(labels)}")
        raise
    finally:
        server.stop()
        api.stop()
    print("targets that agree:", {name: sum(sets.values()) for name, sets in golden.items()})


if sys.argv[1] == "--record":
    record(os.path.abspath(sys.argv[2]))
else:
    compare(os.path.abspath(sys.argv[1]), sys.argv[2])

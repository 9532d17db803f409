"""The scripted Kubernetes API of these tests is asked by the real kubectl.

    kubernetes_kubectl.py folder
"""
import json
import os
import subprocess
import sys
import tempfile

import kubernetes_fake as fake
from harness import fetch_peer


def main():
    folder = sys.argv[1]
    kubectl = fetch_peer("kubernetes-client", "usr/bin/kubectl", folder)
    api = fake.KubernetesApi()
    home = tempfile.mkdtemp(dir=folder)
    base = [kubectl, f"--server={api.url}", f"--cache-dir={home}/cache", "--request-timeout=30s"]
    environment = {**os.environ, "HOME": home, "KUBECONFIG": "/dev/null"}

    def ask(*arguments):
        result = subprocess.run([*base, *arguments], env=environment, timeout=60,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert result.returncode == 0, (arguments, result.stderr)
        return result.stdout

    for i in range(25):
        api.put("pods", fake.pod(f"p{i:02}", "a" if i < 20 else "b",
                                 labels={"parity": "even" if i % 2 == 0 else "odd"}))
    api.put("nodes", {"metadata": {"name": "node-1"}})
    api.put("endpointslices", {"metadata": {"name": "s", "namespace": "a"}, "addressType": "IPv4",
                               "endpoints": []})

    # Pages: the client puts them together.
    found = json.loads(ask("get", "pods", "--all-namespaces", "--chunk-size=7", "-o", "json"))
    assert [p["metadata"]["name"] for p in found["items"]] == [f"p{i:02}" for i in range(25)], found
    pages = [r for r in api.requests if r[0] == "/api/v1/pods"]
    assert len(pages) == 4 and "continue" in pages[-1][1], pages

    names = ask("get", "pods", "-n", "a", "-l", "parity=odd", "-o", "name").split()
    assert names == [f"pod/p{i:02}" for i in range(1, 20, 2)], names
    names = ask("get", "pods", "-n", "a", "--field-selector=metadata.name=p03", "-o",
                "name").split()
    assert names == ["pod/p03"], names
    assert ask("get", "nodes", "-o", "name").split() == ["node/node-1"]
    assert "endpointslice" in ask("get", "endpointslices.discovery.k8s.io", "-n", "a", "-o", "name")
    one = json.loads(ask("get", "pod", "p21", "-n", "b", "-o", "json"))
    assert one["status"]["podIP"] == "127.0.0.1", one

    # A watch, as kubectl asks for it.
    process = subprocess.Popen([*base, "get", "pods", "-n", "b", "-w", "-o", "json",
                                "--output-watch-events"], env=environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        decoder, text, events = json.JSONDecoder(), "", []

        def take(count):
            nonlocal text
            while len(events) < count:
                line = process.stdout.readline()
                assert line, process.stderr.read()
                text += line
                try:
                    value, end = decoder.raw_decode(text)
                except ValueError:
                    continue
                events.append((value["type"], value["object"]["metadata"]["name"]))
                text = text[end:].lstrip()
        take(5)
        assert events == [("ADDED", f"p{i}") for i in range(20, 25)], events
        api.put("pods", fake.pod("p21", "b", phase="Failed"))
        api.put("pods", fake.pod("p99", "b"))
        api.delete("pods", "p20", "b")
        take(8)
        assert events[5:] == [("MODIFIED", "p21"), ("ADDED", "p99"), ("DELETED", "p20")], events
    finally:
        process.kill()
        process.wait()
        api.stop()
    print("kubectl agrees")


main()

"""narthexctl beside Debian's promtool: check config, query and tsdb on the same files and servers.

    ctl_peer_commands.py NARTHEXCTL FOLDER

SAME must be equal in standard output, standard error and exit status; DIFFERENT is the reviewed list
of where they are not, with what narthexctl says instead. Both query the same Prometheus.
"""
import os
import re
import subprocess
import sys

import harness

START = 1700000000
JOB = "scrape_configs:\n- job_name: a\n  "
FILES = {
    "plain.yml": JOB + "static_configs: [{targets: ['x:1']}]\n",
    "slow.yml": "global: {scrape_interval: 15m}\n" + JOB + "static_configs: [{targets: ['x:1']}]\n",
    "unknown.yml": "global:\n  foo: bar\n",
    "rules.yml": "groups: []\n",
    "with_rules.yml": "rule_files: ['r*.yml']\n" + JOB + "static_configs: [{targets: ['x:1']}]\n",
    "no_rules.yml": "rule_files: [missing.yml]\n",
    "no_rules_pattern.yml": "rule_files: ['missing*.yml']\n",
    "no_token.yml": JOB + "authorization: {credentials_file: missing}\n",
    "no_cert.yml": JOB + "tls_config: {cert_file: missing, key_file: plain.yml}\n",
    "no_key.yml": JOB + "tls_config: {cert_file: plain.yml, key_file: missing}\n",
    "no_ca.yml": JOB + "tls_config: {ca_file: missing}\n",
    "targets.json": '[{"targets": ["x:1"], "labels": {"a": "b"}}]',
    "bad.json": '[{"targets": 3}]',
    "url.yml": "- targets: ['http://x/y']\n",
    "sd.yml": JOB + "file_sd_configs: [{files: [targets.json, missing.json, 'm*.json']}]\n",
    "sd_bad.yml": JOB + "file_sd_configs: [{files: [bad.json]}]\n",
    "sd_url.yml": JOB + "file_sd_configs: [{files: [url.yml]}]\n",
    "no_address.yml": JOB + "static_configs: [{targets: ['']}]\n",
    "agent.yml": "rule_files: [rules.yml]\n",
}
CONFIG = ["check", "config"]
U = "URL"
AT = ["--time", str(START + 500)]
RANGE = ["--start", str(START), "--end", str(START + 100)]

SAME = [
    [*CONFIG, "plain.yml"], [*CONFIG, "plain.yml", "unknown.yml", "sd.yml"], [*CONFIG, "absent.yml"],
    CONFIG, [*CONFIG, "no_rules.yml"], [*CONFIG, "no_token.yml"],
    [*CONFIG, "no_cert.yml"], [*CONFIG, "no_key.yml"], [*CONFIG, "--syntax-only", "no_token.yml"],
    [*CONFIG, "sd.yml"],
    [*CONFIG, "--lint=nonsense", "plain.yml"], [*CONFIG, "--lint=a", "--lint=b", "plain.yml"],
    [*CONFIG, "slow.yml"], [*CONFIG, "--lint-fatal", "plain.yml"], [*CONFIG, "--nonsense", "plain.yml"],
    ["check", "web-config", "absent.yml"], ["check", "service-discovery", "plain.yml", "b"],
    ["check", "service-discovery", "plain.yml"], ["check"], ["nonsense"], ["--nonsense"],
    ["query"], ["query", "nonsense"],
    ["query", "instant", U, "a", *AT], ["query", "instant", U, "{__name__=~'a|b'}", *AT],
    ["query", "instant", U, "absent_metric", *AT], ["query", "instant", U, "a[1m]", *AT],
    ["query", "instant", U, "1/0", *AT], ["query", "instant", U + "/", "a", *AT],
    ["query", "-o", "json", "instant", U, "a", *AT], ["query", "instant", "-ojson", U, "a[1m]", *AT],
    ["query", "instant", "--format=json", U, "1", *AT], ["query", "instant", "-o", "xml", U, "1"],
    ["query", "instant", U, "a", "--time", "2023-11-14T22:20:00.5+00:00"],
    ["query", "instant", U, "a", "--time", "nonsense"], ["query", "instant", U, "a +", *AT],
    ["query", "instant", U, "a * on(x) b", *AT], ["query", "instant", U + "/wrong", "a", *AT],
    ["query", "instant", "http://127.0.0.1:1", "a", *AT], ["query", "instant", U, "a", "b", *AT],
    ["query", "instant", U],
    ["query", "range", U, "a", *RANGE], ["query", "range", U, "a", *RANGE, "--step", "30s"],
    ["query", "range", U, "a", "--end", str(START + 3000)],
    ["query", "range", U, "a", "--start", str(START), "--end", str(START - 1)],
    ["query", "range", U, "a", "--start", "nonsense"], ["query", "range", U, "a", "--end", "nonsense"],
    ["query", "range", U, "a", *RANGE, "--header", "X-A=b"],
    ["query", "range", U, "a", *RANGE, "--header", "nonsense"],
    ["query", "range", U, "a", *RANGE, "--step", "1m", "--step", "1m"],
    ["query", "series", U, "--match", "a", *RANGE],
    ["query", "series", U, "--match", "a", "--match", "b", "-o", "json", *RANGE],
    ["query", "series", U, "--match", "a{"], ["query", "series", U],
    ["query", "series", U, "--match", "a", "--start", "nonsense"],
    ["query", "labels", U, "x", *RANGE], ["query", "labels", U, "x", "--match", "b", *RANGE],
    ["query", "labels", U, "0bad"], ["query", "labels", U, "x", "-o", "json", *RANGE],
    ["query", "labels", U, "x", "--end", "nonsense"], ["query", "labels", U],
    ["tsdb", "list", "empty"], ["tsdb", "analyze", "empty"], ["tsdb", "analyze", "a", "b", "c"],
    ["tsdb", "list", "-rr"], ["tsdb", "list", "-x"], ["tsdb", "analyze", "DATA", "nonsense"],
]

# (arguments, why they differ, exit status, part of standard output, part of standard error)
DIFFERENT = [
    ([*CONFIG, "with_rules.yml"], "rules are not built", 0, "not checked: rules are not built", ""),
    ([*CONFIG, "--syntax-only", "no_rules.yml"], "the same", 0, "not run by this version", ""),
    ([*CONFIG, "no_rules_pattern.yml"], "the same", 0, "not run by this version: rule_files", ""),
    ([*CONFIG, "--agent", "agent.yml"], "the place is told", 1, "", "rule_files is not allowed in agent"),
    ([*CONFIG, "no_ca.yml"], "files that are needed later", 0, 'WARNING: ca_file "missing"', ""),
    ([*CONFIG, "sd_bad.yml"], "the words of a parser", 1, "", 'checking SD file "bad.json": '),
    ([*CONFIG, "sd_url.yml"], "the file is told", 1, "", '"http://x/y" is not a valid hostname'),
    ([*CONFIG, "no_address.yml"], "the job is told", 1, "", 'of job "a": no address'),
    ([*CONFIG, "--lint=too-long-scrape-interval", "slow.yml"], "2.42 does not have it", 0,
     "SUCCESS", 'scrape interval 15m of job "a"'),
    ([*CONFIG, "--lint=all", "--lint-fatal", "slow.yml"], "the same", 3, "SUCCESS", "lint error"),
    ([*CONFIG, "--lint=all", "--query.lookback-delta=20m", "--lint-fatal", "slow.yml"], "the same", 0,
     "SUCCESS", ""),
    (["check", "rules", "rules.yml"], "rules are not built", 1, "", "not built yet"),
    (["test", "rules", "rules.yml"], "rules are not built", 1, "", "not built yet"),
    (["push", "metrics", U, "x"], "there is no remote write", 1, "", "not built yet"),
    (["debug", "pprof", U], "there are no profiles", 1, "", "no pprof profiles"),
    (["query", "range", U, "a", *RANGE, "--step", "30"], "seconds need no unit", 0, "a{", ""),
    (["query", "range", U, "a", "--step", "nonsense"], "the words of a parser", 1, "",
     'error: cannot parse "nonsense" to a valid duration'),
    (["query", "instant", "HOST", "a", *AT], "http:// may be missing", 0, "a{", ""),
    (["query", "instant", U, '"text"', *AT], "a string can be read", 0, "string: text @[", ""),
    (["query", "series", U, "--match", "a"], "all time by default", 0, '{__name__="a"', ""),
]


def openmetrics():
    lines = ["# TYPE a gauge"]
    for x in range(4):
        lines += [f'a{{job="j{x % 2}",x="{x}"}} {x + k / 3} {START + k * 15}' for k in range(60 - 11 * x)]
    lines += ["# TYPE b gauge", *(f'b{{job="j1",x="0"}} {k} {START + k * 15}' for k in range(60)), "# EOF"]
    return "\n".join(lines) + "\n"


def run(program, arguments, folder, words):
    done = subprocess.run([program, *(words.get(a, a) for a in arguments)], cwd=folder, text=True,
                          capture_output=True, timeout=120, check=False, stdin=subprocess.DEVNULL)
    name = os.path.basename(program)
    return (done.returncode, done.stdout, done.stderr.replace(f"{name}: error", "PROGRAM: error"))


def analysis(text):
    """The parts of tsdb analyze; lines of equal counts have no order of their own."""
    text = re.sub(r"^Block ID: .*\n", "", text).replace("Total Series:", "Series:")
    return [sorted(part.split("\n")) for part in text.strip().split("\n\n")]


def check_tsdb(ctl, promtool, folder):
    for program, name in ((ctl, "ours"), (promtool, "theirs")):
        subprocess.run([program, "tsdb", "create-blocks-from", "openmetrics", "in.om", name],
                       cwd=folder, check=True, capture_output=True, timeout=120)
    for flags in ([], ["--limit", "1000"]):
        both = [run(program, ["tsdb", "analyze", *flags, name], folder, {})
                for program, name in ((ctl, "ours"), (promtool, "theirs"))]
        assert both[0][0] == both[1][0] == 0, both
        assert analysis(both[0][1]) == analysis(both[1][1]), both
    for flags in ([], ["-r"]):
        ours, theirs = [run(program, ["tsdb", "list", *flags, name], folder, {})[1].split("\n")
                        for program, name in ((ctl, "ours"), (promtool, "theirs"))]
        assert ours[0] == theirs[0], (ours, theirs)
        # ULID, columns and size are each one's own.
        pick = [re.split(r"  +", line)[1:5] for line in (ours[1], theirs[1])]
        assert pick[0] == pick[1], pick
    # What Prometheus made is named and left alone.
    before = sorted(os.listdir(os.path.join(folder, "theirs")))
    for command in ("list", "analyze", "verify", "repair"):
        status, _, err = run(ctl, ["tsdb", command, "theirs"], folder, {})
        assert status == 1 and "Prometheus" in err, (command, status, err)
    assert sorted(os.listdir(os.path.join(folder, "theirs"))) == before


def check_cases(ctl, promtool, folder, words):
    faults = []
    for arguments in SAME:
        if "DATA" in arguments: # each its own blocks
            ours = run(ctl, arguments, folder, {**words, "DATA": "ours"})
            theirs = run(promtool, arguments, folder, {**words, "DATA": "theirs"})
        else:
            ours, theirs = (run(p, arguments, folder, words) for p in (ctl, promtool))
        if ours != theirs:
            faults.append(f"{arguments}\nnarthexctl {ours}\npromtool {theirs}")
    for arguments, why, status, out, err in DIFFERENT:
        ours, theirs = (run(p, arguments, folder, words) for p in (ctl, promtool))
        if ours == theirs:
            faults.append(f"{arguments}: no difference any more ({why})")
        if ours[0] != status or out not in ours[1] or err not in ours[2]:
            faults.append(f"{arguments}: {ours}")
    assert not faults, "\n".join(faults)


def main():
    ctl, work = sys.argv[1:3]
    peers = os.path.join(work, "peers")
    promtool = harness.fetch_peer("prometheus", "usr/bin/promtool", peers)
    prometheus = harness.fetch_peer("prometheus", "usr/bin/prometheus", peers)
    with harness.WorkFolder(work) as folder:
        os.mkdir(os.path.join(folder, "empty"))
        for name, text in {**FILES, "in.om": openmetrics()}.items():
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        check_tsdb(ctl, promtool, folder)
        os.makedirs(os.path.join(folder, "server"))
        subprocess.run(["cp", "-r", "theirs", "server/prometheus-data"], cwd=folder, check=True)
        server = harness.start_prometheus(prometheus, os.path.join(folder, "server"), "global: {}\n",
                                          "--storage.tsdb.retention.time=100y").wait_ready()
        try:
            check_cases(ctl, promtool, folder,
                        {U: server.url, U + "/": server.url + "/", U + "/wrong": server.url + "/wrong",
                         "HOST": server.url.removeprefix("http://")})
        finally:
            server.stop(30)
    print(f"{len(SAME)} cases equal, {len(DIFFERENT)} reviewed differences")


if __name__ == "__main__":
    main()

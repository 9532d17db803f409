"""narthexctl beside Debian's promtool: the same input to both, and what both say compared.

    ctl_peer.py NARTHEXCTL FOLDER

CASES must be equal in standard output, standard error and exit status. DIFFERENCES is the reviewed
list of where they are not, with what narthexctl says instead.
"""
import json
import os
import subprocess
import sys

import harness

UNITS = ("s ms us ns sec b kb mb gb tb pb m h d min g w minutes hours days weeks years kelvin "
         "kelvins celsius fahrenheit rankine inches miles yards feet bits kilobits percent ratio calories "
         "pounds ounces metres meters grams joules volts amperes millivolts kilometers kilometres "
         "nanoseconds picoseconds centimeters decigrams kibibytes mebibytes mibibytes gibibytes "
         "tebibytes pebibytes terabytes decameters hectograms kilodays millikelvins zeptobytes "
         "Kilobytes bytes_kilobytes kilobytes_megabytes ms_s MS").split()
NAMES = ("fooBar x:y u_Counter u_GAUGE_x u_gauge_gauge_histogram gauge counter_y _summary bits ms "
         "kilobytes counter_counter_counter_").split()


def family(name, kind, samples, text="a text"):
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n" + "".join(f"{s}\n" for s in samples)


GOOD = (family("c_total", "counter", ['c_total{a="1"} 2', 'c_total{a="2"} 2', 'c_total{a="3"} 2'])
        + family("dh", "histogram", ['dh_bucket{le="1"} 1', 'dh_bucket{le="2"} 1',
                                     'dh_bucket{le="+Inf"} 1', "dh_sum 1", "dh_count 1"])
        + family("su", "summary", ['su{quantile="0.5"} 1', 'su{quantile="0.9"} 1', "su_sum 1",
                                   "su_count 1"])
        + family("g", "gauge", ["g 1"]))
LABELS = (family("a", "gauge", ['a{le="1",aB="1",cD="3",quantile="2"} 1',
                                'a{le="2",aB="1",quantile="3"} 1', 'a{x="1"} 3'])
          + family("w", "histogram", ['w_bucket{le="1",quantile="2"} 1',
                                      'w_bucket{le="+Inf",quantile="2"} 1'])
          + family("z_bucket", "summary", ['z_bucket{le="2",quantile="0.5"} 1'])
          + "b_sum{le=\"2\"} 3\n")
ENDINGS = "".join(family(f"{kind}{end}", kind, [f"{kind}{end} 1"])
                  for kind in ("counter", "gauge", "summary")
                  for end in ("_sum", "_count", "_bucket", "_total", "_count_total"))
WORDS = "".join(f"# HELP {n} a text\n{n} 1\n" for n in [f"x_{u}_y" for u in UNITS] + NAMES)

CHECK = ["check", "metrics"]
CASES = [
    (CHECK, ""), (CHECK, GOOD), ([*CHECK, "--extended"], GOOD), (CHECK, LABELS), (CHECK, ENDINGS),
    (CHECK, WORDS), ([*CHECK, "--extended"], WORDS), (CHECK, "nohelp 1\n"),
    (CHECK, "# HELP e \ne 1\n"), ([*CHECK, "--nonsense"], GOOD), (CHECK, "a 1"), (CHECK, "a b\n"),
    (CHECK, "# HELP a x\n# HELP a y\na 1\n"), (CHECK, "# HELP a x\na{b=\"1\",b=\"2\"} 1\n"),
    (CHECK, "# TYPE a gauge\n# TYPE a counter\na 1\n"), (CHECK, "a 1\n# TYPE a counter\na 1\n"),
    (CHECK, 'a{le="x"} 1\n# TYPE b histogram\nb_bucket{le="x"} 1\n'), (CHECK, "a 1e1000\n"),
    (CHECK, "# HELP a x\na_bucket 1\n# TYPE a histogram\na_bucket{le=\"1\"} 1\n"),
]

# (arguments, input, why they differ, exit status and a part of standard error of narthexctl)
DIFFERENCES = [
    (CHECK, "a 1\na 2\n", "promtool 2.42 does not know this problem", 3, "a metric not unique\n"),
    (CHECK, "1a 3\n", "the words of the project's own parser", 1,
     "error while linting: text format parsing error in line 1: "),
    (CHECK, "# HELP a x\na{b=\"1\" c=\"2\"} 1\n", "a comma may be missing, as in a scrape", 0, ""),
    (CHECK, "# HELP a x\na{b=\"\\x\"} 1\n", "unknown escapes stay, as in a scrape", 0, ""),
    ([*CHECK, "--lint=none"], "a 1\n", "promtool 2.42 has no --lint", 0, ""),
    ([*CHECK, "--lint", "some"], "a 1\n", "promtool 2.42 has no --lint", 1, "one of all,none"),
    ([*CHECK, "--lint"], "a 1\n", "promtool 2.42 has no --lint", 1, "expected argument for flag"),
]


def run(program, arguments, text):
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True,
                          timeout=60, check=False)
    name = os.path.basename(program)
    return (done.returncode, done.stdout, done.stderr.replace(f"{name}: error", "PROGRAM: error"))


def check_json(ctl):
    status, out, err = run(ctl, [*CHECK, "--format=json"], GOOD + "noHelp 1\n")
    answer = json.loads(out)
    assert (status, err) == (3, ""), (status, err)
    assert answer["metrics"][0] == {"metric": "dh", "cardinality": 5}, answer
    assert {"metric": "noHelp", "text": "no help text"} in answer["problems"], answer


SET, DELETE = ["label-matchers", "set"], ["label-matchers", "delete"]
# promtool 2.42 has no promql commands: (arguments, exit status, all of standard output)
PROMQL = [
    ([*SET, 'sum(rate(a{b="1"}[5m])) / b{job="y"}', "job", "x"], 0,
     'sum(rate(a{b="1",job="x"}[5m])) / b{job="x"}\n'),
    ([*SET, "-t", "!=", "a", "job", "x"], 0, 'a{job!="x"}\n'),
    ([*SET, "--type==~", 'a{job!="1"} offset 5m', "job", "x.*"], 0,
     'a{job=~"x.*"} offset 5m\n'),
    ([*SET, "--type", "=~", "a", "job", "("], 1, ""),
    ([*SET, "--type", "~", "a", "job", "x"], 1, ""),
    ([*SET, "a", "job"], 1, ""),
    ([*DELETE, 'a{job="x",b!="1",job!="z"}[5m]', "job"], 0, 'a{b!="1"}[5m]\n'),
    ([*DELETE, "a +", "job"], 1, ""),
]


def check_promql(ctl):
    for arguments, status, out in PROMQL:
        got = run(ctl, ["--experimental", "promql", *arguments], "")
        assert got[:2] == (status, out), (arguments, got)
        assert bool(got[2]) == (status != 0), (arguments, got)


def main():
    ctl, folder = sys.argv[1:3]
    promtool = harness.fetch_peer("prometheus", "usr/bin/promtool", os.path.join(folder, "peers"))
    for arguments, text in CASES:
        ours, theirs = run(ctl, arguments, text), run(promtool, arguments, text)
        assert ours == theirs, f"{arguments} {text!r}\nnarthexctl {ours}\npromtool {theirs}"
    for arguments, text, why, status, part in DIFFERENCES:
        ours, theirs = run(ctl, arguments, text), run(promtool, arguments, text)
        assert ours != theirs, f"{arguments} {text!r}: no difference any more ({why})"
        assert ours[0] == status and part in ours[2], f"{arguments} {text!r}: {ours}"
    check_json(ctl)
    check_promql(ctl)
    print(f"{len(CASES)} cases equal, {len(DIFFERENCES)} reviewed differences")


if __name__ == "__main__":
    main()

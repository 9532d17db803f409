#!/usr/bin/env python3
"""bench/compare and bench/lateness from a work folder that has nothing: they measure a small load to
the end. What they find counts for nothing here.

usage: bench_programs.py NARTHEX NARTHEXCTL LOAD_TARGETS WRITE_HISTORY WORK_FOLDER
"""
import os
import subprocess
import sys

import harness

BENCH = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "bench")


def run(name, *arguments):
    done = subprocess.run([os.path.join(BENCH, name), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
    if done.stdout.startswith("skipped:"):
        harness.skip(done.stdout.removeprefix("skipped:").strip())
    assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def check_compare(programs, work, peers):
    narthex, narthexctl, load, history = programs
    os.makedirs(peers, exist_ok=True)
    os.symlink(peers, os.path.join(work, "peers"))
    text = run("compare", "--narthex", narthex, "--narthexctl", narthexctl, "--load", load,
               "--history", history, "--work", work, "--parts", "idle,live", "--peers", "prometheus",
               "--each", "50", "--series", "500", "--interval", "1", "--seconds", "3",
               "--client-seconds", "1", "--idle-seconds", "1", "--rounds", "1", "--force")
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    for row in ("idle: memory held", "scrape: CPU per sample", "16 clients while scraping",
                "SIGKILL: first right answer"):
        ours, theirs, ratio = map(float, rows[row][-3:])
        assert ours > 0 and theirs > 0 and abs(ratio - ours / theirs) <= 0.01 * ratio + 0.001, rows[row]
    assert float(rows["scrape: samples offered"][-3]) > 400, text


def check_lateness(programs, work):
    text = run("lateness", "--narthex", programs[0], "--load", programs[2], "--work", work,
               "--targets", "20", "--series", "50", "--interval", "1", "--minutes", "0.1",
               "--late-max", "100")
    values = dict(line.split("  ", 1) for line in text.splitlines() if "  " in line.strip())
    assert float(values["targets up"]) == 20, text


def main():
    *programs, work = sys.argv[1:]
    with harness.WorkFolder(work) as folder:
        check_compare(programs, folder, os.path.join(os.path.abspath(work), "peers"))
        check_lateness(programs, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Damages a data folder in every way that repair knows and asks a server for what is left.

usage: repair.py NARTHEX NARTHEXCTL WORK_FOLDER
"""
import os
import random
import subprocess
import sys

import harness

OLD_S = 1700006400
RANGE_S = 7200
BLOCKS = 3
NOISE_SERIES = 100 # make the first block one of many pieces
# The imported samples are old: the default retention would remove them at its next pass.
FLAGS = ("--web.enable-admin-api", "--storage.tsdb.retention.time=100y")


def config(port, job="self"):
    return ("global: {scrape_interval: 50ms, scrape_timeout: 50ms}\n"
            "scrape_configs:\n"
            f"- job_name: {job}\n"
            f"  static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n")


def run(ctl, command, data):
    return subprocess.run([ctl, "tsdb", command, data], capture_output=True, text=True)


def blocks_of(data):
    return sorted(name for name in os.listdir(data) if len(name) == 26)


def files_of(data, part):
    """Files of a folder that are named by a number."""
    folder = os.path.join(data, part)
    if not os.path.exists(folder):
        return []
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.isdigit()]
    return [path for path in paths if os.path.getsize(path) > 0]


def windows(path):
    """How many sealed windows a file has (docs/format/sealed.md)."""
    with open(path, "rb") as file:
        return file.read().count(b"NXSW")


def middle_of_window(path):
    """Of the first one. Only what has a window behind it is damage and not a torn tail."""
    with open(path, "rb") as file:
        head = file.read(16 + 8)
    return 16 + int.from_bytes(head[20:24], "little") // 2


def flip(path, at, count=16):
    with open(path, "r+b") as file:
        file.seek(at)
        old = file.read(count)
        file.seek(at)
        file.write(bytes(b ^ 0xff for b in old))


def make_data(program, ctl, folder, port):
    data = os.path.join(folder, "narthex-data")
    path = os.path.join(folder, "input.om")
    with open(path, "w") as file:
        for block in range(BLOCKS):
            for i in range(100):
                file.write(f"old {block * 1000 + i} {OLD_S + block * RANGE_S + i * 10}\n")
        generator = random.Random(1)
        for i in range(NOISE_SERIES):
            for k in range(100):
                file.write(f'noise{{i="{i}"}} {generator.random()} {OLD_S + k * 10}\n')
        file.write("# EOF\n")
    for number, job in enumerate(("other", "self")): # windows of 30 rows are sealed
        server = harness.start_narthex(program, folder, config(port, job), *FLAGS,
                                       port=port).wait_ready()
        try:
            harness.wait_until(lambda: count(server, f'up{{job="{job}"}}') >= 70, "samples")
            harness.wait_until(lambda: all(len(files_of(data, part)) > number
                                           for part in ("sealed", "series")) and
                               windows(files_of(data, "sealed")[number]) >= 2, "sealed windows")
        finally:
            server.kill()
    result = subprocess.run([ctl, "tsdb", "create-blocks-from", "openmetrics", "--quiet", path, data],
                            capture_output=True, text=True)
    assert result.returncode == 0, result
    return data


def count(server, selector, seconds=3600, time=None):
    params = {"query": f"count_over_time({selector}[{seconds}s])"}
    if time is not None:
        params["time"] = time
    result = server.data("query", **params)["result"]
    return int(result[0]["value"][1]) if result else 0


def damage(data):
    """A byte of the first block's columns, all of the second one's footer, the middle of the first
    segment, a window, and half a record at the end of the last one."""
    blocks = blocks_of(data)
    first = os.path.join(data, blocks[0], "block")
    flip(first, os.path.getsize(first) // 2)
    second = os.path.join(data, blocks[1], "block")
    os.truncate(second, os.path.getsize(second) // 2)
    with open(os.path.join(data, blocks[2], "tombstones"), "wb") as file:
        file.write(b"these are no tombstones")
    # Merged away meanwhile, or with nothing behind its first window, a file tells nothing.
    sealed = next(path for path in files_of(data, "sealed") if windows(path) >= 2)
    flip(sealed, middle_of_window(sealed))
    segments = [path for path in files_of(data, "wal") if os.path.getsize(path) > 4096]
    flip(segments[0], os.path.getsize(segments[0]) // 2)
    with open(segments[0], "rb") as file:
        record = file.read()[16:90]
    with open(files_of(data, "wal")[-1], "ab") as file:
        file.write(record[:-1])
    return blocks, segments[0]


def check_list(output, data, blocks, segment):
    for part in (blocks[0], blocks[1], "10100 samples of 101 series", "what it held cannot be told",
                 blocks[2] + "-tombstones", "the deletions in this block", segment,
                 "in 1 places, the first at", "of an unfinished commit",
                 "whole windows"):
        assert part in output, (part, output)
    aside = os.listdir(os.path.join(data, "damaged"))
    assert len(aside) == 5 and "wal-" + os.path.basename(segment) in aside, aside


def check_series(program, ctl, folder, port, data):
    """Series whose labels are lost cost their samples in the head, nothing else."""
    flip(files_of(data, "series")[0], 40)
    assert run(ctl, "verify", data).returncode == 1
    result = run(ctl, "repair", data)
    assert result.returncode == 0 and "series from offset 16 on" in result.stdout, result
    assert run(ctl, "verify", data).returncode == 0, run(ctl, "verify", data)
    server = harness.start_narthex(program, folder, config(port), *FLAGS, port=port).wait_ready()
    try:
        assert count(server, "old", 1001, OLD_S + 2 * RANGE_S + 1000) == 100
        harness.wait_until(lambda: count(server, 'up{job="self"}') >= 5, "samples")
    finally:
        server.stop()


def main():
    program, ctl, work = sys.argv[1:4]
    with harness.WorkFolder(work) as folder:
        port = harness.free_port()
        data = make_data(program, ctl, folder, port)
        assert run(ctl, "verify", data).returncode == 0, run(ctl, "verify", data)
        result = run(ctl, "repair", data)
        assert result.returncode == 0 and "nothing to repair" in result.stdout, result
        blocks, segment = damage(data)
        assert run(ctl, "verify", data).returncode == 1
        result = run(ctl, "repair", data)
        assert result.returncode == 0, result
        print(result.stdout)
        check_list(result.stdout, data, blocks, segment)
        assert run(ctl, "verify", data).returncode == 0, run(ctl, "verify", data)
        assert "nothing to repair" in run(ctl, "repair", data).stdout
        server = harness.start_narthex(program, folder, config(port), *FLAGS, port=port).wait_ready()
        try:
            assert run(ctl, "repair", data).returncode == 1 # in use
            for block in range(BLOCKS):
                end = OLD_S + block * RANGE_S + 1000
                wanted = 100 if block == 2 else 0
                assert count(server, "old", 1001, end) == wanted, block
            # Rows before the damage, those of the restarted server.
            harness.wait_until(lambda: count(server, 'up{job="self"}') >= 5, "samples")
        finally:
            server.stop()
        check_series(program, ctl, folder, port, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())

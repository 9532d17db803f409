"""Checks that every #include goes down: a folder uses only what docs/architecture.md allows it.

A folder's own headers are included by bare name; what crosses a folder is narthex/<layer>/*.h.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Layers of public headers that each folder may include, besides its own.
ALLOWED = {
    "base": {"base"},
    "model": {"base", "model"},
    "tsdb/column": {"base", "model", "tsdb"},
    "tsdb/index": {"base", "model", "tsdb"},
    "tsdb/wal": {"base", "model", "tsdb"},
    "tsdb/head": {"base", "model", "tsdb"},
    "tsdb/block": {"base", "model", "tsdb"},
    "tsdb/db": {"base", "model", "tsdb"},
    "scraper": {"base", "model", "scraper", "tsdb/storage.h"},
    "query": {"base", "model", "query", "tsdb/storage.h"},
    "config": {"base", "model", "scraper", "config", "tsdb/storage.h"},
    "exporters": {"base", "model", "exporters"},
    "http": {"base", "model", "tsdb", "query", "scraper", "config", "http"},
    "server": {"base", "model", "tsdb", "query", "scraper", "config", "http", "exporters"},
    "ctl": {"base", "model", "tsdb", "query", "scraper", "config"},
}
# Inside tsdb: headers of the parts, lowest first; a part may use those before it and its own.
TSDB_ORDER = {
    "tsdb/column": 0, "tsdb/index": 0, "tsdb/wal": 0, "tsdb/head": 1, "tsdb/block": 1, "tsdb/db": 2,
}
TSDB_HEADERS = {"head.h": 1, "block.h": 1, "block_compact.h": 1, "tombstones.h": 1, "db.h": 2}


def layer_of(folder, header):
    """Rank of a tsdb header that is above `folder`, or None when it may be used."""
    rank = TSDB_HEADERS.get(header)
    own = TSDB_ORDER.get(folder)
    if own is None or rank is None or rank <= own:
        return None
    return rank


def check(path):
    folder = str(path.parent.relative_to(ROOT))
    problems = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#include "([^"]+)"', line)
        if match is None:
            continue
        include = match.group(1)
        where = f"{path.relative_to(ROOT)}:{number}"
        if not include.startswith("narthex/"):
            if "/" in include or not (path.parent / include).exists():
                problems.append(f"{where}: {include} is not a header of this folder")
            continue
        layer, _, header = include[len("narthex/"):].partition("/")
        allowed = ALLOWED[folder]
        if layer not in allowed and f"{layer}/{header}" not in allowed:
            problems.append(f"{where}: {folder} must not use {include}")
        elif layer == "tsdb" and layer_of(folder, header) is not None:
            problems.append(f"{where}: {folder} must not use {include}, which is above it")
    return problems


def check_public(path):
    """A public header of layer L may include what the folder L may."""
    folder = path.parent.name
    fake = {"tsdb": "tsdb/db"}.get(folder, folder)
    problems = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#include "narthex/([^/]+)/([^"]+)"', line)
        if match is None:
            continue
        if match.group(1) not in ALLOWED[fake] and \
                f"{match.group(1)}/{match.group(2)}" not in ALLOWED[fake]:
            problems.append(f"{path.relative_to(ROOT)}:{number}: upward include")
    return problems


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard",
                            "*.c", "*.h"], cwd=ROOT, check=True, capture_output=True,
                           text=True).stdout.split()
    problems = []
    for name in files:
        path = ROOT / name
        if not path.exists():
            continue
        folder = str(path.parent.relative_to(ROOT))
        if folder in ALLOWED:
            problems += check(path)
        elif folder.startswith("include/narthex/"):
            problems += check_public(path)
    print("\n".join(problems) if problems else "includes: all go down")
    return 1 if problems else 0


sys.exit(main())

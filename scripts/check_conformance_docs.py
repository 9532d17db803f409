"""Holds docs/conformance-*.md to the tree.

Rows are: rule | where | test | verdict. Files and tests stand in backquotes, one or several:

- where: files of this tree by their last part, each of them unique;
- test: `file:function` is a unit test that the file runs, `integration/name` one that ctest knows;
  `integration/name:function` is a function of its program;
- only what is "not built" may have neither.
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROWS_MIN = 50  # of a page: fewer were not read right


def files_by_name():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    names = collections.Counter(pathlib.PurePath(name).name for name in listed)
    # Public headers may share a name with a private one.
    return {name for name, count in names.items() if count == 1}


def unit_tests():
    """{file without .c: names of its tests}"""
    return {path.stem: set(re.findall(r"cmocka_unit_test\w*\(\s*(\w+)", path.read_text()))
            for path in (ROOT / "tests" / "unit").rglob("*_test.c")}


def integration_tests():
    """{name in ctest: functions of its program}"""
    folder = ROOT / "tests" / "integration"
    lists = (folder / "CMakeLists.txt").read_text()
    return {name: set(re.findall(r"^def (\w+)\(", (folder / script).read_text(), re.M))
            for name, script in re.findall(r"^\s*add_peer_test\((\w+) (\w+\.py)", lists, re.M)}


def test_exists(test, units, peers):
    name, _, function = test.partition(":")
    if not name.startswith("integration/"):
        return function in units.get(name, ())
    functions = peers.get(name.removeprefix("integration/"))
    return functions is not None and (not function or function in functions)


def rows(page):
    """(line number, cells) of the rows of all tables."""
    lines = page.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        is_rule = re.fullmatch(r"[|\-: ]+", line)
        is_head = number < len(lines) and re.fullmatch(r"\|[|\-: ]+", lines[number])
        if line.startswith("|") and not is_rule and not is_head:
            yield number, [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def faults_of(cells, files, units, peers):
    if len(cells) != 4 or not cells[0] or not cells[3]:
        yield "four cells are wanted: rule, where, test, verdict"
        return
    where, tests = (re.findall(r"`([^`]+)`", cell) for cell in cells[1:3])
    if not (where and tests) and not cells[3].startswith("not built"):
        yield "no file, or no test"
    for name in where:
        if name not in files:
            yield f"no file {name}, or several"
    for test in tests:
        if not test_exists(test, units, peers):
            yield f"no test {test}"


def main():
    files, units, peers = files_by_name(), unit_tests(), integration_tests()
    pages = sorted((ROOT / "docs").glob("conformance-*.md"))
    faults = []
    for page in pages:
        found = list(rows(page))
        faults += [f"docs/{page.name}:{number}: {fault}" for number, cells in found
                   for fault in faults_of(cells, files, units, peers)]
        if len(found) < ROWS_MIN:
            faults.append(f"docs/{page.name}: {len(found)} rows")
    if not pages:
        faults.append("docs: no conformance pages")
    print("\n".join(faults) if faults else f"conformance pages: {len(pages)}, clean")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""Habits that a program can check (docs/architecture.md, "Style").

- a function has at most 70 lines, a file at most 800 (tables and codec loops say why:
  a comment `long function: REASON` or `long file: REASON`);
- file names are unique in the tree;
- malloc and friends appear in base/ only;
- no TODO, FIXME or XXX; no tabs; no trailing blanks;
- every public header starts with a comment that names it.
"""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 800
ALLOCATORS = re.compile(r"\b(malloc|calloc|realloc|strdup|strndup|asprintf)\s*\(")
UNIQUE_EXEMPT = {"CMakeLists.txt", "README.md", "main.c"}


def functions(lines):
    """Yields (first line number, line count, text before) of each top-level function body."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start, number - start + 1
            start = None


def check_file(path):
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    lines = text.splitlines()
    problems = []
    if len(lines) > FILE_LINES_MAX and "long file:" not in text:
        problems.append(f"{name}: {len(lines)} lines, at most {FILE_LINES_MAX}")
    for start, count in functions(lines):
        body = "\n".join(lines[max(0, start - 12):start + count])
        if count > FUNCTION_LINES_MAX and "long function:" not in body:
            problems.append(f"{name}:{start}: function of {count} lines, at most "
                            f"{FUNCTION_LINES_MAX}")
    for number, line in enumerate(lines, 1):
        if line != line.rstrip() or "\t" in line:
            problems.append(f"{name}:{number}: tab or trailing blank")
        if re.search(r"\b(TODO|FIXME|XXX)\b", line):
            problems.append(f"{name}:{number}: {line.strip()}")
        if not name.startswith(("base/", "tests/")) and ALLOCATORS.search(line) and \
                not line.lstrip().startswith(("*", "/*")):
            problems.append(f"{name}:{number}: memory comes from base/mem.h")
    if name.startswith("include/") and not text.startswith(
            f"/* {'/'.join(path.parts[-2:])}:"):
        problems.append(f"{name}: the first line is `/* {'/'.join(path.parts[-2:])}: …`")
    return problems


def main():
    files = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard",
                            "*.c", "*.h"], cwd=ROOT, check=True, capture_output=True,
                           text=True).stdout.split()
    problems = []
    by_name = collections.defaultdict(list)
    for name in files:
        path = ROOT / name
        if not path.exists():
            continue
        by_name[path.name].append(name)
        problems += check_file(path)
    for name, places in sorted(by_name.items()):
        private = [p for p in places if not p.startswith("include/")]
        if len(private) > 1 and name not in UNIQUE_EXEMPT:
            problems.append(f"{name}: stands in {', '.join(private)}")
    print("\n".join(problems) if problems else "style: clean")
    return 1 if problems else 0


sys.exit(main())

"""Holds docs/operations.md and man/*.1 to what the programs say themselves.

usage: check_program_docs.py NARTHEX NARTHEXCTL NARTHEX_EXPORTER TSDB_BENCH

The page names each flag of `narthex --help` with its default, each hidden one of server/flags.c, and
each feature of server/feature_names.c.
A manual page has a line `.B …` for each option or command, letter by letter as in --help.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operations.md"


def help_of(program):
    """Lines of the options or commands in --help, which begin with two blanks."""
    done = subprocess.run([program, "--help"], capture_output=True, text=True, timeout=60)
    lines = re.findall(r"^  (\S.*)$", done.stdout, re.M)
    assert done.returncode == 0 and lines, f"{program} --help: {done.stderr}"
    # tsdb-bench explains an option in the same line.
    return {re.split(r"  +", line)[0] for line in lines}


def flags_of_help(lines):
    """{name: default} of "--a=b" and "--[no-]c"."""
    flags = {}
    for line in lines:
        switch, name, default = re.fullmatch(r"--(\[no-\])?([\w.-]+)=?(.*)", line).groups()
        flags[name] = "false" if switch else "" if default == "VALUE" else default
    return flags


def hidden_flags():
    """({name: default} of those with an effect, names of those without, those that are refused)"""
    text = (ROOT / "server" / "flags.c").read_text()
    entries = re.findall(r'\{"([\w.-]+)",\s*FLAG_(\w+),\s*(?:0|AT\(\w+\)),\s*"([^"]*)",\s*NULL\}', text)
    assert len(entries) > 10
    refused = {name: default for name, kind, default in entries
               if kind == "AGENT" or name == "agent"}
    return ({name: default for name, kind, default in entries
             if kind != "NO_OP" and name not in refused},
            {name: None for name, kind, _ in entries if kind == "NO_OP"}, refused)


def features():
    """Names that only the code has, and that only the page has."""
    code = (ROOT / "server" / "feature_names.c").read_text()
    text = PAGE.read_text()
    text = text[text.index("<!-- features -->"):text.index("Not in `--help`")]
    known = set(re.findall(r'^    \{"([\w-]+)", ', code, re.M))
    assert len(known) > 10
    named = set(re.findall(r"`([\w-]+)`", text)) - {"--config.auto-reload"}
    return [f"docs/operations.md: feature {name} is in one of page and code only"
            for name in sorted(known ^ named)]


def page_flags(marker):
    """{name: default} of the table behind a comment."""
    text = PAGE.read_text()
    table = re.search(rf"<!-- flags {marker} -->\n\n((?:\|.*\n)+)", text)[1]
    rows = re.findall(r"^\| `--([\w.-]+)` \|([^|]*)\|", table, re.M)
    return {name: cell.strip().strip("`") for name, cell in rows}


def compare(where, wanted, found):
    for name in sorted(wanted.keys() - found.keys()):
        yield f"{where}: a line for --{name} is missing"
    for name in sorted(found.keys() - wanted.keys()):
        yield f"{where}: there is no --{name}"
    for name in sorted(wanted.keys() & found.keys()):
        if wanted[name] is not None and wanted[name] != found[name]:
            yield f"{where}: the default of --{name} is {wanted[name]}"


def manual_lines(name):
    text = (ROOT / "man" / f"{name}.1").read_text()
    return {line.replace("\\", "") for line in re.findall(r"^\.B (.*)$", text, re.M)}


def main():
    problems = []
    effective, idle, refused = hidden_flags()
    shown = flags_of_help(help_of(sys.argv[1]))
    problems += compare("docs/operations.md", shown, page_flags("of: narthex"))
    problems += compare("docs/operations.md, hidden flags", effective, page_flags("hidden:"))
    problems += compare("docs/operations.md, flags without effect", idle,
                        page_flags("without effect:"))
    problems += compare("docs/operations.md, flags refused", refused, page_flags("refused:"))
    problems += features()
    for program in sys.argv[1:]:
        name = pathlib.Path(program).name
        wanted, found = help_of(program), manual_lines(name)
        problems += [f"man/{name}.1: missing: .B {line}" for line in sorted(wanted - found)]
        problems += [f"man/{name}.1: not in --help: {line}" for line in sorted(found - wanted)]
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

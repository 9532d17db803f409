"""The reviewed table of where Prometheus 2.42 rightly answers otherwise than 3.14, which Narthex
follows: contract_differences.txt.

    = why the cases below differ
    name of a case
        what: "our answer" => "theirs"

Both answers are written out, so that an entry allows nothing but what was looked at.
"""
import collections
import json
import os

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract_differences.txt")
NOT_REVIEWED = "NOT REVIEWED"
INTRODUCTION = """\
# Where Prometheus 2.42 rightly answers otherwise than 3.14, which Narthex follows. Read and written
# by contract_differences.py; every case was looked at before it was given its reason.
"""
Known = collections.namedtuple("Known", "reason differences")


def parse_difference(line):
    what, _, rest = line.strip().partition(": ")
    ours, end = json.JSONDecoder().raw_decode(rest)
    assert rest[end:end + 4] == " => ", line
    return what, [ours, json.loads(rest[end + 4:])]


def read():
    """{case name: Known}"""
    table, reason = {}, None
    if not os.path.exists(PATH):
        return table
    with open(PATH, encoding="utf-8") as file:
        for line in file.read().split("\n"):
            if line.startswith("= "):
                reason = line[2:]
            elif line.startswith("    "):
                what, answers = parse_difference(line)
                known.differences[what] = answers
            elif line and not line.startswith("#"):
                assert line not in table, f"twice in the table: {line}"
                known = table[line] = Known(reason, {})
    return table


def write(table, found):
    """Keeps the reasons of what is still the same; other cases go to the end, to be looked at."""
    reasons = {}
    for name, differences in found:
        if differences:
            known = table.get(name)
            same = known is not None and known.differences == differences
            reasons.setdefault(known.reason if same else NOT_REVIEWED, []).append(
                (name, differences))
    order = [r for r in dict.fromkeys(known.reason for known in table.values()) if r in reasons]
    order += [r for r in reasons if r not in order]
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(INTRODUCTION)
        for reason in order:
            file.write(f"\n= {reason}\n")
            for name, differences in reasons[reason]:
                file.write(f"{name}\n")
                for what, answers in differences.items():
                    texts = [json.dumps(a, ensure_ascii=False) for a in answers]
                    file.write(f"    {what}: {texts[0]} => {texts[1]}\n")

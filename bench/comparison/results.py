"""Figures of all rounds, and the tables made of them."""
import math
import statistics
import sys

from .measure import FOREIGN_MAX

LIMITS = """Limits: Debian's Prometheus 2.42 and VictoriaMetrics 1.79 are old, Prometheus 3.x is leaner; runs are minutes long;
everything is on loopback without TLS and shares two cores with the driver."""


def number(values):
    return f"{statistics.median(values):.4g}" if values else "–"


def ratio(mine, theirs):
    ratios = [a / b for a, b in zip(mine, theirs) if b > 0]
    if not ratios:
        return "–"
    middle = f"{statistics.median(ratios):.3f}"
    return middle if len(ratios) == 1 else f"{middle} ({min(ratios):.3f}..{max(ratios):.3f})"


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


class Results:
    """Figures per measure and system, round after round."""

    def __init__(self, systems, force):
        self.systems, self.force = systems, force
        self.figures, self.units = {}, {}
        self.foreign, self.notes, self.failed = [], [], []

    def add(self, measure, unit, system, value):
        self.units[measure] = unit
        self.figures.setdefault(measure, {}).setdefault(system, []).append(value)

    def note(self, text):
        """A line below the table."""
        print(text, file=sys.stderr)
        if text not in self.notes:
            self.notes.append(text)

    def fail(self, part, fault):
        self.failed.append(part)
        self.note(f"{part}: FAILED: {fault}")

    def note_foreign(self, share):
        self.foreign.append(share)
        if share > FOREIGN_MAX and not self.force:
            sys.exit(f"compare: other processes used {share:.0%} of the machine during a "
                     f"measurement (at most {FOREIGN_MAX:.0%}); figures would mean nothing. "
                     "Wait for a quiet machine, or --force.")

    def rows(self):
        """Lists of cells: measure, unit, ours, then figure and ratio of every peer."""
        for measure, figures in self.figures.items():
            mine = figures.get(self.systems[0].name, [])
            row = [measure, self.units[measure], number(mine)]
            for peer in self.systems[1:]:
                theirs = figures.get(peer.name, [])
                row += [number(theirs), ratio(mine, theirs)]
            yield row

    def header(self):
        cells = ["measure", "unit", self.systems[0].name]
        for peer in self.systems[1:]:
            cells += [peer.name, "ours ÷ theirs"]
        return cells

    def footer(self):
        lines = [system.version for system in self.systems]
        if self.foreign:
            worst = max(self.foreign)
            lines.append(f"other processes' share of the machine: median "
                         f"{statistics.median(self.foreign):.0%}, at most {worst:.0%}"
                         + (" — TOO MUCH, forced" if worst > FOREIGN_MAX else ""))
        return lines + self.notes + [LIMITS]

    def text(self):
        table = [self.header(), *self.rows()]
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = ["  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in
                                                        zip(row[1:], widths[1:])])
                 for row in table]
        return "\n".join(lines + [""] + self.footer())

    def markdown(self):
        header = self.header()
        lines = ["| " + " | ".join(header) + " |", "|---|---|" + "---:|" * (len(header) - 2)]
        lines += ["| " + " | ".join(row) + " |" for row in self.rows()]
        return "\n".join(lines + [""] + [f"{line}  " for line in self.footer()]) + "\n"

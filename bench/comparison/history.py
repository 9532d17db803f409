"""The same past in every system: data sets by name, kept between runs; what they take on disk."""
import json
import os
import shutil
import subprocess
import sys

from . import load
from .systems import EMPTY_CONFIG

# Block boundaries of two hours, so that an import is cut alike everywhere. The first row lies two
# thirds of a step behind, so that whole minutes, where subqueries are evaluated, lie a third of a step
# behind a row: there Prometheus 2.42 and 3.14 see the same samples.
START_MS = 1_700_006_400_000
BLOCK_MS = 2 * 3600 * 1000


class Dataset:
    """`rows` rows of `series` series every step_ms; source: "corpus", "node" or "shape:NAME"."""

    def __init__(self, name, source, series, rows, step_ms):
        self.name, self.source, self.series = name, source, series
        self.rows, self.step_ms = rows, step_ms
        self.start_s = START_MS / 1000
        self.end_s = (START_MS + rows * step_ms) / 1000

    def key(self, system):
        program = os.stat(system.importer or system.program)
        return [self.source, self.series, self.rows, self.step_ms, "two thirds", system.version,
                program.st_size]

    def _source(self, options):
        if self.source == "corpus":
            return load.corpus_folder(options)
        return load.node_folder(options) if self.source == "node" else self.source

    def pieces(self, options, folder, samples):
        """A function that writes one text per block and yields its path."""
        def make(unit):
            rows_per_block = BLOCK_MS // self.step_ms
            for first in range(0, self.rows, rows_per_block):
                path = os.path.join(folder, f"piece.{unit}")
                with open(path, "wb") as file:
                    done = subprocess.run(
                        [options.history, self._source(options), str(self.series), str(self.rows),
                         str(first), str(min(rows_per_block, self.rows - first)),
                         str(self.step_ms), str(START_MS + self.step_ms * 2 // 3), unit],
                        stdout=file, stderr=subprocess.PIPE, text=True, check=True)
                samples.append(int(done.stderr.split()[2]))
                yield path
                os.unlink(path)
        return make

    def prepare(self, options, system):
        """The folder with the data, filled if it is not there; (folder, facts)."""
        folder = os.path.join(options.work, "data", self.name, system.name)
        stamp = os.path.join(folder, "stamp.json")
        try:
            with open(stamp) as file:
                facts = json.load(file)
            if facts["key"] == self.key(system):
                return folder, facts
        except (OSError, ValueError, KeyError):
            pass
        print(f"{self.name}: filling {system.name}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        samples = []
        system.fill(folder, self.pieces(options, folder, samples))
        with open(os.path.join(folder, "config.yml"), "w") as file:
            file.write(EMPTY_CONFIG)
        facts = {"key": self.key(system), "samples": sum(samples), "parts": system.parts(folder)}
        with open(stamp, "w") as file:
            json.dump(facts, file)
        return folder, facts


def run_disk(options, results):
    """Three hours of the recorded exporters at 5 s and at 15 s, imported, whole and by part."""
    for name, copies, rows, step_ms in (("3 h at 5 s", 1, 2160, 5000), ("3 h at 15 s", 3, 720, 15000)):
        dataset = Dataset(name.replace(" ", "-"), "corpus", 7000 * copies, rows, step_ms)
        for system in results.systems:
            _, facts = dataset.prepare(options, system)
            for part, size in facts["parts"].items():
                label = {"whole": "disk", "index": "disk: of it index",
                         "log": "disk: of it logs and caches"}
                results.add(f"{label[part]}, {name}", "B/sample", system.name,
                            size / facts["samples"])


def run_index(options, results):
    """Labels and index of one block: two hours of the recorded exporters at 15 s."""
    dataset = Dataset("2-h-at-15-s", "corpus", 7000, 480, 15000)
    for system in results.systems:
        _, facts = dataset.prepare(options, system)
        results.add("labels and index of one block", "kB", system.name,
                    facts["parts"]["index"] / 1000)

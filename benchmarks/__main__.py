"""``python -m benchmarks NAME``: measure against named peers, in one run on one machine.

Figures are merged into ``--json FILE`` as one flat object with dotted names.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.export import measure_export
from benchmarks.recorder import measure_recorder
from benchmarks.verify import measure_verify


@dataclass(frozen=True)
class Benchmark:
    """What measures, and over how many cameras and seconds if nobody says."""

    measure: Callable[[int, int], dict[str, float]]
    cameras: int
    seconds: int


BENCHMARKS = {
    "recorder": Benchmark(measure_recorder, 10, 30),
    "verify": Benchmark(measure_verify, 4, 240),
    "export": Benchmark(measure_export, 4, 240),
}


def main() -> None:
    """Run one benchmark, print its table, merge its figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--cameras", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    chosen = BENCHMARKS[given.name]
    figures = chosen.measure(given.cameras or chosen.cameras, given.seconds or chosen.seconds)
    table = Table("figure", "value", title=given.name)
    for name, value in figures.items():
        table.add_row(name, f"{value:.4f}")
    Console().print(table)
    if given.json is not None:
        merge(given.json, figures)


def merge(path: Path, figures: dict[str, float]) -> None:
    """Write the figures among those that are there; an absent or empty file counts as ``{}``."""
    text = path.read_text() if path.exists() else ""
    path.write_text(json.dumps({**json.loads(text or "{}"), **figures}, indent=1, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main())

"""``python -m benchmarks NAME``: measure against named peers or bars, in one run on one machine.

Figures are merged into ``--json FILE`` as one flat object with dotted names. ``NAME.load`` is what
the machine had to do before it began, as a load average of one minute.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Benchmark:
    """The options that it takes, with what they are if nobody says. ``benchmarks.NAME`` has the
    function ``measure_NAME``, which takes them in this order."""

    options: dict[str, int]


BENCHMARKS = {
    "recorder": Benchmark({"cameras": 10, "seconds": 30}),
    "live": Benchmark({"cameras": 9, "seconds": 20}),
    "replay": Benchmark({"cameras": 6, "seconds": 600}),
    "index": Benchmark({"rows": 5_000_000}),
    "verify": Benchmark({"cameras": 4, "seconds": 240}),
    "export": Benchmark({"cameras": 4, "seconds": 240}),
    "ledger": Benchmark({"rows": 20_000}),
    "soak": Benchmark({"cameras": 10, "seconds": 170}),
    "fuzz": Benchmark({"minutes": 60, "seed": 0}),
    "kill": Benchmark({"kills": 300, "cameras": 12, "seed": 0}),
}


def main() -> None:
    """Run one benchmark, print its table, merge its figures."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--cameras", type=int)
    parser.add_argument("--seconds", type=int)
    parser.add_argument("--minutes", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--json", type=Path)
    given = vars(parser.parse_args())
    name = given["name"]
    load = os.getloadavg()[0]
    figures = {**_measure(name, given), f"{name}.load": load}
    table = Table("figure", "value", title=name)
    for figure, value in figures.items():
        table.add_row(figure, f"{value:.4f}")
    Console().print(table)
    if given["json"] is not None:
        merge(given["json"], figures)


def _measure(name: str, given: dict[str, int | None]) -> dict[str, float]:
    # Loaded by name: those that drive a browser need packages that the others do not.
    measure: Callable[..., dict[str, float]] = getattr(
        import_module(f"benchmarks.{name}"), f"measure_{name}"
    )
    options = BENCHMARKS[name].options
    return measure(*(given[option] or usual for option, usual in options.items()))


def merge(path: Path, figures: dict[str, float]) -> None:
    """Write the figures among those that are there; an absent or empty file counts as ``{}``."""
    text = path.read_text() if path.exists() else ""
    path.write_text(json.dumps({**json.loads(text or "{}"), **figures}, indent=1, sort_keys=True))


if __name__ == "__main__":
    sys.exit(main())

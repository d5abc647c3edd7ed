"""The API asked everything its own OpenAPI document allows, and much that it does not, for minutes.

Each round has a new site and another seed: schemathesis's cases of every operation, allowed and
forbidden ones, and then what breaks out elsewhere in paths, queries, bodies and tokens.
``fuzz.problems`` must be 0: server errors (a 503 by a camera that does not answer is none), answers
that the document does not name or that have another form, traces, and files of the machine. Each
is printed once for an operation.
"""

import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from support.clock import FakeClock
from support.fuzzing import Findings, fuzz, fuzz_paths, fuzzed_target

CASES, PATHS = 8, 1500
MINUTE = 60


def measure_fuzz(minutes: int, seed: int) -> dict[str, float]:
    """Fuzz for so long, a round at least; give the figures and print what was wrong."""
    findings = Findings()
    console = Console()
    begun = time.monotonic()
    rounds = 0
    while rounds == 0 or time.monotonic() - begun < minutes * MINUTE:
        with (
            tempfile.TemporaryDirectory(prefix="bidwitness-fuzz-") as folder,
            fuzzed_target(Path(folder), FakeClock()) as target,
        ):
            fuzz(target, findings, cases=CASES, seed=seed + rounds)
            fuzz_paths(target, findings, cases=PATHS, seed=seed + rounds)
        rounds += 1
        console.print(f"round {rounds}: {findings.asked} requests, {len(findings.wrong)} problems")
    for line in findings.listed():
        console.print(line, markup=False)
    return {
        "fuzz.minutes": (time.monotonic() - begun) / MINUTE,
        "fuzz.rounds": float(rounds),
        "fuzz.operations": float(findings.operations),
        "fuzz.requests": float(findings.asked),
        "fuzz.problems": float(len(findings.wrong)),
        **_by_kind(findings.statuses),
    }


def _by_kind(statuses: Counter[int]) -> dict[str, float]:
    kinds = Counter[int]()
    for status, count in statuses.items():
        kinds[status // 100] += count
    return {f"fuzz.answers_{kind}xx": float(count) for kind, count in sorted(kinds.items())}

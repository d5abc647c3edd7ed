"""Commitments in the log that no row of the index answers to: which rows they were. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from bidwitness.storage.trail.findings import Finding
from bidwitness.words import TrailFault


@dataclass(frozen=True, slots=True)
class Stray:
    """A commitment whose place the index does not know, or knows as another's."""

    shard: str
    place: int
    commitment: str


@dataclass(slots=True)
class Run:
    """Strays with nothing known between them, and the newest rows before and the first after
    them: table to number."""

    before: Mapping[str, int]
    after_us: int | None
    strays: list[Stray] = field(default_factory=list)
    after: dict[str, int] = field(default_factory=dict)
    before_us: int | None = None


class Runs:
    """Is told of what the log holds, place by place, and remembers where something is missing."""

    def __init__(self) -> None:
        self.all: list[Run] = []
        self._open: Run | None = None
        self._newest: dict[str, int] = {}
        self._newest_us: int | None = None

    def stray(self, stray: Stray) -> None:
        """No row stands at this place."""
        if self._open is None:
            self._open = Run(dict(self._newest), self._newest_us)
            self.all.append(self._open)
        self._open.strays.append(stray)

    def known(self, table: str, number: int, at_us: int) -> None:
        """A row stands at this place."""
        if self._open is not None:
            self._open.before_us = at_us
            self._open = None
        for run in reversed(self.all):
            if table in run.after:
                break
            run.after[table] = number
        self._newest[table] = max(self._newest.get(table, 0), number)
        self._newest_us = at_us


def name_run(
    run: Run,
    is_explained: Callable[[Stray], bool],
    stated: Callable[[Stray], str | None],
    tables: tuple[str, ...],
) -> Iterator[Finding]:
    """Say which rows are gone, if any are.

    As many numbers as are missing around the place were removed. Fewer mean that they were given
    again: then the whole table, or its end, went back. ``stated``: why, if somebody said so.
    """
    left = [stray for stray in run.strays if not is_explained(stray)]
    if not left:
        return
    holes = {
        table: (run.before.get(table, 0) + 1, run.after[table] - 1)
        for table in tables
        if table in run.after and run.after[table] - 1 > run.before.get(table, 0)
    }
    room = sum(last - first + 1 for first, last in holes.values())
    if run.after and room >= len(left):
        for table, (first, last) in holes.items():
            yield _finding(TrailFault.REMOVED, run, left, table, first, last)
        return
    for _, group in groupby(left, lambda stray: stray.shard):
        strays = list(group)
        why = stated(strays[-1])
        fault = TrailFault.SET_BACK if why is None else TrailFault.STATED
        yield _finding(fault, run, strays, why=why or "")


def _finding(
    fault: TrailFault,
    run: Run,
    strays: Sequence[Stray],
    table: str = "",
    first: int | None = None,
    last: int | None = None,
    why: str = "",
) -> Finding:
    return Finding(
        fault,
        table=table,
        first=first,
        last=last,
        shard=strays[0].shard,
        first_place=strays[0].place,
        last_place=strays[-1].place,
        rows=len(strays),
        after_us=run.after_us,
        before_us=run.before_us,
        why=why,
    )

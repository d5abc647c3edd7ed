"""What a check finds: one line each, in words for people."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from bidwitness.errors import DamageFound


class Part(StrEnum):
    """What can be checked."""

    STORE = "store"
    INDEX = "index"
    LEDGER = "ledger"
    AUDIT = "audit"
    ALL = "all"


class Fault(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    DIFFERS = "differs"
    UNREADABLE = "unreadable"
    UNKNOWN = "unknown"
    SURPLUS = "surplus"
    HIDDEN = "hidden"
    CHAIN = "chain"
    INSERTED = "inserted"


@dataclass(frozen=True, slots=True)
class Problem:
    """``subject`` is a key, a path or the place of a record."""

    fault: Fault
    subject: str
    detail: str

    # What nobody knows of, or stands before it, does no harm to what is known.
    @property
    def is_damage(self) -> bool:
        return self.fault not in (Fault.UNKNOWN, Fault.SURPLUS, Fault.HIDDEN)

    def __str__(self) -> str:
        return f"{self.fault:<10} {self.subject}: {self.detail}"


@dataclass
class Tally:
    """Counts what passed by, and what was wrong with it."""

    looked_at: int = 0
    damaged: int = 0
    unknown: int = 0

    def of(self, found: Iterable[Problem | None]) -> Iterator[Problem]:
        """Give only the problems; nothing stands for something that is as it should be."""
        for problem in found:
            self.looked_at += 1
            if problem is None:
                continue
            if problem.is_damage:
                self.damaged += 1
            else:
                self.unknown += 1
            yield problem

    def __str__(self) -> str:
        return f"{self.looked_at} looked at, {self.damaged} damaged, {self.unknown} unknown"

    def judge(self) -> None:
        """Raise ``DamageFound`` if anything was damaged."""
        if self.damaged:
            raise DamageFound(f"The check found damage: {self}.")

"""What the walk finds: rows named by their numbers, and by their places in the log. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.records import utc_text
from bidwitness.storage.trail.tables import TABLES
from bidwitness.words import TrailFault


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows ``first`` to ``last`` of a table, or what stood at the places of a shard, and what is
    wrong with them.

    ``rows``: how many there were at those places, between entries of other kinds; ``other``: what a row that was exchanged was entered as. ``after_us``, ``before_us``:
    within which times they were entered, as far as the rows around them tell. ``why``: more, in words.
    """

    fault: TrailFault
    table: str = ""
    first: int | None = None
    last: int | None = None
    shard: str | None = None
    first_place: int | None = None
    last_place: int | None = None
    rows: int | None = None
    other: int | None = None
    after_us: int | None = None
    before_us: int | None = None
    why: str = ""

    @property
    def count(self) -> int:
        """How many rows, or entries of the log, it is about."""
        if self.rows is not None:
            return self.rows
        if self.first is not None and self.last is not None:
            return self.last - self.first + 1
        return 1

    def to_json(self) -> dict[str, JsonValue]:
        """Give it as it is kept and told."""
        return {
            "fault": self.fault.value,
            "table": self.table,
            "first": self.first,
            "last": self.last,
            "shard": self.shard,
            "first_place": self.first_place,
            "last_place": self.last_place,
            "rows": self.count,
            "other": self.other,
            "after_us": self.after_us,
            "before_us": self.before_us,
            "why": self.why,
        }


def finding_of(kept: Mapping[str, Any]) -> Finding:
    """Read what ``to_json`` gave."""
    return Finding(**{**kept, "fault": TrailFault(kept["fault"])})


def merged(found: Iterable[Finding]) -> list[Finding]:
    """Join findings of one kind about neighbouring rows; in the order of kind, table and number."""
    out: list[Finding] = []
    for item in sorted(found, key=_order):
        last = out[-1] if out else None
        if last is not None and _follows(last, item):
            out[-1] = replace(
                last,
                last=item.last,
                last_place=item.last_place,
                rows=last.count + item.count,
                before_us=item.before_us,
            )
        else:
            out.append(item)
    return out


def _order(item: Finding) -> tuple[str, str, int, str, int]:
    return (item.fault, item.table, item.first or 0, item.shard or "", item.first_place or 0)


def _follows(one: Finding, other: Finding) -> bool:
    alike = (one.fault, one.table, one.shard, one.why) == (
        *(other.fault, other.table, other.shard, other.why),
    )
    if not alike or one.other is not None or other.other is not None:
        return False
    if one.last is None or other.first != one.last + 1:
        return False
    if one.last_place is None or other.first_place is None:
        return one.last_place is other.first_place
    return other.first_place > one.last_place


def subject_of(item: Finding) -> str:
    """Say in English what it is about: rows by their numbers, else places of the log."""
    name = next((table.en for table in TABLES if table.name == item.table), item.table)
    where = _span(item.first_place, item.last_place)
    if item.first is not None:
        return f"{name} {_span(item.first, item.last)}"
    if item.first_place is not None:
        return f"log {item.shard} entry {where}"
    return f"log {item.shard}" if item.shard else name


def subject_zh(item: Finding) -> str:
    """Say the same in Chinese."""
    name = next((table.zh for table in TABLES if table.name == item.table), item.table)
    if item.first is not None:
        return f"{name} {_span(item.first, item.last)} 号"
    if item.first_place is not None:
        return f"账本 {item.shard} 第 {_span(item.first_place, item.last_place)} 条"
    return f"账本 {item.shard}" if item.shard else name


def detail_of(item: Finding) -> str:
    """Say in English what is wrong."""
    where = f"log {item.shard} entry {_span(item.first_place, item.last_place)}"
    when = _between(item)
    texts = {
        TrailFault.EDITED: f"edited: not what was committed to ({where})"
        if item.first_place is not None
        else "edited before it was logged",
        TrailFault.REMOVED: f"removed{when}: committed to ({where}), and not in the index"
        if item.first_place is not None
        else "removed before it was logged",
        TrailFault.INSERTED: f"inserted: {item.why}",
        TrailFault.REORDERED: f"reordered: {item.why}"
        if item.other is None
        else f"reordered: it bears what was entered as {item.other}",
        TrailFault.SET_BACK: f"{item.count} rows committed to{when} are gone and their numbers are "
        "free or given anew: an older index was put in place, or the newest rows were removed",
        TrailFault.STATED: f"{item.count} of what was committed to{when} is not here, and why was "
        f"said: {item.why}",
        TrailFault.LOG: item.why,
        TrailFault.WAITING: "is not in the log",
    }
    return texts[item.fault]


def detail_zh(item: Finding) -> str:
    """Say the same in Chinese."""
    said = f"：{item.fault.zh}"
    if item.fault is TrailFault.REORDERED and item.other is not None:
        said = f"：{item.fault.zh}，内容原为 {item.other} 号"
    elif item.fault in (TrailFault.SET_BACK, TrailFault.STATED):
        said = f"：{item.fault.zh}，缺 {item.count} 条"
    return subject_zh(item) + said


def _between(item: Finding) -> str:
    since = "" if item.after_us is None else f" from {utc_text(item.after_us)}"
    until = "" if item.before_us is None else f" to {utc_text(item.before_us)}"
    return since + until


def _span(first: int | None, last: int | None) -> str:
    return str(first) if last is None or first == last else f"{first}-{last}"

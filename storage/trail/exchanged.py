"""Rows that are not what was committed to: did one take another's place, or was it edited? Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bidwitness.storage.evidence.canonical import BadRecord, JsonValue
from bidwitness.storage.evidence.entries import audit_commitment
from bidwitness.storage.trail.findings import Finding
from bidwitness.words import TrailFault

# Each is tried against so many on both sides: two of a million rows need not be compared with all.
NEAR = 150


@dataclass(frozen=True, slots=True)
class Wrong:
    """A row whose content is not what the log has at its place. ``own``: what it would be now."""

    table: str
    number: int
    event: Mapping[str, JsonValue]
    salt: bytes
    shard: str
    place: int
    logged: str | None
    own: str | None


def salted(salt: bytes, event: Mapping[str, JsonValue]) -> str | None:
    """Commit to a row; nothing if it says what no row of ours can say."""
    try:
        return audit_commitment(salt, dict(event))
    except BadRecord:
        return None


def name_wrong(found: Sequence[Wrong], elsewhere: Mapping[str, int]) -> Iterator[Finding]:
    """Say of each what it is. ``elsewhere``: commitments that stand at other places of the log."""
    for at, item in enumerate(found):
        place = elsewhere.get(item.own or "")
        if place is not None:
            why = f"the index says that it stands at {item.place}, and it stands at {place}"
            yield _finding(TrailFault.REORDERED, item, None, why)
            continue
        near = found[max(0, at - NEAR) : at + NEAR + 1]
        other = next((one.number for one in near if _bears(item, one)), None)
        fault = TrailFault.EDITED if other is None else TrailFault.REORDERED
        yield _finding(fault, item, other)


def _bears(item: Wrong, other: Wrong) -> bool:
    """Say whether a row has the content that was entered under another's number."""
    if item.table != other.table or item.number == other.number:
        return False
    moved = {**item.event, "id": other.number}
    tries = ((other.salt, other.logged), (item.salt, item.logged))
    return any(logged is not None and salted(salt, moved) == logged for salt, logged in tries)


def _finding(fault: TrailFault, item: Wrong, other: int | None, why: str = "") -> Finding:
    return Finding(
        fault,
        table=item.table,
        first=item.number,
        last=item.number,
        shard=item.shard,
        first_place=item.place,
        last_place=item.place,
        other=other,
        why=why,
    )

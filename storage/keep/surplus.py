"""The walk over the store: every version is listed once a day, and what the index does not name is
registered, tried, and alarmed.

A step is one page of the listing at a set rate. How far the walk has come stands in the index, so
a restart goes on where it was, and no step needs more memory than its page.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import Conflict, NotFound
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Garbage, StoreWalk, SurplusVersion
from bidwitness.storage.store import Page, Place, Store
from bidwitness.storage.surplus import PREFIXES, Surplus, is_copy, is_readable, surplus_in
from bidwitness.words import SurplusKind

log = logging.getLogger(__name__)

EVERY_US = 86_400_000_000
# What is found is read again; whoever makes a million versions must not stop the walk.
PROOFS = 8
ALARM, SUBJECT = "store_surplus", "store"


@dataclass(frozen=True, slots=True)
class _Step:
    """Where a walk stands, taken out of its row."""

    walk_id: int
    begun_us: int
    prefix: int
    after: Place | None


class SurplusWalk:
    """Walks over the store, ``rate`` versions a step."""

    def __init__(self, database: Database, store: Store, clock: Clock, *, rate: int = 500) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._rate = rate

    def walk_some(self) -> int:
        """Take one step; give how many versions were listed. None while no walk is due.

        Raises ``StoreError`` if the store does not answer: the walk goes on from there.
        """
        step = self._next()
        if step is None:
            return 0
        page = self._store.versions(PREFIXES[step.prefix], step.after, self._rate)
        now = self._clock.utc_us()
        with self._database.read() as orm:
            found = surplus_in(orm, page.listed, now)
            tried = _tried(orm, found)
        proofs = self._prove(found, tried)
        with self._database.write() as orm:
            for item in found:
                _register(orm, item, proofs, now)
            ended = _advance(orm, step, page, now)
            if found or ended:
                judge_surplus(orm, now)
        return len(page.listed)

    def _next(self) -> _Step | None:
        """Give the walk that is under way, or begin the next if it is due."""
        query = select(StoreWalk).order_by(StoreWalk.id.desc()).limit(1)
        with self._database.read() as orm:
            last = orm.scalars(query).first()
        now = self._clock.utc_us()
        if last is not None and last.ended_us is not None and now - last.begun_us < EVERY_US:
            return None
        if last is None or last.ended_us is not None:
            last = StoreWalk(begun_us=now, key="", version="", prefix=0, looked_at=0)
            with self._database.write() as orm:
                orm.add(last)
                orm.flush()
        after = Place(last.key, last.version) if last.key else None
        return _Step(last.id, last.begun_us, last.prefix, after)

    def _prove(
        self, found: Sequence[Surplus], tried: set[tuple[str, str]]
    ) -> dict[tuple[str, str], bool]:
        """Read what can be told by reading: copies, and what is hidden; each once."""
        proofs: dict[tuple[str, str], bool] = {}
        for item in found:
            here = (item.listed.key, item.listed.version)
            if here in tried or len(proofs) == PROOFS:
                continue
            if item.kind is SurplusKind.EXTRA:
                proofs[here] = is_copy(self._store, item)
            elif item.kind is SurplusKind.MARKER and item.hides:
                proofs[here] = is_readable(self._store, item)
        return proofs


def _tried(orm: Orm, found: Sequence[Surplus]) -> set[tuple[str, str]]:
    """Give what need not be read again."""
    rows = [_row(orm, item) for item in found]
    return {
        (row.store_key, row.store_version)
        for row in rows
        if row is not None and (row.same is not None or row.readable is not None)
    }


def _row(orm: Orm, item: Surplus) -> SurplusVersion | None:
    query = select(SurplusVersion).where(
        SurplusVersion.store_key == item.listed.key,
        SurplusVersion.store_version == item.listed.version,
    )
    return orm.scalars(query).first()


def _register(orm: Orm, item: Surplus, proofs: dict[tuple[str, str], bool], now_us: int) -> None:
    listed = item.listed
    row = _row(orm, item)
    if row is None:
        row = SurplusVersion(
            store_key=listed.key,
            store_version=listed.version,
            bytes=listed.size,
            changed_us=listed.changed_us,
            found_us=now_us,
        )
        orm.add(row)
        facts = {"key": listed.key, "version": listed.version, "kind": str(item.kind)}
        log.warning("the store holds what the index does not name", extra={"facts": facts})
    elif row.gone_us is not None:
        # Whoever accepted it, accepted that it was there, not that it comes again.
        row.gone_us = row.accepted_us = row.accepted_by = row.accepted_reason = None
    row.kind, row.hides, row.seen_us = item.kind, item.hides, now_us
    proof = proofs.get((listed.key, listed.version))
    if proof is not None and item.kind is SurplusKind.EXTRA:
        row.same = proof
    elif proof is not None:
        row.readable = proof
    if item.kind is SurplusKind.LEFTOVER:
        # The footage has been removed by the book: every copy of it has to go as well.
        orm.add(
            Garbage(
                store_key=listed.key,
                store_version=listed.version,
                reason="a surplus version of footage that was removed",
                at_us=now_us,
            )
        )


def _advance(orm: Orm, step: _Step, page: Page, now_us: int) -> bool:
    """Note how far the walk has come; say whether it has ended."""
    walk = orm.get_one(StoreWalk, step.walk_id, with_for_update=True)
    walk.looked_at += len(page.listed)
    if page.more is not None:
        walk.key, walk.version = page.more.key, page.more.version
        return False
    walk.prefix, walk.key, walk.version = step.prefix + 1, "", ""
    if walk.prefix < len(PREFIXES):
        return False
    walk.ended_us = now_us
    orm.execute(
        update(SurplusVersion)
        .where(SurplusVersion.gone_us.is_(None), SurplusVersion.seen_us < step.begun_us)
        .values(gone_us=now_us)
    )
    return True


def judge_surplus(orm: Orm, now_us: int) -> None:
    """Raise the alarm while something is there that nobody has accounted for; else clear it.

    What was left of removed footage is on its way out by a garbage row, and needs nobody.
    """
    orm.flush()
    counts = open_surplus(orm)
    if not counts:
        clear_alarm(orm, ALARM, SUBJECT, now_us)
        return
    first = orm.scalars(
        select(SurplusVersion).where(*_open()).order_by(SurplusVersion.id).limit(1)
    ).one()
    said = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
    raise_alarm(
        orm,
        ALARM,
        SUBJECT,
        now_us,
        cause=f"The store holds what the index does not name: {said}. First: {first.store_key} "
        f"version {first.store_version}. What is named is read by its version all the same.",
        facts=counts,
    )


def open_surplus(orm: Orm) -> dict[str, int]:
    """Count, by kind, what is there and nobody has accounted for; ``hidden``: how many of the
    markers hide something that is kept."""
    query = select(SurplusVersion.kind, func.count()).where(*_open()).group_by(SurplusVersion.kind)
    counts = {str(kind): number for kind, number in orm.execute(query)}
    hidden = orm.scalar(
        select(func.count())
        .select_from(SurplusVersion)
        .where(*_open(), SurplusVersion.hides, SurplusVersion.kind == SurplusKind.MARKER)
    )
    return {**counts, "hidden": hidden} if hidden else counts


def last_walk(orm: Orm) -> StoreWalk | None:
    """Give the newest walk that has come to its end."""
    query = select(StoreWalk).where(StoreWalk.ended_us.is_not(None))
    return orm.scalars(query.order_by(StoreWalk.id.desc()).limit(1)).first()


def _open() -> tuple[ColumnElement[bool], ...]:
    return (
        SurplusVersion.gone_us.is_(None),
        SurplusVersion.accepted_us.is_(None),
        SurplusVersion.kind != SurplusKind.LEFTOVER,
    )


def accept_surplus(orm: Orm, who: Who, now_us: int, surplus_id: int, reason: str) -> SurplusVersion:
    """Note that somebody has looked into a surplus version, and what it is. It stays where it is.

    Raises ``NotFound``, and ``Conflict`` if it is not there any more. Call inside
    ``Database.write``.
    """
    row = orm.get(SurplusVersion, surplus_id, with_for_update=True)
    if row is None:
        raise NotFound("There is no such version.")
    if row.gone_us is not None:
        raise Conflict("This version is not in the store any more.")
    row.accepted_us, row.accepted_by, row.accepted_reason = now_us, who.name, reason
    facts = {"key": row.store_key, "version": row.store_version, "kind": str(row.kind)}
    leave_audit_entry(orm, who, "store.surplus_accept", SUBJECT, now_us, reason=reason, facts=facts)
    judge_surplus(orm, now_us)
    return row

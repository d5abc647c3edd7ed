"""What this installation is, and whether it is well."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy import select

from bidwitness import __version__
from bidwitness.api.deps import Me, ThePartsOf, TheSettings
from bidwitness.api.paging import newest_first, split_page
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    MAX_US,
    Answer,
    Body,
    CursorQuery,
    LimitQuery,
    Text,
)
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.models import SurplusVersion
from bidwitness.storage.keep.lock_rounds import ALARM as LOCK_ALARM
from bidwitness.storage.keep.lock_rounds import SUBJECT as LOCK_SUBJECT
from bidwitness.storage.keep.scrub import last_round, open_faults
from bidwitness.storage.keep.surplus import accept_surplus, last_walk, open_surplus
from bidwitness.storage.measures import late_locks, newest_lock_test
from bidwitness.words import LockLevel, ScrubKind, SurplusKind

router = APIRouter(tags=["system"])

# No database counts further, and none takes such a number.
NumberPath = Annotated[int, Path(ge=1, le=MAX_US)]


class SystemAnswer(Answer):
    name: str
    version: str
    undo_seconds: int
    demo: bool
    # What the OpenID provider is called that one may sign in with; empty: there is none.
    oidc: str | None


@router.get("/system")
def system(settings: TheSettings) -> SystemAnswer:
    """What the pages need before anybody has signed in."""
    return SystemAnswer(
        name=settings.name,
        version=__version__,
        undo_seconds=settings.undo_seconds,
        demo=settings.demo,
        oidc=settings.oidc_name if settings.oidc_issuer else None,
    )


class LockStep(Answer):
    step: str
    ok: bool
    said: str


class StoreAnswer(Answer):
    """What the newest lock self-test found; nothing before the first has ended."""

    # Who refuses to remove what is locked.
    level: LockLevel | None
    passed: bool | None
    tested_at: int | None
    findings: list[LockStep]
    # Whether a store whose locks do not hold is used all the same.
    accepted: bool
    # Stored objects whose lock should have been looked at an hour ago.
    late: int
    # Since when the alarm stands that locks cannot be made what they must be.
    locks_failed_at: int | None
    # What the store holds and nobody has accounted for, by kind; when it was last listed to its end.
    surplus: dict[str, int]
    walked_at: int | None
    # How many objects are gone or changed and could not be put right; and before when all were
    # stored that have been asked for again, and whose bytes have been read again.
    faults: int
    present_at: int | None
    read_at: int | None


@router.get("/system/store")
def store(user: Me, parts: ThePartsOf) -> StoreAnswer:
    """Whether the store itself forbids the removal of what it must keep, and how that is known."""
    with parts.database.read() as orm:
        test = newest_lock_test(orm)
        late = late_locks(orm, parts.clock.utc_us())
        failed = open_alarm(orm, LOCK_ALARM, LOCK_SUBJECT)
        surplus, walk = open_surplus(orm), last_walk(orm)
        faults = open_faults(orm)
        present, read = last_round(orm, ScrubKind.PRESENCE), last_round(orm, ScrubKind.BYTES)
    return StoreAnswer(
        level=test.level if test else None,
        passed=test.passed if test else None,
        tested_at=test.at_us if test else None,
        findings=[LockStep.model_validate(finding) for finding in test.findings] if test else [],
        accepted=parts.settings.accept_unlocked_store,
        late=late,
        locks_failed_at=failed.raised_us if failed else None,
        surplus=surplus,
        walked_at=walk.ended_us if walk else None,
        faults=faults,
        present_at=present.begun_us if present else None,
        read_at=read.begun_us if read else None,
    )


class SurplusAnswer(Answer):
    """A version that the index does not name. ``same``: it has the bytes of what is named;
    ``readable``: what it hides can be read by its version and is what was kept."""

    id: int
    key: str
    version: str
    kind: SurplusKind
    bytes: int
    changed_at: int | None
    hides: bool
    same: bool | None
    readable: bool | None
    found_at: int
    gone_at: int | None
    accepted_at: int | None
    accepted_by: str | None
    accepted_reason: str | None


class SurplusPage(Answer):
    items: list[SurplusAnswer]
    next_cursor: str | None


class Acceptance(Body):
    reason: Text


@router.get("/system/store/surplus")
def surplus_versions(
    user: Me,
    parts: ThePartsOf,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> SurplusPage:
    """What was ever found in the store and is not named by the index, newest first."""
    query = newest_first(
        select(SurplusVersion), SurplusVersion.found_us, SurplusVersion.id, cursor, limit
    )
    with parts.database.read() as orm:
        rows, more = split_page(orm.scalars(query).all(), "found_us", "id", limit)
        return SurplusPage(items=[_surplus(row) for row in rows], next_cursor=more)


@router.post("/system/store/surplus/{surplus_id}/accept")
def accept(surplus_id: NumberPath, body: Acceptance, user: Me, parts: ThePartsOf) -> SurplusAnswer:
    """Say that one has looked into it, and what it is. It stays where it is."""
    with parts.database.write() as orm:
        now = parts.clock.utc_us()
        return _surplus(accept_surplus(orm, user.who, now, surplus_id, body.reason))


def _surplus(row: SurplusVersion) -> SurplusAnswer:
    return SurplusAnswer(
        id=row.id,
        key=row.store_key,
        version=row.store_version,
        kind=row.kind,
        bytes=row.bytes,
        changed_at=row.changed_us,
        hides=row.hides,
        same=row.same,
        readable=row.readable,
        found_at=row.found_us,
        gone_at=row.gone_us,
        accepted_at=row.accepted_us,
        accepted_by=row.accepted_by,
        accepted_reason=row.accepted_reason,
    )

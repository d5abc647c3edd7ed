"""For how long footage has to be kept, read from the index."""

from collections.abc import Iterable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.periods import DAY_US, LotPeriod, Policy, kept_until, loop_days_of
from bidwitness.storage.index.models import (
    Camera,
    Item,
    Lot,
    Project,
    RetentionPolicy,
    Room,
    Session,
    Stream,
)
from bidwitness.storage.index.policies import default_loop_days
from bidwitness.storage.modes import session_loop_us
from bidwitness.words import RecordMode


def policies_of(orm: Orm) -> list[Policy]:
    """Give the policies as values."""
    return [
        Policy(row.room_kind, row.session_kind, row.category, row.loop_days, row.keep_years)
        for row in orm.scalars(select(RetentionPolicy))
    ]


def periods_of(
    orm: Orm, sessions: Iterable[str], policies: Sequence[Policy]
) -> dict[str, int | None]:
    """Give until when each session's footage is kept (µs UTC); nothing where that is not known."""
    found: dict[str, int | None] = {}
    for session_id in sessions:
        kind = orm.scalars(select(Session.kind).where(Session.id == session_id)).one()
        lots = orm.execute(
            select(Project.category, Lot.retention_from_us, Lot.retention_until_us)
            .join(Lot, Lot.project_id == Project.id)
            .join(Item, Item.lot_id == Lot.id)
            .where(Item.session_id == session_id)
        )
        periods = [LotPeriod(category, start, end) for category, start, end in lots]
        found[session_id] = kept_until(kind, periods, policies)
    return found


def loop_us_of(orm: Orm, stream_id: str, policies: Sequence[Policy], settings: Settings) -> int:
    """Give for how long footage of a stream that nobody claims stays, in µs."""
    mode, kind = orm.execute(
        select(Camera.mode, Room.kind)
        .join(Stream, Stream.camera_id == Camera.id)
        .join(Room, Room.id == Camera.room_id)
        .where(Stream.id == stream_id)
    ).one()
    if mode is RecordMode.SESSION:
        return session_loop_us(settings)
    return loop_days_of(kind, policies, default_loop_days(kind, settings)) * DAY_US

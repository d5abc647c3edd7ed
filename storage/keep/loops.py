"""The short loop of cameras that are recorded for sessions only.

What nobody claims, holds or is about to claim gets a garbage row as soon as it is older than the
loop; claims and holds are kept off the stream while that is decided, and are looked at once more
before a byte goes (``garbage``).
"""

from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.claims import FOREVER
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    Booking,
    Camera,
    Claim,
    LinkedPlace,
    Segment,
    Session,
    Stream,
)
from bidwitness.storage.index.protection import lock_stream, why_locked, why_protected
from bidwitness.storage.modes import session_loop_us
from bidwitness.storage.removal import give_up_footage
from bidwitness.words import RecordMode, SessionState

BATCH = 200
RECENT_US = 86_400_000_000
KEEP = Who("keep")
REASON = "recorded for sessions only, and none has claimed it"


class ShortLoops:
    """Marks footage of ``session`` cameras that has waited in vain."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        # Streams of which everything was looked at: of them only the last day is, from then on
        # (what loses its claim later is the ordinary sweep's).
        self._known: set[str] = set()

    def mark(self) -> int:
        """Give up what may go; give how many segments. Raises ``IndexUnavailable``."""
        with self._database.read() as orm:
            query = (
                select(Stream.id, Camera.room_id)
                .join(Camera, Camera.id == Stream.camera_id)
                .where(Camera.mode == RecordMode.SESSION)
            )
            streams = [(stream, room) for stream, room in orm.execute(query)]
        self._known &= {stream for stream, _ in streams}
        return sum(self._mark_stream(stream, room) for stream, room in streams)

    def _mark_stream(self, stream: str, room: str) -> int:
        now = self._clock.utc_us()
        until = now - session_loop_us(self._settings)
        after = (until - RECENT_US if stream in self._known else 0, 0)
        done = 0
        while self._is_any(stream, after, until):
            with self._database.write() as orm:
                lock_stream(orm, stream)
                awaited = _awaited_from(orm, room, self._settings)
                batch = list(orm.scalars(_unclaimed(stream, after, until).limit(BATCH)))
                gone = [
                    row
                    for row in batch
                    if row.to_us <= awaited
                    and why_protected(orm, row) is None
                    and why_locked(row, now) is None
                ]
                give_up_footage(orm, KEEP, stream, gone, REASON, now)
                if batch:
                    after = (batch[-1].from_us, batch[-1].id)
            done += len(gone)
        self._known.add(stream)
        return done

    def _is_any(self, stream: str, after: tuple[int, int], until_us: int) -> bool:
        with self._database.read() as orm:
            return orm.scalars(_unclaimed(stream, after, until_us).limit(1)).first() is not None


def _unclaimed(stream: str, after: tuple[int, int], until_us: int) -> Select[Segment]:
    start_us, number = after
    claimed = exists().where(
        Claim.stream_id == stream,
        Claim.withdrawn_us.is_(None),
        Claim.from_us < Segment.to_us,
        or_(Claim.to_us.is_(None), Claim.to_us > Segment.from_us),
    )
    return (
        select(Segment)
        .where(
            Segment.stream_id == stream,
            Segment.removed_us.is_(None),
            Segment.to_us <= until_us,
            Segment.from_us >= start_us,
            or_(Segment.from_us > start_us, Segment.id > number),
            ~claimed,
        )
        .order_by(Segment.from_us, Segment.id)
    )


def _awaited_from(orm: Orm, room: str, settings: Settings) -> int:
    """Give from when on a session that has not begun will want footage of a room: also when the
    clockwork was away, or the session waits for another to leave."""
    rooms = select(LinkedPlace.room_id).where(LinkedPlace.place_id == room)
    earliest = orm.scalar(
        select(func.min(Booking.from_us))
        .join(Session, Session.id == Booking.session_id)
        .where(
            Session.state == SessionState.SCHEDULED,
            Booking.left_us.is_(None),
            or_(Booking.room_id == room, Booking.room_id.in_(rooms)),
        )
    )
    if earliest is None:
        return FOREVER
    return earliest - (settings.lead_in_seconds + settings.pre_roll_seconds) * 1_000_000

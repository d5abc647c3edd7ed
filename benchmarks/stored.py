"""A session that has been recorded: footage of virtual cameras in spool and index, made at once.

What takes a camera minutes is written as fast as the disk takes it, segment by segment as a
recorder leaves them. The pictures are the virtual cameras' sub-streams: 640×360, 512 kbit/s, a key
frame a second, the frame's number in a bar code.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from support.clips import TICK, Clip, CodedPicture
from support.clock import FakeClock
from support.factories import a_room, a_session, booked, streams_of
from support.footage import Reel
from support.places import a_claim
from support.simulator import CACHE

from bidwitness.clock import SystemClock
from bidwitness.config import Settings
from bidwitness.simulator.encode import make_loop
from bidwitness.simulator.recipes import picture_recipe
from bidwitness.simulator.spec import FPS, LOOP_SECONDS, CameraSpec
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.models import Room, Session
from bidwitness.words import Outcome, RoomKind, SessionState, StreamRole

SECOND = 1_000_000
SEGMENT_S = 60
# How long before now the footage ends.
AGO_S = 600


@dataclass(frozen=True)
class Recorded:
    """Sessions by id: ``all_cameras`` shows every camera, ``four`` the first four, later."""

    all_cameras: str
    four: str
    start_us: int


def record(settings: Settings, cameras: int, seconds: int) -> Recorded:
    """Record ``seconds`` of a session with all cameras, then a minute of one with four."""
    database = open_database(settings.database_url)
    try:
        upgrade(database)
        length = seconds + SEGMENT_S
        now = SystemClock().utc_us()
        start = (now - (length + AGO_S) * SECOND) // (LOOP_SECONDS * SECOND) * LOOP_SECONDS * SECOND
        with database.write() as orm:
            room = a_room(orm, "评标室一", RoomKind.EVALUATION, cameras=cameras, sound=False)
            streams = streams_of(orm, room)
            subs = streams_of(orm, room, role=StreamRole.SUB)
        clip = _clip()
        for stream in streams:
            reel = Reel(database, settings.spool, stream, start, sound=False, clip=clip)
            reel.segments(length, each=SEGMENT_S)
        middle, end = start + seconds * SECOND, start + length * SECOND
        four = [s for s in streams if s in subs[:4]]
        return Recorded(
            _session(database, settings, room, streams, start, middle, "1"),
            _session(database, settings, room, four, middle, end, "2"),
            start,
        )
    finally:
        database.close()


def _session(
    database: Database,
    settings: Settings,
    room: Room,
    streams: Sequence[str],
    from_us: int,
    to_us: int,
    code: str,
) -> str:
    with database.write() as orm:
        # Planned at its beginning: an end that has passed is no plan.
        row: Session = a_session(
            orm, FakeClock(from_us), settings, booked(room, from_us, to_us), project=f"BENCH-{code}"
        )
        row.state, row.outcome = SessionState.SEALED, Outcome.COMPLETED
        row.started_us, row.ended_us = from_us, to_us
        session = row.id
    for stream in streams:
        a_claim(database, session, stream, from_us, to_us)
    return session


def _clip() -> Clip:
    """Give the virtual cameras' loop as a clip, its parameter sets before each key frame."""
    recipe = picture_recipe(CameraSpec("bench"), StreamRole.SUB)
    loop = make_loop(recipe, CACHE)
    sets = [bytes.fromhex(one) for one in loop.header["sets"]]
    keys = set(loop.header["keys"])
    assert all(key % FPS == 0 for key in keys)
    pictures = []
    for number, unit in enumerate(loop.units):
        parts = [*sets, *unit] if number in keys else unit
        data = b"".join(len(part).to_bytes(4) + part for part in parts)
        pictures.append(CodedPicture(data, number * TICK, number * TICK, number in keys))
    return Clip("h264", recipe.width, recipe.height, tuple(pictures))

"""Rows that many tests need: a room with a camera, segments with bytes, sessions, claims, holds."""

from dataclasses import dataclass
from pathlib import Path

from support.memory_store import sha256_of

from bidwitness.ids import new_id
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    Camera,
    Claim,
    FragmentTable,
    Hold,
    Item,
    Lot,
    Project,
    Record,
    Room,
    Segment,
    Session,
    Site,
    Stream,
)
from bidwitness.storage.spool.layout import SegmentName, segment_path
from bidwitness.words import (
    ClaimClass,
    ClockQuality,
    Condition,
    LotPhase,
    ProjectCategory,
    RoomKind,
    SessionKind,
    SessionState,
    StreamRole,
)

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_700_000_000_000_000
RECORDER = "recorder-1"


def a_stream(index: Database, kind: RoomKind = RoomKind.EVALUATION) -> str:
    """A site with a room of this kind and one camera; gives the id of its main stream."""
    with index.write() as orm:
        site = Site(code=new_id(), name="site")
        orm.add(site)
        orm.flush()
        room = Room(site_id=site.id, name=f"room {new_id()}", kind=kind)
        orm.add(room)
        orm.flush()
        camera = Camera(room_id=room.id, name="c", created_us=0)
        orm.add(camera)
        orm.flush()
        stream = Stream(camera_id=camera.id, role=StreamRole.MAIN, address="rtsp://h/m")
        orm.add(stream)
        orm.flush()
        return stream.id


@dataclass
class Shelf:
    """Puts segments into a spool and an index, as the recorder's committer does.

    Their bytes are no video: nothing that keeps them looks inside.
    """

    index: Database
    spool: Path
    recorder: str = RECORDER

    def segment(
        self,
        stream: str,
        from_us: int = START,
        *,
        length_us: int = MINUTE,
        size: int = 4000,
        body: bytes | None = None,
        spooled: bool = True,
    ) -> Segment:
        day = utc_day(from_us)
        data = new_id().encode() * (size // 16) if body is None else body
        path = segment_path(stream, day, SegmentName(from_us, "run1", 0))
        if spooled:
            file = self.spool / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        with self.index.write() as orm:
            record = Record(
                stream_id=stream,
                day=int(day),
                seq=from_us // MINUTE % 1440 if length_us == MINUTE else from_us % (1 << 31),
                kind="segment",
                leaf=sha256_of(data),
                body="{}",
            )
            orm.add(record)
            orm.flush()
            segment = Segment(
                stream_id=stream,
                record_id=record.id,
                run_id="run1",
                run_seq=0,
                init_id="0" * 64,
                from_us=from_us,
                to_us=from_us + length_us,
                quality=ClockQuality.ARRIVAL,
                bytes=len(data),
                pieces=3,
                sha256=sha256_of(data),
                recorder=self.recorder,
                spool_path=path if spooled else None,
            )
            orm.add(segment)
            orm.flush()
            orm.add(FragmentTable(segment_id=segment.id, body=b"table"))
        return segment


def a_session(
    index: Database,
    *,
    state: SessionState = SessionState.SEALED,
    kind: SessionKind = SessionKind.EVALUATION,
    phase: LotPhase = LotPhase.EVALUATING,
    department: str | None = None,
) -> str:
    with index.write() as orm:
        session = Session(
            kind=kind,
            state=state,
            condition=Condition.RUNNING,
            planned_from_us=START,
            planned_to_us=START + HOUR,
            created_us=0,
            created_by="test",
        )
        orm.add(session)
        orm.flush()
        code = new_id()
        project = Project(
            code=code,
            name=code,
            category=ProjectCategory.CONSTRUCTION,
            department=department,
            created_us=0,
        )
        project.lots = [Lot(code="-", phase=phase)]
        orm.add(project)
        orm.flush()
        orm.add(Item(session_id=session.id, lot_id=project.lots[0].id))
        return session.id


def a_claim(
    index: Database,
    session: str,
    stream: str,
    from_us: int,
    to_us: int | None,
    *,
    klass: ClaimClass = ClaimClass.OWN,
) -> str:
    with index.write() as orm:
        claim = Claim(
            session_id=session,
            stream_id=stream,
            from_us=from_us,
            to_us=to_us,
            klass=klass,
            made_us=0,
            made_by="test",
        )
        orm.add(claim)
        orm.flush()
        return claim.id


def a_hold(
    index: Database,
    *,
    session: str | None = None,
    stream: str | None = None,
    from_us: int | None = None,
    to_us: int | None = None,
) -> str:
    with index.write() as orm:
        hold = Hold(
            session_id=session,
            stream_id=stream,
            from_us=from_us,
            to_us=to_us,
            case_no="case 1",
            reason="a complaint",
            placed_us=0,
            placed_by="test",
        )
        orm.add(hold)
        orm.flush()
        return hold.id

"""Rows of a small site: rooms with cameras, a project, a session, and footage in honest chains.

Each function takes the open transaction, adds what it is asked for, flushes and gives the row.
"""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.ids import new_id
from bidwitness.storage.evidence.canonical import JsonValue, canonical, parse
from bidwitness.storage.evidence.records import (
    Anchor,
    Digests,
    FileFacts,
    GapFacts,
    MediaFacts,
    Place,
    SegmentFacts,
    TrackFacts,
    first_place,
    leaf_hash,
    next_place,
    record_of,
    utc_day,
)
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.models import (
    Camera,
    Gap,
    Init,
    LinkedPlace,
    Project,
    Record,
    Room,
    Run,
    Seat,
    Segment,
    Session,
    Site,
    Stream,
    StreamStatus,
    Track,
)
from bidwitness.storage.sessions.create import create_session
from bidwitness.storage.sessions.plan import NewBooking, NewItem, NewSession
from bidwitness.storage.sessions.projects import NewLot, NewProject, create_project
from bidwitness.storage.spool.layout import SegmentName, segment_path
from bidwitness.words import (
    BookingRole,
    ClockQuality,
    GapCause,
    Health,
    Medium,
    ProjectCategory,
    RoomKind,
    SessionKind,
    StreamRole,
)

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
PERSON = Who("测试员", None, "127.0.0.1")
RECORDER = "recorder-1"
ZEROS = "0" * 64


def a_site(orm: Orm, code: str = "site-1") -> Site:
    present = orm.scalars(select(Site).where(Site.code == code)).first()
    if present is not None:
        return present
    site = Site(code=code, name=f"交易中心 {code}")
    orm.add(site)
    orm.flush()
    return site


def a_room(
    orm: Orm,
    name: str = "评标室一",
    kind: RoomKind = RoomKind.EVALUATION,
    *,
    cameras: int = 1,
    sound: bool = True,
    sub: bool = True,
    seats: Sequence[str] = (),
    site: str = "site-1",
) -> Room:
    room = Room(site_id=a_site(orm, site).id, name=name, kind=kind)
    orm.add(room)
    orm.flush()
    for number in range(cameras):
        a_camera(orm, room, f"{name}-{number + 1}", sound=sound, sub=sub)
    for seat in seats:
        row = Seat(room_id=room.id, name=seat)
        orm.add(row)
        orm.flush()
        a_camera(orm, room, f"{name}-席位{seat}", sound=sound, sub=sub, seat=row)
    return room


def a_camera(
    orm: Orm,
    room: Room,
    name: str,
    *,
    sound: bool = True,
    sub: bool = True,
    seat: Seat | None = None,
    created_us: int = 0,
) -> Camera:
    """Add a camera with its main (and sub) stream and their tracks."""
    camera = Camera(room_id=room.id, name=name, created_us=created_us)
    orm.add(camera)
    orm.flush()
    for role in (StreamRole.MAIN, StreamRole.SUB) if sub else (StreamRole.MAIN,):
        stream = Stream(
            camera_id=camera.id,
            role=role,
            address=f"rtsp://camera/{camera.id}/{role}",
            seat_id=seat.id if seat else None,
        )
        orm.add(stream)
        orm.flush()
        orm.add(
            Track(stream_id=stream.id, medium=Medium.PICTURE, codec="avc1", source_codec="h264")
        )
        if sound and role == StreamRole.MAIN:
            orm.add(
                Track(stream_id=stream.id, medium=Medium.SOUND, codec="flac", source_codec="alaw")
            )
    orm.flush()
    return camera


def link(orm: Orm, room: Room, place: Room) -> None:
    """Make ``place`` recorded for sessions of ``room``."""
    orm.add(LinkedPlace(room_id=room.id, place_id=place.id))
    orm.flush()


def streams_of(orm: Orm, *rooms: Room, role: StreamRole | None = None) -> list[str]:
    """Give the ids of all streams of rooms, in a fixed order."""
    query = (
        select(Stream)
        .join(Camera)
        .where(Camera.room_id.in_([room.id for room in rooms]))
        .order_by(Camera.name, Stream.role)
    )
    return [s.id for s in orm.scalars(query) if role is None or s.role == role]


def a_project(orm: Orm, clock: Clock, code: str = "P-1", *lots: str) -> Project:
    new = NewProject(
        code=code,
        name=f"项目 {code}",
        category=ProjectCategory.CONSTRUCTION,
        lots=tuple(NewLot(lot, f"标段 {lot}") for lot in lots),
    )
    return create_project(orm, clock, PERSON, new)


def booked(
    room: Room,
    from_us: int,
    to_us: int,
    *,
    role: BookingRole = BookingRole.MAIN,
    seats: Iterable[str] = (),
) -> NewBooking:
    return NewBooking(room.id, from_us, to_us, role, tuple(seats))


def a_session(
    orm: Orm,
    clock: Clock,
    settings: Settings,
    *bookings: NewBooking,
    project: str = "P-1",
    lot: str | None = None,
    kind: SessionKind = SessionKind.EVALUATION,
) -> Session:
    """Plan a session of a project, which is made if it is not there."""
    if orm.scalar(select(Project.id).where(Project.code == project)) is None:
        a_project(orm, clock, project)
    new = NewSession((NewItem(project, lot),), kind, tuple(bookings))
    return create_session(orm, clock, settings, PERSON, new)


@dataclass
class Tape:
    """Footage of one stream, added as its recorder would: one chain, one file a segment.

    ``folder``: where the files are written (named by ``spool_path``); without one they are not.
    """

    orm: Orm
    stream_id: str
    folder: Path | None = None
    sound: bool = True
    site: str = "site-1"

    def __post_init__(self) -> None:
        self.run = new_id()
        self.run_seq = 0
        self._last: dict[str, JsonValue] | None = None

    def segments(self, from_us: int, to_us: int, each_us: int = MINUTE) -> list[Segment]:
        """Add footage of ``[from, to)`` in segments of ``each_us``."""
        edges = [*range(from_us, to_us, each_us), to_us]
        return [self.segment(a, b) for a, b in itertools.pairwise(edges)]

    def segment(self, from_us: int, to_us: int) -> Segment:
        body = f"{self.stream_id} {from_us} {to_us}".encode()
        name = SegmentName(from_us, self.run, self.run_seq)
        path = segment_path(self.stream_id, utc_day(from_us), name)
        if self.folder is not None:
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(body)
        tracks = [TrackFacts(1, "picture", "h264", 90_000)]
        media = [MediaFacts(1, 0, (to_us - from_us) * 9 // 100, 25)]
        if self.sound:
            tracks.append(TrackFacts(2, "sound", "flac", 8_000, "pcm_alaw"))
            media.append(MediaFacts(2, 0, (to_us - from_us) // 125, 25))
        record = self._record(
            SegmentFacts(
                place=self._place(from_us),
                run=self.run,
                run_seq=self.run_seq,
                init=self._init(),
                tracks=tuple(tracks),
                media=tuple(media),
                wall=(from_us, to_us),
                anchors=(Anchor(0, None, 5, from_us),),
                quality="arrival",
                pieces=2,
                root=Digests(ZEROS, ZEROS),
                file=FileFacts(len(body), hashlib.sha256(body).hexdigest()),
            )
        )
        segment = Segment(
            stream_id=self.stream_id,
            record_id=record.id,
            run_id=self.run,
            run_seq=self.run_seq,
            init_id=self._init(),
            from_us=from_us,
            to_us=to_us,
            quality=ClockQuality.ARRIVAL,
            bytes=len(body),
            pieces=2,
            sha256=hashlib.sha256(body).digest(),
            recorder=RECORDER,
            spool_path=path,
        )
        self.run_seq += 1
        self.orm.add(segment)  # written with the next record, or by the caller's flush
        return segment

    def gap(
        self,
        from_us: int,
        to_us: int,
        cause: GapCause = GapCause.OFFLINE,
        medium: Medium | None = None,
    ) -> Gap:
        """Add a gap of the stream or of one medium; a new run follows one of the whole stream."""
        record = self._record(
            GapFacts(self._place(from_us), cause, medium or "all", from_us, to_us)
        )
        gap = Gap(
            stream_id=self.stream_id,
            record_id=record.id,
            medium=medium,
            cause=cause,
            from_us=from_us,
            to_us=to_us,
        )
        if medium is None:
            self.run, self.run_seq = new_id(), 0
        self.orm.add(gap)
        self.orm.flush()
        return gap

    def status(self, at_us: int, state: Health = Health.OK, *, since_us: int | None = None) -> None:
        """Say what the recorder says of the stream at ``at_us``, when its last fragment ended."""
        self.orm.merge(
            StreamStatus(
                stream_id=self.stream_id,
                recorder=RECORDER,
                state=state,
                since_us=at_us if since_us is None else since_us,
                last_us=at_us,
                at_us=at_us,
            )
        )
        self.orm.flush()

    def _init(self) -> str:
        media = ["picture", "sound"] if self.sound else ["picture"]
        init = hashlib.sha256("+".join(media).encode()).hexdigest()
        if self.orm.get(Init, init) is None:
            tracks = [{"id": i + 1, "medium": m, "codec": "x"} for i, m in enumerate(media)]
            self.orm.add(Init(id=init, body=b"init", tracks=tracks))
            self.orm.flush()
        if self.orm.get(Run, self.run) is None:
            self.orm.add(
                Run(id=self.run, stream_id=self.stream_id, recorder=RECORDER, started_us=0)
            )
            self.orm.flush()
        return init

    def _place(self, from_us: int) -> Place:
        if self._last is None:
            body = self.orm.scalar(
                select(Record.body)
                .where(Record.stream_id == self.stream_id)
                .order_by(Record.day.desc(), Record.seq.desc())
                .limit(1)
            )
            if body is None:
                return first_place(self.site, RECORDER, self.stream_id, from_us)
            self._last = parse(body.encode())
        return next_place(self._last, from_us, RECORDER)

    def _record(self, facts: SegmentFacts | GapFacts) -> Record:
        body = self._last = record_of(facts)
        row = Record(
            stream_id=self.stream_id,
            day=int(facts.place.day),
            seq=facts.place.seq,
            kind=facts.T,
            leaf=leaf_hash(body),
            body=canonical(body).decode(),
        )
        self.orm.add(row)
        self.orm.flush()
        return row

"""Make the rows of footage again, from the records beside the media, the journals and the files.

For an index that was lost. Rows that are there stay as they are, so it can be run again. Streams
that the index does not know get a place to stand in, switched off. Sessions, people and what they
did are not told by the footage: they come back from a backup of the index only.
"""

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import DamageFound
from bidwitness.storage.commit import Committer, Prepared, tracks_of
from bidwitness.storage.evidence.canonical import BadRecord, canonical, parse
from bidwitness.storage.evidence.records import (
    GapFacts,
    SegmentFacts,
    StreamRecord,
    check_record,
    leaf_hash,
)
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.locks import AT_ONCE
from bidwitness.storage.index.models import (
    Camera,
    FragmentTable,
    Init,
    Record,
    RecordObject,
    Room,
    Segment,
    Site,
    Stream,
)
from bidwitness.storage.media.boxes import split_pieces
from bidwitness.storage.spool.blob import WallPoint, encode_table
from bidwitness.storage.spool.layout import is_day, parse_name
from bidwitness.storage.spool.reading import table_from_file
from bidwitness.storage.store import Found, Store
from bidwitness.words import RoomKind, StreamRole

log = logging.getLogger(__name__)

PREFIX = "footage/"
RECORDS = "records-"
FOUND_AGAIN = "重建 / rebuilt"
REBUILD = Who("rebuild")
_CHUNK = 1 << 20


@dataclass
class Rebuilt:
    """What was made again, and what could not be."""

    streams: int = 0
    records: int = 0
    stored: int = 0
    gone: int = 0
    damaged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        summary = (
            f"{self.streams} streams, {self.records} records, {self.stored} segments found in the "
            f"store, {self.gone} whose bytes are nowhere"
        )
        return "\n".join([summary, *(f"damaged: {what}" for what in self.damaged)])


class Rebuild:
    """Rebuilds the rows of one site's footage."""

    def __init__(self, database: Database, store: Store, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._settings = settings
        self._clock = clock
        self._result = Rebuilt()

    def run(self) -> Rebuilt:
        """Do all of it; give what was found. Raises ``StoreError``, ``IndexUnavailable``."""
        segments: dict[tuple[str, str, int], Found] = {}
        objects: list[tuple[str, str, Found]] = []
        streams = set(_spooled_streams(self._settings.spool))
        for found in self._store.list(PREFIX):
            place = _place_of(found.key)
            if place is None:
                continue
            stream, day, name = place
            streams.add(stream)
            parsed = parse_name(PurePosixPath(name).stem)
            if parsed is not None:
                segments[stream, parsed.run, parsed.run_seq] = found
            elif name.startswith(RECORDS):
                objects.append((stream, day, found))
        for stream in sorted(streams):
            self._stand_in(stream)
        for stream, day, found in sorted(objects, key=lambda o: (o[0], o[1], o[2].key)):
            self._read_object(stream, int(day), found)
        before = self._result.records
        self._result.records = before + Committer(self._database, self._settings.spool).commit()
        self._attach(segments)
        return self._result

    def _stand_in(self, stream: str) -> None:
        """Give a stream that nobody knows a place: a room of its own kind, its camera off."""
        now = self._clock.utc_us()
        with self._database.write() as orm:
            if orm.get(Stream, stream) is not None:
                return
            room = _found_again_room(orm, self._settings.site)
            camera = Camera(room_id=room.id, name=stream, enabled=False, created_us=now)
            orm.add(camera)
            orm.flush()
            orm.add(
                Stream(
                    id=stream,
                    camera_id=camera.id,
                    role=StreamRole.MAIN,
                    address="",
                    enabled=False,
                )
            )
            leave_audit_entry(orm, REBUILD, "stream.found", f"stream:{stream}", now)
        self._result.streams += 1

    def _read_object(self, stream: str, day: int, found: Found) -> None:
        """Add the rows of the records in one object, and the object's own row."""
        data = self._store.read(found.key, found.version)
        sha256 = hashlib.sha256(data).digest()
        lines = [_read_line(line) for line in data.splitlines()]
        good = [line for line in lines if line is not None]
        if len(good) != len(lines) or not good:
            self._result.damaged.append(f"{found.key}: not all of its lines are records")
        with self._database.write() as orm:
            for record, leaf, body in good:
                row = Prepared(record, leaf, body, None, None, None, record.start)
                self._result.records += row.add_to(orm)
            known = select(RecordObject.id).where(RecordObject.store_key == found.key)
            if good and len(good) == len(lines) and orm.scalar(known) is None:
                orm.add(
                    RecordObject(
                        stream_id=stream,
                        day=day,
                        first_seq=good[0][0].place.seq,
                        last_seq=good[-1][0].place.seq,
                        sha256=sha256,
                        bytes=len(data),
                        store_key=found.key,
                        store_version=found.version,
                        stored_us=self._clock.utc_us(),
                        lock_due_us=AT_ONCE,
                    )
                )

    def _attach(self, segments: dict[tuple[str, str, int], Found]) -> None:
        """Tell each segment where its bytes are, after reading all of them."""
        with self._database.read() as orm:
            waiting = list(
                orm.scalars(
                    select(Segment)
                    .where(Segment.stored_us.is_(None), Segment.removed_us.is_(None))
                    .order_by(Segment.id)
                )
            )
        for segment in waiting:
            found = segments.get((segment.stream_id, segment.run_id, segment.run_seq))
            if found is not None:
                self._attach_one(segment, found)
            elif segment.spool_path is None:
                self._say_gone(segment)

    def _attach_one(self, segment: Segment, found: Found) -> None:
        with tempfile.NamedTemporaryFile(prefix="bidwitness-") as copy:
            digest = hashlib.sha256()
            for chunk in self._store.stream(found.key, found.version):
                digest.update(chunk)
                copy.write(chunk)
            copy.flush()
            if digest.digest() != segment.sha256:
                self._result.damaged.append(f"{found.key}: its bytes are not those of its record")
                return
            path = Path(copy.name)
            with self._database.read() as orm:
                record = orm.get_one(Record, segment.record_id)
            facts = check_record(parse(str(record.body).encode()))
            if not isinstance(facts, SegmentFacts):
                raise DamageFound(f"The record of segment {segment.id} is not one of a segment.")
            init, table = _read_media(path, facts)
        with self._database.write() as orm:
            row = orm.get_one(Segment, segment.id)
            row.store_key, row.store_version = found.key, found.version
            row.stored_us = self._clock.utc_us()
            # What lock it has only the store knows.
            row.lock_due_us = AT_ONCE
            if orm.get(Init, facts.init) is None:
                orm.add(Init(id=facts.init, body=init, tracks=tracks_of(facts, init)))
            if orm.get(FragmentTable, segment.id) is None:
                orm.add(FragmentTable(segment_id=segment.id, body=table))
        self._result.stored += 1

    def _say_gone(self, segment: Segment) -> None:
        """Its bytes are nowhere: removed by the book before, or lost. Its record stays."""
        now = self._clock.utc_us()
        with self._database.write() as orm:
            row = orm.get_one(Segment, segment.id)
            row.removed_us = now
            facts = {"segment": row.id, "from": row.from_us, "to": row.to_us}
            subject = f"stream:{row.stream_id}"
            leave_audit_entry(orm, REBUILD, "footage.gone", subject, now, facts=facts)
        self._result.gone += 1


def _place_of(key: str) -> tuple[str, str, str] | None:
    """Read a key as stream, day and name, if it is one of ours."""
    parts = key.split("/")
    if len(parts) != 4 or not is_day(parts[2]):
        return None
    return parts[1], parts[2], parts[3]


def _spooled_streams(spool: Path) -> Iterator[str]:
    if spool.is_dir():
        yield from (
            folder.name
            for folder in spool.iterdir()
            if folder.is_dir() and any(is_day(day.name) for day in folder.iterdir())
        )


def _found_again_room(orm: Orm, site_code: str) -> Room:
    site = orm.scalars(select(Site).where(Site.code == site_code)).first()
    if site is None:
        site = Site(code=site_code, name=site_code)
        orm.add(site)
        orm.flush()
    query = select(Room).where(Room.site_id == site.id, Room.name == FOUND_AGAIN)
    room = orm.scalars(query).first()
    if room is None:
        # The strictest kind there is: nobody may see what it shows until somebody says what it is.
        room = Room(site_id=site.id, name=FOUND_AGAIN, kind=RoomKind.EVALUATION)
        orm.add(room)
        orm.flush()
    return room


def _read_line(line: bytes) -> tuple[StreamRecord, bytes, str] | None:
    try:
        body = parse(line)
        record = check_record(body)
    except BadRecord:
        return None
    if not isinstance(record, SegmentFacts | GapFacts):
        return None
    return record, leaf_hash(body), canonical(body).decode()


def _read_media(path: Path, facts: SegmentFacts) -> tuple[bytes, bytes]:
    """Give the init and the fragment table of a segment's file. Raises ``DamageFound``."""
    walls = [WallPoint(anchor.pts, anchor.recorder_us) for anchor in facts.anchors]
    with path.open("rb") as file:
        pieces = split_pieces(iter(lambda: file.read(_CHUNK), b""))
        init = next(piece.data for piece in pieces)
    return init, encode_table(table_from_file(path, walls))

"""One playable file for each camera of a session, for whoever runs the machine."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bidwitness.access import Ground
from bidwitness.claims import FOREVER
from bidwitness.clock import Clock
from bidwitness.errors import DamageFound, NotFound
from bidwitness.intervals import Interval
from bidwitness.player.clip import ClipReport, write_clip
from bidwitness.player.playbacks import view_of
from bidwitness.player.rights import Permission, claimed_by
from bidwitness.player.selection import select_stream
from bidwitness.player.tables import Reader, Tables
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Claim, Init, Session
from bidwitness.storage.sights import StreamView
from bidwitness.words import ClaimClass, StreamRole


@dataclass(frozen=True, slots=True)
class CameraClip:
    camera: str
    room: str
    report: ClipReport


def write_session_clips(
    database: Database, clock: Clock, footage: Reader, who: Who, session_id: str, folder: Path
) -> list[CameraClip]:
    """Write picture and sound of each camera's main stream (its sub-stream if it has no main).

    What the seam hides stays out. Raises ``NotFound`` for no such session or no footage.
    """
    now = clock.utc_us()
    views = _views(database, session_id, now)
    folder.mkdir(parents=True, exist_ok=True)
    tables = Tables(database, footage)
    clips: list[CameraClip] = []
    taken: set[str] = set()
    for view, window in views:
        claims = claimed_by(view, session_id)
        others = tuple(
            concern.interval
            for concern in view.concerns
            if concern.klass == ClaimClass.OWN and concern.session_id != session_id
        )
        shown = Permission(tuple(claims), others, Ground.ROLE, protected=False)
        chosen = select_stream(
            database, tables, view.stream_id, window, dict.fromkeys(view.media, shown)
        )
        name = file_name(view.camera)
        if name in taken:
            name = file_name(f"{view.room} {view.camera}")
        taken.add(name)
        report = write_clip(footage, chosen, init_reader(database), folder / f"{name}.mp4")
        clips.append(CameraClip(view.camera, view.room, report))
    with database.write() as orm:
        facts = {"files": [clip.report.path.name for clip in clips]}
        leave_audit_entry(orm, who, "clip.write", f"session:{session_id}", now, facts=facts)
    return clips


def _views(database: Database, session_id: str, now: int) -> list[tuple[StreamView, Interval]]:
    with database.read() as orm:
        if orm.get(Session, session_id) is None:
            raise NotFound("There is no such session.")
        claims = list(
            orm.scalars(
                select(Claim).where(Claim.session_id == session_id, Claim.withdrawn_us.is_(None))
            )
        )
        if not claims:
            raise NotFound("Nothing has been recorded for this session.")
        start = min(claim.from_us for claim in claims)
        end = min(max(claim.to_us or FOREVER for claim in claims), max(now, start + 1))
        window = Interval(start, end)
        streams = dict.fromkeys(claim.stream_id for claim in claims)
        views = [view_of(orm, stream, window) for stream in streams]
    with_main = {view.camera_id for view in views if view.role == StreamRole.MAIN}
    chosen = [v for v in views if v.role == StreamRole.MAIN or v.camera_id not in with_main]
    return [(view, window) for view in sorted(chosen, key=lambda v: (v.room, v.camera))]


def init_reader(database: Database) -> Callable[[str], bytes]:
    """Give the function that reads an init's bytes from the index, by its digest."""

    def read(init_id: str) -> bytes:
        with database.read() as orm:
            row = orm.get(Init, init_id)
        if row is None:
            raise DamageFound(f"The init {init_id} is not in the index.")
        return row.body

    return read


def file_name(text: str) -> str:
    """Give a name that every file system can hold, in the camera's own script."""
    return re.sub(r"[^\w.\- ]+", "_", text).strip(" .")[:100] or "camera"

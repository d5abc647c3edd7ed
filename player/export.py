"""Exports: a session's evidence package with exactly what its recipient may have."""

import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.access import Person
from bidwitness.config import Settings
from bidwitness.errors import DamageFound, Forbidden, InvalidInput, NotFound, Unavailable
from bidwitness.intervals import Interval, intersect, subtract
from bidwitness.player.playbacks import claimed_window, permission_of, view_of, with_grant
from bidwitness.player.rights import Permission
from bidwitness.player.selection import Selected, select_stream
from bidwitness.player.tables import Reader, Tables
from bidwitness.storage.evidence.canonical import parse
from bidwitness.storage.evidence.package import MediaSource, Opener, PackageInfo, StreamSource
from bidwitness.storage.evidence.records import SegmentFacts, check_record
from bidwitness.storage.evidence.session_records import CloseFacts, HeadFacts, SupplementFacts
from bidwitness.storage.evidence_report.registered import objects_of, read_report, reports_of
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import (
    Claim,
    Item,
    Lot,
    Project,
    Record,
    Segment,
    Session,
    SessionRecord,
)
from bidwitness.storage.ledger.proving import log_files
from bidwitness.storage.sessions.named import heads_of
from bidwitness.storage.sights import StreamView, person_of
from bidwitness.storage.store import open_store
from bidwitness.words import Action, CopyForm, Medium

COPYING = (Action.COPY,)
ALL_MEDIA = tuple(Medium)


@dataclass(frozen=True, slots=True)
class ExportWish:
    """What somebody wants a copy of. Empty: everything of the session that she may have."""

    session_id: str
    reason: str
    from_us: int | None = None
    to_us: int | None = None
    stream_ids: tuple[str, ...] = ()
    media: tuple[Medium, ...] = ALL_MEDIA
    grant_id: str | None = None
    form: CopyForm = CopyForm.PACKAGE
    # Of a mosaic: the stream whose sound alone is heard; none: all that may be, mixed.
    sound: str | None = None


@dataclass(frozen=True, slots=True)
class StreamShare:
    """What of a stream goes into a package."""

    view: StreamView
    permissions: Mapping[Medium, Permission]

    def spans(self) -> dict[str, list[list[int]]]:
        """Give the permitted times by medium, as they are kept with the export."""
        return {
            str(medium): [[span.start, span.end] for span in permission.spans]
            for medium, permission in self.permissions.items()
        }


@dataclass(frozen=True, slots=True)
class Share:
    """What of a session goes into a package. ``grants``: the rights it stands on."""

    window: Interval
    streams: tuple[StreamShare, ...]
    grants: tuple[str, ...]


def share_of(orm: Orm, user_id: str, wish: ExportWish, now: int) -> Share:
    """Give what of a wish a person may have a copy of, now.

    Raises ``NotFound``, ``InvalidInput``, and ``Forbidden`` if nothing of it is hers to have.
    """
    person = with_grant(person_of(orm, user_id, now), wish.grant_id)
    window, claimed = claimed_window(orm, wish.session_id, wish.from_us, wish.to_us)
    unknown = set(wish.stream_ids) - set(claimed)
    if unknown:
        raise InvalidInput(
            "Not all of these streams were recorded for this session.",
            fields={"stream_ids": f"not of this session: {', '.join(sorted(unknown))}"},
        )
    window = Interval(window.start, min(window.end, max(now, window.start + 1)))
    streams: list[StreamShare] = []
    refusal = ""
    for stream_id in wish.stream_ids or claimed:
        view = view_of(orm, stream_id, window)
        allowed: dict[Medium, Permission] = {}
        for medium in (medium for medium in view.media if medium in wish.media):
            found = permission_of(person, medium, view, window, wish.session_id, now, COPYING)
            if any(span.overlaps(window) for span in found.spans):
                allowed[medium] = found
            else:
                refusal = f"{found.ground.zh} ({found.ground.value})"
        if allowed:
            streams.append(StreamShare(view, allowed))
    if not streams:
        raise Forbidden(f"No copy of this may be made for you: {refusal or 'nothing matches'}.")
    shared = frozenset(stream.view.stream_id for stream in streams)
    return Share(window, tuple(streams), _grants(person, wish.session_id, shared, now))


def _grants(person: Person, session_id: str, streams: frozenset[str], now: int) -> tuple[str, ...]:
    return tuple(
        grant.id
        for grant in person.grants
        if grant.session_id == session_id
        and Action.COPY in grant.actions
        and grant.valid(now)
        and (grant.stream_ids is None or grant.stream_ids & streams)
    )


def still_covers(share: Share, spans: Mapping[str, Mapping[str, list[list[int]]]]) -> bool:
    """Say whether everything that went into an export may still be had. Pure."""
    now = {stream.view.stream_id: stream.permissions for stream in share.streams}
    for stream_id, media in spans.items():
        for medium, times in media.items():
            permission = now.get(stream_id, {}).get(Medium(medium))
            had = [Interval(start, end) for start, end in times]
            if permission is None or subtract(had, permission.spans):
                return False
    return True


class PackageSources:
    """Gathers a package's parts from the index; the bytes are opened one file at a time."""

    def __init__(self, database: Database, footage: Reader) -> None:
        self._database = database
        self._footage = footage
        self._tables = Tables(database, footage)

    def session_lines(self, session_id: str) -> list[bytes]:
        """Give a session's own records as canonical lines, in order."""
        with self._database.read() as orm:
            query = select(SessionRecord.body).where(SessionRecord.session_id == session_id)
            return [body.encode() for body in orm.scalars(query.order_by(SessionRecord.seq))]

    def streams(self, session_id: str, share: Share) -> Iterator[StreamSource]:
        """Give each stream with its records and its permitted pieces. Raises ``Unavailable``."""
        heads = self._heads(session_id, share.window.end)
        for stream in share.streams:
            view = stream.view
            chosen = select_stream(
                self._database, self._tables, view.stream_id, share.window, stream.permissions
            )
            by_record = {item.row.record_id: item for item in chosen}
            lines: list[bytes] = []
            media: list[MediaSource] = []
            for record_id, body in self._records(heads, view.stream_id):
                lines.append(body.encode())
                facts = check_record(parse(body.encode()))
                if isinstance(facts, SegmentFacts):
                    media.append(self._media(facts, by_record.get(record_id)))
            label = f"{view.room} {view.camera} {view.role.zh}"
            yield StreamSource(view.stream_id, label, lines, media)

    def log_files(self, settings: Settings, session_id: str, share: Share) -> Mapping[str, bytes]:
        """Give what the log says of the session and of the streams that are handed out."""
        streams = {stream.view.stream_id for stream in share.streams}
        heads = [h for h in self._heads(session_id, share.window.end) if h.stream in streams]
        return log_files(self._database, settings, session_id, list(dict.fromkeys(heads)))

    def reports(self, settings: Settings, wish: ExportWish, share: Share) -> dict[str, bytes]:
        """Give the session's evidence reports and their facts, as files of a package.

        A report names cameras, gaps and people of the whole session: only who is handed out all
        of it gets them. One whose file is not here, or not what was made, is left out.
        """
        if not self._whole(wish, share):
            return {}
        with self._database.read() as orm:
            made = reports_of(orm, wish.session_id)
            objects = {report.id: objects_of(orm, report.id) for report in made}
        store = open_store(settings)
        files: dict[str, bytes] = {}
        for report in made:
            with suppress(NotFound, DamageFound):
                document, facts = read_report(settings, report, objects[report.id], store)
                number = report.recipe["number"]
                files |= {f"{number}.pdf": document, f"{number}.json": facts}
        return files

    def _whole(self, wish: ExportWish, share: Share) -> bool:
        """Say whether a share is all that the session claims, in every medium, for all its time."""
        with self._database.read() as orm:
            claims = orm.scalars(
                select(Claim).where(
                    Claim.session_id == wish.session_id, Claim.withdrawn_us.is_(None)
                )
            ).all()
        had = {stream.view.stream_id: stream for stream in share.streams}
        for claim in claims:
            stream = had.get(claim.stream_id)
            if stream is None or claim.to_us is None:
                return False
            span = [Interval(claim.from_us, claim.to_us)]
            for medium in stream.view.media:
                permission = stream.permissions.get(medium)
                if permission is None or subtract(
                    span, intersect(permission.spans, [share.window])
                ):
                    return False
        return True

    def size_of(self, session_id: str, share: Share) -> int:
        """Give about how many bytes there are to copy."""
        total = 0
        with self._database.read() as orm:
            for stream in share.streams:
                query = select(Segment.bytes).where(
                    Segment.stream_id == stream.view.stream_id,
                    Segment.from_us < share.window.end,
                    Segment.to_us > share.window.start,
                    Segment.from_us > share.window.start - 900_000_000,
                )
                total += sum(orm.scalars(query))
        return total

    def _heads(self, session_id: str, until: int) -> list[HeadFacts]:
        """Give the stretches of the chains: as the seal says, else as far as is known now."""
        heads: list[HeadFacts] = []
        for line in self.session_lines(session_id):
            facts = check_record(parse(line))
            if isinstance(facts, CloseFacts | SupplementFacts):
                heads += facts.heads
        if heads:
            return heads
        with self._database.read() as orm:
            claims = orm.scalars(
                select(Claim).where(Claim.session_id == session_id, Claim.withdrawn_us.is_(None))
            )
            return heads_of(orm, list(claims), until)

    def _records(self, heads: list[HeadFacts], stream_id: str) -> list[tuple[int, str]]:
        out: dict[tuple[int, int], tuple[int, str]] = {}
        with self._database.read() as orm:
            for head in (head for head in heads if head.stream == stream_id):
                query = select(Record).where(
                    Record.stream_id == stream_id,
                    Record.day == int(head.day),
                    Record.seq.between(head.first, head.last),
                )
                for row in orm.scalars(query):
                    if row.body is None:
                        raise Unavailable("A record has left the index; it cannot be exported yet.")
                    out[row.day, row.seq] = (row.id, row.body)
        return [out[key] for key in sorted(out)]

    def _media(self, facts: SegmentFacts, chosen: Selected | None) -> MediaSource:
        if chosen is None or not chosen.pieces:
            return MediaSource(facts, _nothing, ())
        row = chosen.row
        keep = None if chosen.whole else chosen.piece_numbers() | {0}
        return MediaSource(facts, self._opener(row), keep)

    def _opener(self, row: Segment) -> Opener:
        return lambda: _Chunks(self._footage.open_stream(row))


def _nothing() -> IO[bytes]:
    return io.BytesIO()


class _Chunks:
    """A file out of chunks that come one by one, handed on as they are: no byte is copied."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held = b""

    def read(self, size: int, /) -> bytes:
        while not self._held:
            self._held = next(self._chunks, b"")
            if not self._held:
                return b""
        data, self._held = self._held[:size], self._held[size:]
        return data


def package_info(orm: Orm, settings: Settings, wish: ExportWish, now: int) -> PackageInfo:
    """Give what a package says of itself: the lots, the kind of session, the reason."""
    session = orm.get(Session, wish.session_id)
    if session is None:
        raise NotFound("There is no such session.")
    lots = orm.execute(
        select(Project.code, Lot.code)
        .join(Lot, Lot.project_id == Project.id)
        .join(Item, Item.lot_id == Lot.id)
        .where(Item.session_id == wish.session_id)
        .order_by(Project.code, Lot.code)
    )
    named = ", ".join(f"{project}/{lot}" for project, lot in lots)
    title = f"{named} {session.kind.zh}" if named else session.kind.zh
    return PackageInfo(wish.session_id, title, settings.name, now, wish.reason)


def export_path(settings: Settings, job_id: str) -> Path:
    """Give where the package of an export lies until it expires."""
    return settings.exports / f"{job_id}.zip"

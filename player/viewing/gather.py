"""Gather from the index what a record of viewing says, apart from what is read again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness import __version__
from bidwitness.config import Settings
from bidwitness.errors import NotFound
from bidwitness.intervals import union
from bidwitness.player.viewing.facts import (
    Basis,
    CoverFacts,
    FileFacts,
    GrantFacts,
    SentFacts,
    TrailFacts,
    ViewerFacts,
    ViewingFacts,
    WatchedFacts,
)
from bidwitness.player.viewing.rereading import Finding, record_facts
from bidwitness.player.viewing.seen import Key, Segments, Sent
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.evidence_report.circumstances import keys_of, log_facts
from bidwitness.storage.evidence_report.facts import KeyFacts, Span, StreamFacts
from bidwitness.storage.evidence_report.footage import stream_facts
from bidwitness.storage.evidence_report.gather import lots_of, places_of
from bidwitness.storage.index.models import (
    AuditEntry,
    Camera,
    Grant,
    GrantUse,
    Playback,
    Room,
    Session,
    Stream,
    User,
    UserRole,
)
from bidwitness.storage.ledger.proving import epoch_over, log_position
from bidwitness.storage.ledger.shard import origin_of
from bidwitness.storage.register import row_of_grant
from bidwitness.storage.sights import person_of
from bidwitness.storage.trail.stated import stated_entries


@dataclass(frozen=True, slots=True)
class Order:
    """Which record is made: its number, of which viewing, who asked, when, and the signing key."""

    number: str
    playback: str
    asked_by: str
    at_us: int
    signer: KeyFacts


def gather(
    orm: Orm,
    settings: Settings,
    order: Order,
    sent: Sent,
    segments: Segments,
    findings: Mapping[Key, Finding],
) -> tuple[ViewingFacts, list[JsonValue]]:
    """Give all that the record says, and the entries of the audit trail that it stands on.

    ``findings``: what reading the files again has shown. Raises ``NotFound``, and ``DamageFound``
    or ``ConfigError`` as the log's reading does.
    """
    row = orm.get(Playback, order.playback)
    if row is None:
        raise NotFound("There is no such playback.")
    opening = _opening(orm, row)
    entries = [*([opening] if opening is not None else []), *sent.entries]
    stated = stated_entries(orm, entries)
    files = _files(sent, segments, findings)
    streams = _streams(orm, row, sent, segments)
    position = log_position(orm, row.session_id) if row.session_id is not None else None
    recorders = {name for stream in streams for name in stream.recorders}
    return ViewingFacts(
        number=order.number,
        made=order.at_us,
        asked_by=order.asked_by,
        site=settings.site,
        issuer=settings.name,
        software=f"BidWitness {__version__}",
        playback=row.id,
        opened=row.opened_us,
        closed=row.closed_us,
        start=row.from_us,
        end=row.to_us,
        viewer=_viewer(orm, row, order.at_us, opening),
        grants=_grants(orm, row),
        session=_session(orm, row.session_id),
        sent=_sent(row, sent, segments),
        streams=streams,
        files=files,
        covers=_covers(orm, settings, files),
        log=log_facts(settings, position),
        trail=_trail(entries, stated),
        keys=(*keys_of(orm, settings, position, recorders), order.signer),
    ), stated


def _opening(orm: Orm, row: Playback) -> AuditEntry | None:
    """Give the entry that was left when the viewing was opened."""
    query = select(AuditEntry).where(
        AuditEntry.at_us == row.opened_us,
        AuditEntry.action == "playback.open",
        AuditEntry.user_id == row.user_id,
    )
    found = orm.scalars(query.order_by(AuditEntry.id))
    return next((one for one in found if (one.facts or {}).get("playback") == row.id), None)


def _viewer(orm: Orm, row: Playback, now_us: int, opening: AuditEntry | None) -> ViewerFacts:
    user = orm.get_one(User, row.user_id)
    roles = orm.scalars(select(UserRole.role).where(UserRole.user_id == user.id))
    return ViewerFacts(
        user=user.id,
        username=user.username,
        name=user.name,
        roles=tuple(sorted(roles)),
        department=person_of(orm, user.id, now_us).department,
        address=opening.address if opening is not None else None,
    )


def _grants(orm: Orm, row: Playback) -> tuple[GrantFacts, ...]:
    """Give the grants that a viewing stood on: the one that was named, else those that it was
    counted for and those without a number of views that stood for her when it was opened."""
    counted = set(orm.scalars(select(GrantUse.grant_id).where(GrantUse.playback_id == row.id)))
    if row.grant_id is not None:
        grants: Iterable[Grant] = [orm.get_one(Grant, row.grant_id)]
    else:
        held = (
            (Grant.user_id == row.user_id)
            & Grant.views.is_(None)
            & (Grant.session_id == row.session_id)
            & (Grant.made_us <= row.opened_us)
            & or_(Grant.expires_us.is_(None), Grant.expires_us > row.opened_us)
            & or_(Grant.revoked_us.is_(None), Grant.revoked_us > row.opened_us)
        )
        grants = orm.scalars(select(Grant).where(or_(Grant.id.in_(counted), held)))
    found: list[GrantFacts] = []
    for grant in sorted(grants, key=lambda grant: (grant.made_us, grant.id)):
        basis = Basis.COUNTED if grant.id in counted else Basis.HELD
        entry = row_of_grant(orm, grant.id)
        found.append(
            GrantFacts(
                grant=grant.id,
                basis=Basis.NAMED if grant.id == row.grant_id else basis,
                kind=grant.kind,
                register=entry.number if entry is not None else None,
                reason=grant.reason,
                document_no=grant.document_no,
                made=grant.made_us,
                made_by=grant.made_by,
                expires=grant.expires_us,
                revoked=grant.revoked_us,
            )
        )
    return tuple(found)


def _session(orm: Orm, session_id: str | None) -> WatchedFacts | None:
    if session_id is None:
        return None
    session = orm.get_one(Session, session_id)
    return WatchedFacts(
        session=session.id,
        kind=session.kind,
        state=session.state,
        lots=lots_of(orm, session.id),
        places=places_of(orm, session.id),
        started=session.started_us,
        ended=session.ended_us,
    )


def _sent(row: Playback, sent: Sent, segments: Segments) -> tuple[SentFacts, ...]:
    found = []
    spans = sent.spans(segments)
    for item in sorted(row.streams, key=lambda item: (item.stream_id, item.medium)):
        key = (item.stream_id, item.medium)
        noted = sent.noted.get(key)
        found.append(
            SentFacts(
                stream=item.stream_id,
                medium=item.medium,
                spans=tuple(Span(span.start, span.end) for span in spans.get(key, ())),
                first=noted[0] if noted is not None else None,
                last=noted[1] if noted is not None else None,
            )
        )
    return tuple(found)


def _streams(orm: Orm, row: Playback, sent: Sent, segments: Segments) -> tuple[StreamFacts, ...]:
    """Give each stream that was opened: its names, and what the records say of what was sent."""
    spans = sent.spans(segments)
    ids = {item.stream_id for item in row.streams}
    query = (
        select(Stream, Camera, Room)
        .join(Camera, Camera.id == Stream.camera_id)
        .join(Room, Room.id == Camera.room_id)
        .where(Stream.id.in_(ids))
        .order_by(Room.name, Camera.name, Stream.role)
    )
    found = []
    for stream, camera, room in orm.execute(query):
        seen = [span for (id_, _), parts in spans.items() if id_ == stream.id for span in parts]
        said = [
            facts
            for (id_, _, _), (_, record) in segments.items()
            if id_ == stream.id
            for facts in [record_facts(record)[0]]
            if facts is not None
        ]
        names = (camera.name, room.name, stream.role)
        found.append(stream_facts(stream.id, names, _ordered(said), union(seen)))
    return tuple(found)


def _ordered(facts: Iterable[SegmentFacts]) -> list[SegmentFacts]:
    return sorted(facts, key=lambda item: (item.place.day, item.place.seq))


def _files(
    sent: Sent, segments: Segments, findings: Mapping[Key, Finding]
) -> tuple[FileFacts, ...]:
    found = []
    for key, media in sent.files.items():
        stream, run, run_seq = key
        known = segments.get(key)
        unstored = FileFacts(stream, run, run_seq, media)
        if known is None:
            found.append(unstored)
            continue
        segment, record = known
        facts, _ = record_facts(record)
        finding = findings[key]
        found.append(
            replace(
                unstored,
                start=segment.from_us,
                end=segment.to_us,
                bytes=segment.bytes,
                sha256=segment.sha256.hex(),
                root=facts.root.sha256 if facts is not None else None,
                day=f"{record.day:08d}",
                seq=record.seq,
                leaf=record.leaf.hex(),
                state=finding.state,
                wrong=finding.wrong,
                removed=segment.removed_us,
            )
        )
    # What is not stored yet comes last.
    return tuple(sorted(found, key=lambda f: (f.start is None, f.start or 0, f.stream, f.run_seq)))


def _covers(orm: Orm, settings: Settings, files: Iterable[FileFacts]) -> tuple[CoverFacts, ...]:
    days: dict[tuple[str, str], list[int]] = {}
    for item in files:
        if item.day is not None and item.seq is not None:
            days.setdefault((item.stream, item.day), []).append(item.seq)
    found = []
    for (stream, day), seqs in sorted(days.items()):
        place = epoch_over(orm, stream, day, max(seqs))
        found.append(
            CoverFacts(
                *(stream, day, min(seqs), max(seqs)),
                recorder=place.recorder if place else None,
                epoch=place.epoch if place else None,
                origin=origin_of(settings.site, place.shard) if place else None,
                position=place.position if place else None,
                at=place.logged_us if place else None,
            )
        )
    return tuple(found)


def _trail(entries: Sequence[AuditEntry], stated: Iterable[JsonValue]) -> TrailFacts:
    logged = [item for item in stated if isinstance(item, dict) and item["place"] is not None]
    numbers = [entry.id for entry in entries]
    return TrailFacts(len(numbers), min(numbers), max(numbers), len(logged))

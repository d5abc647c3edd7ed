"""Playbacks: one person's opened viewing. What it may show is asked again at every request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.access import Ground, Person, is_protected, nearest
from bidwitness.claims import FOREVER
from bidwitness.clock import Clock
from bidwitness.errors import Forbidden, InvalidInput, NotFound
from bidwitness.intervals import Interval
from bidwitness.player.rights import Permission, claimed_by, permission
from bidwitness.rights import NOWHERE, Whence
from bidwitness.storage.grants import VIEWING_US, take_views
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.footage import MAX_SEGMENT_US
from bidwitness.storage.index.models import (
    Claim,
    GrantUse,
    Playback,
    PlaybackStream,
    Session,
    Track,
)
from bidwitness.storage.sights import StreamView, person_of, stream_views
from bidwitness.words import Action, Medium

# What a viewing needs: the first of them that is allowed. Rewind is for what records now.
SEEING = (Action.REPLAY, Action.REWIND)
# Footage about a viewing's edges decides what of a GOP on the seam is whose.
EDGE_US = MAX_SEGMENT_US
MAX_STREAMS = 64
REWIND_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to watch. Without times: all that the session claims."""

    session_id: str | None = None
    stream_ids: tuple[str, ...] = ()
    from_us: int | None = None
    to_us: int | None = None
    grant_id: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedStream:
    """``copies``: of which media a copy might be had as well, at this moment."""

    view: StreamView
    media: tuple[Medium, ...]
    copies: tuple[Medium, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """A playback as it was opened. ``to_us`` empty: up to now, while the session records."""

    id: str
    session_id: str | None
    from_us: int
    to_us: int | None
    streams: tuple[OpenedStream, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a playback may show, at this moment, of one medium of a stream.

    ``window``: what was asked for; its GOPs are shown as far as ``permission`` goes.
    ``until_us``: where it ends for good; empty while the session records.
    """

    playback_id: str
    stream_id: str
    medium: Medium
    window: Interval
    until_us: int | None
    permission: Permission


def open_playback(
    database: Database,
    clock: Clock,
    who: Who,
    user_id: str,
    wish: Wish,
    whence: Whence = NOWHERE,
) -> Opened:
    """Open a viewing of what the person may see of her wish, and audit it, allowed or not.

    ``whence``: from where she asks. It takes a view of each grant that it needs and that has a number of them. Raises
    ``InvalidInput`` for a wish that cannot be, ``NotFound``, and ``Forbidden`` if nothing of it is
    hers to see.
    """
    _check(wish)
    now = clock.utc_us()
    with database.read() as orm:
        person = with_grant(person_of(orm, user_id, now, whence), wish.grant_id)
        found = _find(orm, wish, now)
        streams, refusal = _permitted(person, found, now)
        counted = _counted(person, found, now)
    facts: dict[str, object] = {
        "from_us": found.window.start,
        "to_us": None if found.window.end == FOREVER else found.window.end,
        "grant": wish.grant_id,
    }
    subject = f"session:{wish.session_id}" if wish.session_id else "streams"
    if not streams:
        facts |= {"ground": refusal, "streams": [view.stream_id for view in found.views]}
        with database.write() as orm:
            leave_audit_entry(orm, who, "playback.open", subject, now, allowed=False, facts=facts)
        raise Forbidden(f"Not allowed: {refusal.zh} ({refusal.value}).")
    row = _row(wish, user_id, found, streams, now)
    with database.write() as orm:
        orm.add(row)
        orm.flush()
        take_views(orm, counted, row.id, now)
        facts |= {"playback": row.id, "streams": {s.view.stream_id: s.media for s in streams}}
        if counted:
            facts["views_of"] = list(counted)
        leave_audit_entry(orm, who, "playback.open", subject, now, facts=facts)
    return Opened(row.id, wish.session_id, row.from_us, row.to_us, streams)


def _check(wish: Wish) -> None:
    fields: dict[str, str] = {}
    if wish.session_id is None and not wish.stream_ids:
        fields["session_id"] = "give a session, or stream_ids"
    if wish.session_id is None and wish.stream_ids and wish.from_us is None:
        fields["from"] = "without a session, say from when"
    if len(wish.stream_ids) > MAX_STREAMS:
        fields["stream_ids"] = f"at most {MAX_STREAMS}"
    if wish.from_us is not None and wish.to_us is not None and wish.to_us <= wish.from_us:
        fields["to"] = "give a time after `from`"
    if fields:
        listed = "; ".join(f"{name}: {why}" for name, why in fields.items())
        raise InvalidInput(f"This cannot be played. {listed}.", fields=fields)


@dataclass(frozen=True, slots=True)
class _Found:
    window: Interval
    views: tuple[StreamView, ...]
    session_id: str | None


def _find(orm: Orm, wish: Wish, now: int) -> _Found:
    """Resolve a wish to a window and streams. Raises ``NotFound`` and ``InvalidInput``."""
    if wish.session_id is None:
        assert wish.from_us is not None
        window = Interval(wish.from_us, wish.to_us or FOREVER)
        ids: Sequence[str] = wish.stream_ids
    else:
        window, claimed = claimed_window(orm, wish.session_id, wish.from_us, wish.to_us)
        unknown = set(wish.stream_ids) - set(claimed)
        if unknown:
            raise InvalidInput(
                "Not all of these streams were recorded for this session.",
                fields={"stream_ids": f"not of this session: {', '.join(sorted(unknown))}"},
            )
        ids = wish.stream_ids or claimed
    return _Found(window, tuple(views_of(orm, ids, window)), wish.session_id)


def claimed_window(
    orm: Orm, session_id: str, from_us: int | None, to_us: int | None
) -> tuple[Interval, list[str]]:
    """Give the time a session's claims reach over, narrowed as wished, and their streams."""
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    claims = list(
        orm.scalars(
            select(Claim).where(Claim.session_id == session_id, Claim.withdrawn_us.is_(None))
        )
    )
    if not claims:
        raise NotFound("Nothing has been recorded for this session.")
    first = min(claim.from_us for claim in claims)
    last = max(claim.to_us or FOREVER for claim in claims)
    start = first if from_us is None else max(first, from_us)
    end = last if to_us is None else min(last, to_us)
    if end <= start:
        raise InvalidInput(
            "The session has no footage in that time.",
            fields={"from": f"the session's footage is from {first} to {last} (µs UTC)"},
        )
    return Interval(start, end), list(dict.fromkeys(claim.stream_id for claim in claims))


def view_of(orm: Orm, stream_id: str, window: Interval) -> StreamView:
    """Give a stream with what concerns its footage in the window and about its edges."""
    return views_of(orm, [stream_id], window)[0]


def views_of(orm: Orm, stream_ids: Sequence[str], window: Interval) -> list[StreamView]:
    """Give several streams as ``view_of`` gives one, in as many questions."""
    end = None if window.end == FOREVER else window.end + EDGE_US
    return stream_views(orm, stream_ids, window.start - EDGE_US, end)


def permission_of(
    person: Person,
    medium: Medium,
    view: StreamView,
    window: Interval,
    session_id: str | None,
    now: int,
    actions: Iterable[Action] = SEEING,
) -> Permission:
    """Say what of a stream's medium a person may see of a session, or of the window."""
    wanted = claimed_by(view, session_id) if session_id is not None else [window]
    return permission(person, medium, actions, view, wanted, session_id, now)


def _shows(permission: Permission, window: Interval) -> bool:
    return any(span.overlaps(window) for span in permission.spans)


def _permitted(person: Person, found: _Found, now: int) -> tuple[tuple[OpenedStream, ...], Ground]:
    streams: list[OpenedStream] = []
    refusals: list[Ground] = []
    for view in found.views:
        media: list[Medium] = []
        for medium in view.media:
            allowed = permission_of(person, medium, view, found.window, found.session_id, now)
            if _shows(allowed, found.window):
                media.append(medium)
            else:
                refusals.append(allowed.ground)
        if media:
            copies = [
                medium
                for medium in media
                if _shows(
                    permission_of(
                        person, medium, view, found.window, found.session_id, now, (Action.COPY,)
                    ),
                    found.window,
                )
            ]
            streams.append(OpenedStream(view, tuple(media), tuple(copies)))
    return tuple(streams), nearest(refusals)


def _counted(person: Person, found: _Found, now: int) -> tuple[str, ...]:
    """Name the grants with a number of viewings without which less could be seen."""
    needed: list[str] = []
    for grant in [one for one in person.grants if one.views is not None and not one.spent]:
        without = replace(person, grants=tuple(one for one in person.grants if one != grant))
        if _spans(without, found, now) == _spans(person, found, now):
            person = without
        else:
            needed.append(grant.id)
    return tuple(needed)


def _spans(person: Person, found: _Found, now: int) -> list[tuple[Interval, ...]]:
    return [
        permission_of(person, medium, view, found.window, found.session_id, now).spans
        for view in found.views
        for medium in view.media
    ]


def _row(
    wish: Wish, user_id: str, found: _Found, streams: Iterable[OpenedStream], now: int
) -> Playback:
    return Playback(
        user_id=user_id,
        session_id=wish.session_id,
        grant_id=wish.grant_id,
        from_us=found.window.start,
        to_us=None if found.window.end == FOREVER else found.window.end,
        opened_us=now,
        streams=[
            PlaybackStream(stream_id=stream.view.stream_id, medium=medium)
            for stream in streams
            for medium in stream.media
        ],
    )


def with_grant(person: Person, grant_id: str | None) -> Person:
    """Leave a person only the grant she opens the viewing by, if she names one."""
    if grant_id is None:
        return person
    chosen = tuple(grant for grant in person.grants if grant.id == grant_id)
    if not chosen:
        raise NotFound("You have no such grant.")
    return replace(person, grants=chosen)


def _in_viewing(orm: Orm, person: Person, row: Playback, now_us: int) -> Person:
    """Leave a person, of the grants that have a number of viewings, those that this one was
    counted for, as long as a viewing lasts."""
    if all(grant.views is None for grant in person.grants):
        return person
    counted = set(orm.scalars(select(GrantUse.grant_id).where(GrantUse.playback_id == row.id)))
    if now_us >= row.opened_us + VIEWING_US:
        counted = set()
    grants = tuple(
        grant if grant.views is None else replace(grant, spent=grant.id not in counted)
        for grant in person.grants
    )
    return replace(person, grants=grants)


def recheck(
    orm: Orm,
    playback_id: str,
    user_id: str,
    stream_id: str,
    medium: Medium,
    now_us: int,
    whence: Whence = NOWHERE,
) -> Scope:
    """Say what a playback may show now. Call for every request; the login was checked before.

    Raises ``NotFound`` if it is not hers, was closed or does not hold that medium, ``Forbidden``
    if nothing of it may be seen any more.
    """
    row = orm.get(Playback, playback_id)
    if row is None or row.user_id != user_id or row.closed_us is not None:
        raise NotFound("There is no such playback.")
    if orm.get(PlaybackStream, (playback_id, stream_id, medium)) is None:
        if medium is Medium.PICTURE and _sound_alone(orm, playback_id, stream_id):
            raise NotFound("This stream has sound alone: there is no picture of it.")
        raise NotFound("The playback does not hold this.")
    person = with_grant(person_of(orm, user_id, now_us, whence), row.grant_id)
    person = _in_viewing(orm, person, row, now_us)
    window = Interval(row.from_us, FOREVER if row.to_us is None else row.to_us)
    view = view_of(orm, stream_id, window)
    allowed = permission_of(person, medium, view, window, row.session_id, now_us)
    if not _shows(allowed, window):
        raise Forbidden(f"Not allowed any more: {allowed.ground.zh} ({allowed.ground.value}).")
    until = row.to_us
    if row.session_id is not None:
        end = max(span.end for span in claimed_by(view, row.session_id))
        until = min(window.end, end)
        until = None if until == FOREVER else until
    return Scope(playback_id, stream_id, medium, window, until, allowed)


def check_may_be_linked(orm: Orm, playback_id: str) -> None:
    """Refuse an address without a login for what is secret still, at any time of the playback.

    Raises ``NotFound``, ``Forbidden``.
    """
    row = orm.get(Playback, playback_id)
    if row is None:
        raise NotFound("There is no such playback.")
    window = Interval(row.from_us, FOREVER if row.to_us is None else row.to_us)
    ids = sorted({stream.stream_id for stream in row.streams})
    if any(is_protected(view.context(window)) for view in views_of(orm, ids, window)):
        raise Forbidden("This footage is secret still: it is watched in these pages alone.")


def _sound_alone(orm: Orm, playback_id: str, stream_id: str) -> bool:
    """Say so of a stream that the playback holds."""
    held = orm.get(PlaybackStream, (playback_id, stream_id, Medium.SOUND)) is not None
    tracks = select(Track.medium).where(Track.stream_id == stream_id)
    return held and Medium.PICTURE not in set(orm.scalars(tracks))


def close_playback(database: Database, clock: Clock, who: Who, playback_id: str) -> None:
    """End a viewing by its owner's wish. Raises ``NotFound`` if it is not hers."""
    now = clock.utc_us()
    with database.write() as orm:
        row = orm.get(Playback, playback_id)
        if row is None or row.user_id != who.user_id:
            raise NotFound("There is no such playback.")
        if row.closed_us is None:
            row.closed_us = now
            leave_audit_entry(orm, who, "playback.close", f"playback:{row.id}", now)

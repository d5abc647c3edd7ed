"""Sessions: planned, run by commands, sealed, verified; listed for whoever may know of them."""

import threading
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query

from bidwitness.api.deps import CurrentUser, Me, Parts, ThePartsOf
from bidwitness.api.schemas import (
    DEFAULT_LIMIT,
    Answer,
    CursorQuery,
    IdPath,
    LimitQuery,
    SearchQuery,
    cursor_of,
    place_of,
)
from bidwitness.api.seeing import check_may_read_about
from bidwitness.api.session_forms import (
    CancelBody,
    ChangeBody,
    ClaimBody,
    ClaimsAnswer,
    ConditionBody,
    EndBody,
    ExtendBody,
    MoveBody,
    OneSessionAnswer,
    RelationBody,
    Seen,
    SessionBody,
    SessionPage,
    StartBody,
    claim_answers,
    one_session_answer,
    session_answer,
)
from bidwitness.errors import Forbidden, NotFound, TooMany
from bidwitness.session import Verb, check_may
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.knowing import known_sessions
from bidwitness.storage.sessions.commands import Said, SessionCommands
from bidwitness.storage.sessions.create import create_session
from bidwitness.storage.sessions.verify import Verification, verify_session
from bidwitness.storage.sessions.views import Wish, list_sessions, session_details, view_session
from bidwitness.words import SessionState

router = APIRouter(prefix="/sessions", tags=["sessions"])

# Reading hours of footage again takes a disk for itself: one at a time in this process.
_verifying = threading.Lock()
VERIFY_AGAIN_S = 30


@router.get("")
def sessions(
    user: Me,
    parts: ThePartsOf,
    state: Annotated[SessionState | None, Query()] = None,
    room_id: Annotated[str | None, Query(max_length=16)] = None,
    q: SearchQuery = None,
    cursor: CursorQuery = None,
    limit: LimitQuery = DEFAULT_LIMIT,
) -> SessionPage:
    """Sessions, the latest planned first; ``q`` is a part of a project's code or name.

    Everybody sees those within her scope, and those granted to her.
    """
    place = place_of(cursor, (int, str))
    after = (int(place[0]), str(place[1])) if place is not None else None
    with parts.database.read() as orm:
        known = known_sessions(orm, user.id, parts.clock.utc_us())
        wish = Wish(state=state, room_id=room_id, q=q, known=known)
        views, last = list_sessions(
            orm, parts.settings, parts.clock.utc_us(), wish, after=after, limit=limit
        )
        items = [session_answer(view) for view in views]
    return SessionPage(items=items, next_cursor=cursor_of(*last) if last else None)


@router.post("", status_code=201)
def plan(body: SessionBody, user: Me, parts: ThePartsOf) -> OneSessionAnswer:
    """Plan a session of one or more lots in one or more rooms."""
    check_may(Verb.PLAN, user.roles)
    with parts.database.write() as orm:
        made = create_session(orm, parts.clock, parts.settings, user.who, body.new())
        session_id = made.id
    return _answer(parts, session_id)


@router.get("/{session_id}")
def one(session_id: IdPath, user: Me, parts: ThePartsOf) -> OneSessionAnswer:
    """One session with its claims, its course, its alarms and its coverage per camera."""
    now = parts.clock.utc_us()
    with parts.database.read() as orm:
        try:
            check_may_read_about(orm, user, session_id, now)
        except Forbidden:
            # Whoever may not know of a session must not learn that there is one.
            raise NotFound("There is no such session.") from None
    return _answer(parts, session_id)


@router.patch("/{session_id}")
def change(session_id: IdPath, body: ChangeBody, user: Me, parts: ThePartsOf) -> OneSessionAnswer:
    """Correct lots or kind, or book other rooms, for a reason."""

    def act(commands: SessionCommands) -> None:
        version = body.version
        if body.items is not None or body.kind is not None:
            items = None if body.items is None else [item.new() for item in body.items]
            commands.amend(session_id, body.reason, items=items, kind=body.kind, version=version)
            version = None
        if body.bookings is not None:
            bookings = [booking.new() for booking in body.bookings]
            commands.move(session_id, bookings, reason=body.reason, version=version)

    return _do(parts, user, session_id, act)


@router.post("/{session_id}/start")
def start(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: StartBody | None = None
) -> OneSessionAnswer:
    """Start now; ``takes_over`` ends the session that still records in these rooms."""
    body = body or StartBody()
    return _do(
        parts,
        user,
        session_id,
        lambda c: c.start(session_id, takes_over=body.takes_over, version=body.version),
    )


@router.post("/{session_id}/suspend")
def suspend(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: ConditionBody | None = None
) -> OneSessionAnswer:
    """Note that the business stands still, for a reason; recording goes on."""
    said, version = _said(body)
    return _do(parts, user, session_id, lambda c: c.suspend(session_id, said, version=version))


@router.post("/{session_id}/recess")
def recess(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: ConditionBody | None = None
) -> OneSessionAnswer:
    """Note that the business rests, perhaps overnight; recording goes on."""
    said, version = _said(body)
    return _do(parts, user, session_id, lambda c: c.recess(session_id, said, version=version))


@router.post("/{session_id}/resume")
def resume(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: ConditionBody | None = None
) -> OneSessionAnswer:
    """Note that the business goes on."""
    said, version = _said(body)
    return _do(parts, user, session_id, lambda c: c.resume(session_id, said, version=version))


@router.post("/{session_id}/extend")
def extend(session_id: IdPath, body: ExtendBody, user: Me, parts: ThePartsOf) -> OneSessionAnswer:
    """Plan a later end."""
    return _do(
        parts,
        user,
        session_id,
        lambda c: c.extend(session_id, body.planned_to, version=body.version),
    )


@router.post("/{session_id}/move")
def move(session_id: IdPath, body: MoveBody, user: Me, parts: ThePartsOf) -> OneSessionAnswer:
    """Book other rooms; while it records, leave and enter them now."""
    bookings = [booking.new() for booking in body.bookings]
    return _do(
        parts,
        user,
        session_id,
        lambda c: c.move(session_id, bookings, reason=body.reason, version=body.version),
    )


@router.post("/{session_id}/end")
def end(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: EndBody | None = None
) -> OneSessionAnswer:
    """End it, with its outcome; the undo window opens."""
    body = body or EndBody()
    return _do(
        parts, user, session_id, lambda c: c.end(session_id, body.outcome, version=body.version)
    )


@router.post("/{session_id}/undo-end")
def undo_end(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: Seen | None = None
) -> OneSessionAnswer:
    """Go on as if it had not ended, within the undo window."""
    version = body.version if body else None
    return _do(parts, user, session_id, lambda c: c.undo_end(session_id, version=version))


@router.post("/{session_id}/cancel")
def cancel(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: CancelBody | None = None
) -> OneSessionAnswer:
    """Give up a session that has not started, for a reason."""
    body = body or CancelBody()
    reason, version = body.reason or "", body.version
    return _do(parts, user, session_id, lambda c: c.cancel(session_id, reason, version=version))


@router.post("/{session_id}/claims")
def claim(session_id: IdPath, body: ClaimBody, user: Me, parts: ThePartsOf) -> ClaimsAnswer:
    """Claim footage that is in the loop already (补录入), for a reason."""
    with parts.database.write() as orm:
        commands = SessionCommands(orm, parts.clock, parts.settings, user.who, user.roles)
        made = commands.claim(
            session_id, body.stream_ids, body.from_, body.to, body.reason, version=body.version
        )
        return ClaimsAnswer(items=claim_answers(made))


@router.post("/{session_id}/relations")
def relate(session_id: IdPath, body: RelationBody, user: Me, parts: ThePartsOf) -> OneSessionAnswer:
    """Say that it continues, clarifies, rechecks … another session."""
    return _do(parts, user, session_id, lambda c: c.relate(session_id, body.other_id, body.kind))


@router.post("/{session_id}/seal", status_code=202)
def seal(
    session_id: IdPath, user: Me, parts: ThePartsOf, body: Seen | None = None
) -> OneSessionAnswer:
    """Close the undo window now: `keep` seals as soon as the last footage is committed."""
    version = body.version if body else None
    return _do(parts, user, session_id, lambda c: c.seal(session_id, version=version))


class StreamVerified(Answer):
    stream_id: str
    camera: str
    role: str
    segments: int
    bytes: int
    recorded_us: int
    gaps: int
    problems: list[str]


class VerifyAnswer(Answer):
    ok: bool
    sealed: bool
    records: int
    problems: list[str]
    streams: list[StreamVerified]


@router.post("/{session_id}/verify")
def verify(session_id: IdPath, user: Me, parts: ThePartsOf) -> VerifyAnswer:
    """Read every digest of the session again, from the store. Takes as long as reading it does."""
    check_may(Verb.VERIFY, user.roles)
    if not _verifying.acquire(blocking=False):
        raise TooMany(
            "Another session is being verified. Try again when it is done.",
            retry_after_s=VERIFY_AGAIN_S,
        )
    try:
        footage = open_footage(parts.settings, parts.clock)
        found = verify_session(parts.database, parts.clock, footage, session_id)
    finally:
        _verifying.release()
    with parts.database.write() as orm:
        leave_audit_entry(
            orm,
            user.who,
            "session.verify",
            f"session:{session_id}",
            parts.clock.utc_us(),
            facts={"ok": found.ok, "problems": len(found.all_problems)},
        )
    return _verified(found)


def _verified(found: Verification) -> VerifyAnswer:
    return VerifyAnswer(
        ok=found.ok,
        sealed=found.sealed,
        records=found.records,
        problems=found.all_problems,
        streams=[
            StreamVerified(
                stream_id=item.stream_id,
                camera=item.camera,
                role=item.role,
                segments=item.segments,
                bytes=item.bytes,
                recorded_us=item.recorded_us,
                gaps=item.gaps,
                problems=item.problems[:10],
            )
            for item in found.streams
        ],
    )


def _said(body: ConditionBody | None) -> tuple[Said, int | None]:
    if body is None:
        return Said(), None
    return Said(body.reason, body.decided_by, body.document_no), body.version


def _do(
    parts: Parts, user: CurrentUser, session_id: str, act: Callable[[SessionCommands], Any]
) -> OneSessionAnswer:
    """Carry a command out in one transaction, and answer with the session as it is then."""
    with parts.database.write() as orm:
        act(SessionCommands(orm, parts.clock, parts.settings, user.who, user.roles))
    return _answer(parts, session_id)


def _answer(parts: Parts, session_id: str) -> OneSessionAnswer:
    with parts.database.read() as orm:
        view = view_session(orm, parts.settings, parts.clock.utc_us(), session_id)
        return one_session_answer(view, session_details(orm, view.session))

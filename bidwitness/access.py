"""Who may see what: the one function that every sight passes. Pure, default deny.

Two questions are answered. ``may``: may this person do this with this medium of a stream in this
time? ``visible`` (from ``bidwitness.seam``): which of the stream's pieces are hers to see?
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bidwitness.intervals import Interval, subtract
from bidwitness.items import is_secret, strictest_phase
from bidwitness.seam import Piece, visible
from bidwitness.words import (
    Action,
    ClaimClass,
    LotPhase,
    Medium,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
    Word,
)

__all__ = [
    "BY_GRANT",
    "BY_ROLE",
    "Context",
    "Grant",
    "Ground",
    "Person",
    "Piece",
    "Presence",
    "Verdict",
    "is_protected",
    "may",
    "visible",
]

ALL_MEDIA = frozenset(Medium)
SEEN_AND_HEARD = frozenset({Medium.PICTURE, Medium.SOUND})


class Ground(Word):
    """Why the answer is what it is: for the audit entry and for the person."""

    ROLE = "role", "岗位权限"
    GRANT = "grant", "调阅授权"
    NO_RULE = "no_rule", "无此权限"
    ADMIN = "admin", "系统管理员不得查看录像"
    NEEDS_GRANT = "needs_grant", "须有调阅授权"
    OUTSIDE_GRANT = "outside_grant", "超出授权范围"
    OTHER_SESSION = "other_session", "涉及其他场次"
    NOT_RUNNING = "not_running", "场次未在录制"
    UNCLAIMED = "unclaimed", "未被场次认领的录像"
    CLASSIFIED = "classified", "涉密期间"
    PRIVATE_ROOM = "private_room", "休息室不得监控"


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to see or copy. Without ``interval``: as far as the session's claims reach."""

    id: str
    session_id: str
    media: frozenset[Medium]
    actions: frozenset[Action]
    interval: Interval | None = None
    stream_ids: frozenset[str] | None = None
    expires_us: int | None = None
    revoked: bool = False

    def valid(self, now_us: int) -> bool:
        return not self.revoked and (self.expires_us is None or now_us < self.expires_us)


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever asks: her roles and her grants, valid or not."""

    user_id: str
    roles: frozenset[Role]
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class Presence:
    """A session that the footage concerns.

    ``klass`` is empty for one that only has the room booked: the footage is not its own, but what
    it is about counts for how strictly the room is treated. ``interval``: its claim or booking.
    """

    session_id: str
    kind: SessionKind
    state: SessionState
    interval: Interval
    klass: ClaimClass | None = ClaimClass.OWN
    phases: tuple[LotPhase, ...] = ()
    classified: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """A time of a stream with *every* claim and booking that overlaps it."""

    stream_id: str
    interval: Interval
    room_kind: RoomKind
    presences: tuple[Presence, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """``needs`` names what would have to be granted. ``protected``: secret still, so nothing of
    it may be cached, linked to or shown on an unattended display."""

    allowed: bool
    ground: Ground
    needs: tuple[Action, ...] = field(default=())
    protected: bool = False

    @property
    def reason(self) -> str:
        """The ground in words for people."""
        return self.ground.zh


# Rooms and sessions whose talk is secret until the result of the lot is published.
PROTECTED_ROOMS = frozenset(
    {
        RoomKind.EVALUATION,
        RoomKind.NEGOTIATION,
        RoomKind.CLARIFICATION,
        RoomKind.EXPERT_DRAW,
        RoomKind.SUPERVISION,
        RoomKind.CORRIDOR,
    }
)
PROTECTED_SESSIONS = frozenset(
    {
        SessionKind.EVALUATION,
        SessionKind.NEGOTIATION,
        SessionKind.CLARIFICATION,
        SessionKind.EXPERT_DRAW,
    }
)

# The table: role → action → (media of an open room, of a protected one, of unclaimed footage).
# What does not stand here is refused. A system administrator has no row and never gets one.
_NONE: frozenset[Medium] = frozenset()
BY_ROLE: dict[
    Role, dict[Action, tuple[frozenset[Medium], frozenset[Medium], frozenset[Medium]]]
] = {
    Role.SUPERVISOR: {
        Action.LIVE: (ALL_MEDIA, SEEN_AND_HEARD, SEEN_AND_HEARD),
        Action.REWIND: (ALL_MEDIA, SEEN_AND_HEARD, _NONE),
    },
}
# What a grant can give whom; the grant still has to name the medium and the action itself.
BY_GRANT: dict[Role, frozenset[Action]] = {
    Role.AUDITOR: frozenset({Action.REPLAY, Action.SNAPSHOT, Action.COPY}),
}


def may(who: Person, medium: Medium, action: Action, on: Context, now_us: int) -> Verdict:
    """Say whether somebody may do something with a medium of a stream in a time.

    The strictest answer over the room's kind, every session present and every part of the time
    that no session claims. Nothing is allowed that the table does not name.
    """
    protected = is_protected(on)
    for ground in _forbidden_to_all(who, on):
        return Verdict(False, ground, (), protected)
    ground = _by_role(who, medium, action, on, protected)
    if ground == Ground.ROLE:
        return Verdict(True, ground, (), protected)
    if not any(action in BY_GRANT.get(role, ()) for role in who.roles):
        return Verdict(False, ground, (), protected)
    ground = _by_grant(who, medium, action, on, now_us)
    allowed = ground == Ground.GRANT
    return Verdict(allowed, ground, () if allowed else (action,), protected)


def is_protected(on: Context) -> bool:
    """Say whether the footage is secret still, by the strictest of its room and its sessions."""
    kinds = {presence.kind for presence in on.presences}
    if on.room_kind not in PROTECTED_ROOMS and not kinds & PROTECTED_SESSIONS:
        return False
    phases = [phase for presence in on.presences for phase in presence.phases]
    return is_secret(strictest_phase(phases))


def _forbidden_to_all(who: Person, on: Context) -> Iterable[Ground]:
    if on.room_kind == RoomKind.REST:
        yield Ground.PRIVATE_ROOM
    if any(presence.classified for presence in on.presences):
        yield Ground.CLASSIFIED
    # Whoever configures the platform sees no footage, whatever else she may be.
    if Role.SYSTEM_ADMIN in who.roles:
        yield Ground.ADMIN


def _claims(on: Context) -> list[Presence]:
    return [presence for presence in on.presences if presence.klass is not None]


def _unclaimed(on: Context) -> bool:
    return bool(subtract([on.interval], [presence.interval for presence in _claims(on)]))


def _by_role(who: Person, medium: Medium, action: Action, on: Context, protected: bool) -> Ground:
    best = Ground.NO_RULE
    for role in sorted(who.roles):
        rule = BY_ROLE.get(role, {}).get(action)
        if rule is None:
            continue
        in_open, in_protected, in_unclaimed = rule
        if medium not in (in_protected if protected else in_open):
            continue
        if _unclaimed(on) and medium not in in_unclaimed:
            best = Ground.UNCLAIMED
        elif any(presence.state != SessionState.RECORDING for presence in _claims(on)):
            # Live and rewind are for what runs; what has ended is replayed, by a grant.
            best = Ground.NOT_RUNNING
        else:
            return Ground.ROLE
    return best


def _by_grant(who: Person, medium: Medium, action: Action, on: Context, now_us: int) -> Ground:
    """Every session whose footage it is must be granted, and no part may be nobody's."""
    if not any(grant.valid(now_us) for grant in who.grants):
        return Ground.NEEDS_GRANT
    sessions = {presence.session_id for presence in _claims(on)}
    granted = {
        grant.session_id
        for grant in who.grants
        if grant.valid(now_us)
        and medium in grant.media
        and action in grant.actions
        and (grant.stream_ids is None or on.stream_id in grant.stream_ids)
        and (
            grant.interval is None
            or (grant.interval.start <= on.interval.start and on.interval.end <= grant.interval.end)
        )
    }
    if _unclaimed(on):
        return Ground.UNCLAIMED
    if not sessions & granted:
        return Ground.OUTSIDE_GRANT
    return Ground.GRANT if sessions <= granted else Ground.OTHER_SESSION

"""Who may see what: the one function that every sight passes. Pure, default deny.

Two questions are answered. ``may``: may this person do this with this medium of a stream in this
time? ``visible`` (from ``bidwitness.seam``): which of the stream's pieces are hers to see?
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bidwitness.intervals import Interval, subtract
from bidwitness.items import is_secret, strictest_phase
from bidwitness.rights import (
    ADMINISTRATORS,
    ASSIGNED,
    BY_GRANT,
    BY_ROLE,
    CAREFUL,
    CLOSED_ROOMS,
    CLOSED_SESSIONS,
    NOTHING,
    NOWHERE,
    VIEWED,
    WHILE_RUNNING,
    Cell,
    Duty,
    Matter,
    Media,
    RightsPolicy,
    Scope,
    Whence,
)
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
    "Context",
    "Grant",
    "Ground",
    "Person",
    "Piece",
    "Presence",
    "Verdict",
    "is_closed",
    "is_protected",
    "may",
    "nearest",
    "visible",
]


class Ground(Word):
    """Why the answer is what it is: for the audit entry and for the person."""

    ROLE = "role", "岗位权限"
    GRANT = "grant", "调阅授权"
    BREAK_GLASS = "break_glass", "应急查看"
    NO_RULE = "no_rule", "无此权限"
    ADMIN = "admin", "管理员不得查看录像"
    OUTSIDE_SCOPE = "outside_scope", "不在职责范围内"
    NOT_ON_DUTY = "not_on_duty", "不在值守安排内"
    NOT_AT_POST = "not_at_post", "须在登记的显示终端或值守网络内值守"
    NOBODY_ON_DUTY = "nobody_on_duty", "无监督人员值守"
    NOT_ON_DISPLAY = "not_on_display", "不在此显示终端的显示范围内"
    NEEDS_DEPARTMENT = "needs_department", "须经监督部门批准"
    NEEDS_GRANT = "needs_grant", "须有调阅授权"
    OUTSIDE_GRANT = "outside_grant", "超出授权范围"
    OTHER_SESSION = "other_session", "涉及其他场次"
    NOT_RUNNING = "not_running", "场次未在录制"
    UNCLAIMED = "unclaimed", "未被场次认领的录像"
    CLASSIFIED = "classified", "涉密期间"
    PRIVATE_ROOM = "private_room", "休息室不得监控"


# What lacks least comes first: what one person, or a word of others, could still mend.
_NEAREST = (
    Ground.NOT_AT_POST,
    Ground.NOT_ON_DUTY,
    Ground.NEEDS_DEPARTMENT,
    Ground.NEEDS_GRANT,
    Ground.OUTSIDE_GRANT,
    Ground.OTHER_SESSION,
    Ground.NOT_RUNNING,
    Ground.UNCLAIMED,
    Ground.OUTSIDE_SCOPE,
    Ground.ADMIN,
    Ground.NO_RULE,
)


def nearest(refusals: Iterable[Ground]) -> Ground:
    """Of why several streams and media are refused, give what to tell the person: what came
    nearest to a yes, whatever else lies in a room that nobody may see. Pure."""
    found = set(refusals)
    for ground in _NEAREST:
        if ground in found:
            return ground
    return min(found, default=Ground.NO_RULE)


# Her role lets her, or she has taken it upon herself.
_HERS = (Ground.ROLE, Ground.BREAK_GLASS)


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
    # The supervising department has agreed: needed while a closed sitting is secret. Nobody is
    # asked about what an authority demands.
    department: bool = False
    # How many viewings may be opened by it (empty: any number), and whether there is none left.
    views: int | None = None
    spent: bool = False
    # It stands in for a turn of duty, and for nothing else: see ``bidwitness.break_glass``.
    break_glass: bool = False

    def valid(self, now_us: int) -> bool:
        return not self.revoked and (self.expires_us is None or now_us < self.expires_us)

    def lets(self, action: Action) -> bool:
        """Say whether it is for this action, and may be viewed by still."""
        return action in self.actions and not (self.spent and action in VIEWED)


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever asks: her roles, where each holds, her turns of duty, her grants, valid or not, and
    from where she asks.

    A role without a scope holds everywhere, unless it is one that is ``ASSIGNED``.
    """

    user_id: str
    roles: frozenset[Role]
    grants: tuple[Grant, ...] = ()
    scopes: tuple[tuple[Role, Scope], ...] = ()
    duties: tuple[Duty, ...] = ()
    policy: RightsPolicy = CAREFUL
    whence: Whence = NOWHERE

    @property
    def department(self) -> str:
        """The supervising departments she is there for, by her scopes and turns of duty, in words."""
        scoped = {scope.department for _, scope in self.scopes if scope.department}
        return "、".join(sorted(scoped | {duty.department for duty in self.duties}))


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
    matters: frozenset[Matter] = frozenset()


@dataclass(frozen=True, slots=True)
class Context:
    """A time of a stream with *every* claim and booking that overlaps it.

    ``near``: the sessions that have the room about that time, as far as a turn of duty reaches.
    """

    stream_id: str
    interval: Interval
    room_kind: RoomKind
    presences: tuple[Presence, ...] = ()
    site_id: str | None = None
    near: tuple[Presence, ...] = ()
    room_id: str | None = None
    # The room is classified at that time, as an approved interval says.
    classified: bool = False


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


def may(who: Person, medium: Medium, action: Action, on: Context, now_us: int) -> Verdict:
    """Say whether somebody may do something with a medium of a stream in a time.

    The strictest answer over the room's kind, every session present and every part of the time
    that no session claims. Nothing is allowed that the table (``bidwitness.rights``) does not name.
    """
    protected = is_protected(on)
    for ground in _forbidden_to_all(who, on):
        return Verdict(False, ground, (), protected)
    ground = _by_role(who, medium, action, on, now_us)
    if ground in _HERS:
        return Verdict(True, ground, (), protected)
    if not any(action in BY_GRANT.get(role, ()) for role in who.roles):
        return Verdict(False, ground, (), protected)
    granted = _by_grant(who, medium, action, on, now_us)
    if granted == Ground.GRANT:
        return Verdict(True, granted, (), protected)
    # A supervisor off duty is told so, not that she might have asked for a grant.
    ground = granted if ground == Ground.NO_RULE else ground
    return Verdict(False, ground, (action,), protected)


def is_closed(on: Context) -> bool:
    """Say whether a place or a session is one whose talk is secret, whatever its phase."""
    kinds = {presence.kind for presence in on.presences or on.near}
    return on.room_kind in CLOSED_ROOMS or bool(kinds & CLOSED_SESSIONS)


def is_protected(on: Context) -> bool:
    """Say whether the footage is secret still, by the strictest of its room and its sessions."""
    kinds = {presence.kind for presence in on.presences}
    if on.room_kind not in CLOSED_ROOMS and not kinds & CLOSED_SESSIONS:
        return False
    phases = [phase for presence in on.presences for phase in presence.phases]
    return is_secret(strictest_phase(phases))


def _forbidden_to_all(who: Person, on: Context) -> Iterable[Ground]:
    if on.room_kind == RoomKind.REST:
        yield Ground.PRIVATE_ROOM
    if on.classified or any(presence.classified for presence in on.presences):
        yield Ground.CLASSIFIED
    # Whoever configures the platform sees no footage, whatever else she may be.
    if who.roles & ADMINISTRATORS:
        yield Ground.ADMIN


def _claims(on: Context) -> list[Presence]:
    return [presence for presence in on.presences if presence.klass is not None]


def _unclaimed(on: Context) -> bool:
    return bool(subtract([on.interval], [presence.interval for presence in _claims(on)]))


def _by_role(who: Person, medium: Medium, action: Action, on: Context, now_us: int) -> Ground:
    """Give one of ``_HERS`` if one of her roles allows it, else the ground that came nearest."""
    best = Ground.NO_RULE
    for role in sorted(who.roles):
        cell = BY_ROLE.get(role, {}).get(action)
        if cell is None:
            continue
        ground = _by_cell(who, role, cell, medium, on, now_us)
        if ground == Ground.NOT_ON_DUTY and _broke_glass(who, medium, action, on, now_us):
            ground = Ground.BREAK_GLASS
        if ground in _HERS:
            return ground
        best = ground if ground != Ground.NO_RULE else best
    return best


def _by_cell(
    who: Person, role: Role, cell: Cell, medium: Medium, on: Context, now_us: int
) -> Ground:
    closed = is_closed(on)
    if medium not in _cell_media(cell, role, who.policy, closed=closed):
        return Ground.NO_RULE
    if _unclaimed(on) and medium not in (cell.idle_closed if closed else cell.idle):
        return Ground.UNCLAIMED
    if any(presence.state != SessionState.RECORDING for presence in _claims(on)):
        # Live and rewind are for what runs; what has ended is replayed, by a grant.
        return Ground.NOT_RUNNING
    if not _in_scope(who, role, on):
        return Ground.OUTSIDE_SCOPE
    return _by_duty(who, on, now_us) if role == Role.SUPERVISOR else Ground.ROLE


def _by_duty(who: Person, on: Context, now_us: int) -> Ground:
    """A supervisor is on duty for it, and where duty is done, as far as the centre wants that."""
    if who.policy.supervisors_need_duty and not _on_duty(who, on, now_us):
        return Ground.NOT_ON_DUTY
    if who.policy.duty_at_posts and not who.whence.is_post:
        return Ground.NOT_AT_POST
    return Ground.ROLE


def _cell_media(cell: Cell, role: Role, policy: RightsPolicy, *, closed: bool) -> Media:
    if not closed:
        return cell.open
    if role == Role.ATTESTOR and policy.attestors_hear:
        return cell.closed | ({Medium.SOUND} if cell.closed else NOTHING)
    return cell.closed


def _in_scope(who: Person, role: Role, on: Context) -> bool:
    """Say whether a role of hers holds here, for every session whose footage it is."""
    scopes = [scope for holder, scope in who.scopes if holder == role]
    if not scopes:
        return role not in ASSIGNED
    placed = [scope for scope in scopes if scope.fits_place(on.site_id, on.room_kind)]
    about = _claims(on) or list(on.presences)
    if not about:
        return any(scope.is_of_place for scope in placed)
    return all(any(scope.fits(p.session_id, p.matters) for scope in placed) for p in about)


def _on_duty(who: Person, on: Context, now_us: int) -> bool:
    """Say whether a turn of hers covers every session here, or, between sessions, every near one."""
    about = _claims(on) or list(on.presences) or list(on.near)
    return bool(about) and all(
        any(duty.covers(presence.matters, now_us) for duty in who.duties) for presence in about
    )


def _broke_glass(who: Person, medium: Medium, action: Action, on: Context, now_us: int) -> bool:
    """Say whether she took it upon herself to see this without a turn of duty, and may still.

    Asked only where nothing but the duty lacks, so the default table and her scope hold as ever.
    """
    sessions = {presence.session_id for presence in _claims(on)}
    taken = {
        grant.session_id
        for grant in who.grants
        if grant.break_glass
        and grant.valid(now_us)
        and grant.lets(action)
        and medium in grant.media
    }
    return who.policy.break_glass and bool(sessions) and sessions <= taken


def _by_grant(who: Person, medium: Medium, action: Action, on: Context, now_us: int) -> Ground:
    """Every session whose footage it is must be granted, and no part may be nobody's."""
    valid = [grant for grant in who.grants if grant.valid(now_us) and not grant.break_glass]
    if not valid:
        return Ground.NEEDS_GRANT
    sessions = {presence.session_id for presence in _claims(on)}
    reaching = [
        grant
        for grant in valid
        if medium in grant.media
        and grant.lets(action)
        and (grant.stream_ids is None or on.stream_id in grant.stream_ids)
        and (
            grant.interval is None
            or (grant.interval.start <= on.interval.start and on.interval.end <= grant.interval.end)
        )
    ]
    granted = {grant.session_id for grant in reaching}
    if _unclaimed(on):
        return Ground.UNCLAIMED
    if not sessions & granted:
        return Ground.OUTSIDE_GRANT
    if not sessions <= granted:
        return Ground.OTHER_SESSION
    running = all(presence.state == SessionState.RECORDING for presence in _claims(on))
    if action in WHILE_RUNNING:
        return Ground.GRANT if running else Ground.NOT_RUNNING
    if who.policy.department_approves and is_protected(on):
        agreed = {grant.session_id for grant in reaching if grant.department}
        return Ground.GRANT if sessions <= agreed else Ground.NEEDS_DEPARTMENT
    return Ground.GRANT

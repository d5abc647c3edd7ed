"""The rights table: what each role may do with which medium, and what narrows it. Pure values.

``bidwitness.access.may`` decides by it; docs/rights.md says why it is as it is. What does not stand
here is refused: a role without a row, an action that is not in its row, a medium not in the cell.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from bidwitness.errors import Forbidden, InvalidInput
from bidwitness.networks import is_within
from bidwitness.words import (
    Action,
    CopyForm,
    GrantKind,
    Medium,
    ProjectCategory,
    Role,
    RoomKind,
    SessionKind,
)

Media = frozenset[Medium]

NOTHING: Media = frozenset()
PICTURE: Media = frozenset({Medium.PICTURE})
BOTH: Media = frozenset({Medium.PICTURE, Medium.SOUND})

# Rooms and sessions whose talk is secret until the result of the lot is published.
CLOSED_ROOMS = frozenset(
    {
        RoomKind.EVALUATION,
        RoomKind.NEGOTIATION,
        RoomKind.CLARIFICATION,
        RoomKind.EXPERT_DRAW,
        RoomKind.SUPERVISION,
        RoomKind.CORRIDOR,
    }
)
CLOSED_SESSIONS = frozenset(
    {
        SessionKind.EVALUATION,
        SessionKind.NEGOTIATION,
        SessionKind.CLARIFICATION,
        SessionKind.EXPERT_DRAW,
    }
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Which media: of an open sitting, of a closed one, and of footage that no session claims,
    in an open place and in a closed one."""

    open: Media
    closed: Media = NOTHING
    idle: Media = NOTHING
    idle_closed: Media = NOTHING


# By the role alone, while the session records. Whoever has no row sees nothing without a grant.
BY_ROLE: dict[Role, dict[Action, Cell]] = {
    Role.SUPERVISOR: {
        Action.LIVE: Cell(BOTH, BOTH, BOTH, PICTURE),
        Action.REWIND: Cell(BOTH, BOTH),
    },
    Role.ATTESTOR: {
        # Sound of a closed sitting: see ``RightsPolicy.attestors_hear``.
        Action.LIVE: Cell(BOTH, PICTURE),
        Action.REWIND: Cell(BOTH, PICTURE),
    },
    Role.VENUE: {
        Action.LIVE: Cell(PICTURE),
    },
}
# A registered display: the picture of what runs, and nothing else ever. By whether it stands in a
# supervision room: only there does it show what is closed. What it shows has to be within its
# scope besides, and somebody on duty for it (``bidwitness.showing``).
BY_DISPLAY: dict[bool, dict[Action, Cell]] = {
    True: {Action.LIVE: Cell(PICTURE, PICTURE, PICTURE, PICTURE)},
    False: {Action.LIVE: Cell(PICTURE, NOTHING, PICTURE, NOTHING)},
}
# What a grant can give whom; the grant still has to name the medium and the action itself.
BY_GRANT: dict[Role, frozenset[Action]] = {
    Role.SUPERVISOR: frozenset({Action.LIVE, Action.REWIND, Action.REPLAY}),
    Role.AUDITOR: frozenset({Action.REPLAY, Action.SNAPSHOT, Action.COPY}),
    Role.ARCHIVIST: frozenset({Action.COPY}),
}
# They see what runs; everything else shows what was recorded, and is the stricter for it.
WHILE_RUNNING = frozenset({Action.LIVE, Action.REWIND})
# What a viewing is opened for: grants may bound how many there are.
VIEWED = frozenset({Action.REWIND, Action.REPLAY})
# They configure the platform or look after those who do, and see no footage, whatever else.
ADMINISTRATORS = frozenset({Role.SYSTEM_ADMIN, Role.SECURITY_ADMIN, Role.AUDIT_ADMIN})
# Without an assignment they have nothing; the others without a scope have the whole site.
ASSIGNED = frozenset({Role.ATTESTOR})
# People of other organisations: what they copy leaves the centre.
OUTSIDERS = frozenset({Role.AUDITOR, Role.SUPERVISOR})
# Who may be one person in a small centre. Nothing else is ever joined.
SMALL_CENTRE = (
    frozenset({Role.VENUE, Role.ATTESTOR}),
    frozenset({Role.ARCHIVIST, Role.OPERATOR}),
)


@dataclass(frozen=True, slots=True)
class RightsPolicy:
    """What the law leaves to the centre, with careful defaults.

    ``supervisors_need_duty``: supervisors watch what their department's roster has them on duty
    for; without it, all within their scope at any time. ``attestors_hear``: the sound of closed
    sittings too. ``department_approves``: a grant over a closed sitting waits for the supervising
    department until the result is published. ``small_centre``: see ``SMALL_CENTRE``.
    ``break_glass``: a supervisor may see at once what she is not on duty for; others are told, and
    review it afterwards.
    ``duty_at_posts``: what supervisors see by their role they see at a registered display or from
    a listed network only (``Whence.is_post``).
    """

    supervisors_need_duty: bool = True
    attestors_hear: bool = False
    department_approves: bool = True
    small_centre: bool = False
    break_glass: bool = True
    duty_at_posts: bool = False


# As delivered.
CAREFUL = RightsPolicy()


@dataclass(frozen=True, slots=True)
class Whence:
    """From where somebody asks: her address, and the registered display that she signed in on.

    ``networks``: those that duty may be done from.
    """

    address: str | None = None
    display_id: str | None = None
    networks: tuple[str, ...] = ()

    @property
    def is_post(self) -> bool:
        """Whether duty is done there, where the centre wants a post for it."""
        return self.display_id is not None or is_within(self.address, self.networks)


# It is not known, and therefore no post.
NOWHERE = Whence()


@dataclass(frozen=True, slots=True)
class Matter:
    """What a session is about, as far as rights hang on it: a project of one of its lots."""

    project_id: str
    category: ProjectCategory
    department: str | None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a person's role holds: every part that is given has to fit."""

    site_id: str | None = None
    room_kind: RoomKind | None = None
    category: ProjectCategory | None = None
    department: str | None = None
    session_id: str | None = None

    def fits_place(self, site_id: str | None, room_kind: RoomKind) -> bool:
        return self.site_id in (None, site_id) and self.room_kind in (None, room_kind)

    @property
    def is_of_place(self) -> bool:
        """Whether it says nothing of sessions."""
        return self.category is None and self.department is None and self.session_id is None

    def fits(self, session_id: str, matters: Iterable[Matter]) -> bool:
        """Say whether a session lies in it: all of what the session is about."""
        if self.session_id not in (None, session_id):
            return False
        if self.category is None and self.department is None:
            return True
        found = tuple(matters)
        return bool(found) and all(
            self.category in (None, matter.category)
            and self.department in (None, matter.department)
            for matter in found
        )


# All of the site.
EVERYWHERE = Scope()


@dataclass(frozen=True, slots=True)
class Duty:
    """A turn of an approved roster: who watches which department's sessions, and when (µs UTC).

    Without categories and projects it is for all of the department. A project that names no
    department is anybody's whose category it is.
    """

    from_us: int
    until_us: int
    department: str
    categories: frozenset[ProjectCategory] = frozenset()
    projects: frozenset[str] = frozenset()

    def covers(self, matters: Iterable[Matter], now_us: int) -> bool:
        """Say whether it is for a session about these projects, at this moment."""
        found = tuple(matters)
        return (
            self.from_us <= now_us < self.until_us
            and bool(found)
            and all(self._is_for(matter) for matter in found)
        )

    def _is_for(self, matter: Matter) -> bool:
        if matter.department not in (None, self.department):
            return False
        if not self.categories and not self.projects:
            return True
        return matter.category in self.categories or matter.project_id in self.projects


def form_of_copy(
    roles: Iterable[Role], kinds: Iterable[GrantKind], media: Iterable[Medium]
) -> CopyForm:
    """Give the form of a copy for which nobody has named one. Pure.

    What leaves the centre, by an outsider or for an authority that demands it, says on every
    picture whose it is; where there is no picture, nothing can be said on one.
    """
    leaves = bool(OUTSIDERS & frozenset(roles)) or GrantKind.DEMAND in frozenset(kinds)
    return (
        CopyForm.WATERMARKED if leaves and Medium.PICTURE in frozenset(media) else CopyForm.PACKAGE
    )


def check_together(roles: Iterable[Role], *, small_centre: bool) -> frozenset[Role]:
    """Give the roles of one person as a set.

    Raises ``InvalidInput`` if there are none, or if two of them must not be one person's.
    """
    wanted = frozenset(roles)
    if not wanted:
        raise InvalidInput("Give at least one role.", fields={"roles": "is empty"})
    if Role.SERVICE in wanted:
        raise InvalidInput(
            "service is the role of service accounts, which are made as such.",
            fields={"roles": "holds service"},
        )
    for one, other in combinations(sorted(wanted), 2):
        if small_centre and frozenset({one, other}) in SMALL_CENTRE:
            continue
        raise InvalidInput(
            f"{one} and {other} must not be one person: {_why_apart(one, other)} "
            "Make a second user for the second role.",
            fields={"roles": f"joins {one} with {other}"},
        )
    return wanted


def check_founding(own: frozenset[Role], wanted: Iterable[Role]) -> None:
    """Raise ``Forbidden`` if a system administrator makes others than the two who watch her."""
    others = frozenset(wanted) - ADMINISTRATORS
    if Role.SYSTEM_ADMIN in own and (others or Role.SYSTEM_ADMIN in wanted):
        raise Forbidden(
            "The first administrator makes the security_admin and the audit_admin; all others "
            "are made by the security_admin."
        )


def _why_apart(one: Role, other: Role) -> str:
    pair = frozenset({one, other})
    if Role.AUDIT_ADMIN in pair:
        return "who audits has no other part in what is audited."
    if pair <= ADMINISTRATORS:
        return "the administrators watch one another."
    if pair & ADMINISTRATORS:
        return "whoever configures sees no footage and runs no session."
    if pair in SMALL_CENTRE:
        return "only a small centre may join them (the rights setting small_centre)."
    return "each of them is a check on the other."

"""What a registered display (显示终端) may show: one function, pure, default deny.

A display is nobody: it stands where people come and go. It shows the live picture of what a
supervisor on duty would be allowed to watch at that time, within its own scope, and no more.
"""

from dataclasses import dataclass, replace

from bidwitness.access import Context, Ground, Person, Verdict, is_closed, is_protected, may
from bidwitness.rights import BY_DISPLAY, EVERYWHERE, RightsPolicy, Scope
from bidwitness.words import Action, Medium, Role


@dataclass(frozen=True, slots=True)
class Screen:
    """A display as decisions see it.

    ``room_ids``: the only rooms it shows; none: any. ``in_supervision``: it stands in a
    supervision room. ``attending``: the supervisors whose turn of duty it is now, by approved
    rosters, wherever they are.
    """

    id: str
    in_supervision: bool
    attending: tuple[Person, ...]
    policy: RightsPolicy
    scope: Scope = EVERYWHERE
    room_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Showing:
    """``on_duty``: the ids of those whose turn lets them watch it at that time."""

    verdict: Verdict
    on_duty: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.verdict.allowed


def may_show(screen: Screen, on: Context, now_us: int, medium: Medium = Medium.PICTURE) -> Showing:
    """Say whether a display may show a medium of a stream live.

    The strictest of its own row of the table, its scope, and what whoever is on duty may watch.
    With ``supervisors_need_duty`` false its scope alone decides, as it does for supervisors.
    """
    on_duty = tuple(
        person.user_id
        for person in screen.attending
        if may(_by_roster_alone(person), Medium.PICTURE, Action.LIVE, on, now_us).allowed
    )
    ground = _ground(screen, on, now_us, medium, watched=bool(on_duty))
    verdict = Verdict(ground == Ground.ROLE, ground, (), is_protected(on))
    return Showing(verdict, on_duty)


def _ground(screen: Screen, on: Context, now_us: int, medium: Medium, *, watched: bool) -> Ground:
    cell = BY_DISPLAY[screen.in_supervision].get(Action.LIVE)
    if cell is None or medium not in (cell.closed if is_closed(on) else cell.open):
        return Ground.NO_RULE
    if screen.room_ids and on.room_id not in screen.room_ids:
        return Ground.NOT_ON_DISPLAY
    # What a supervisor of that scope would see without any roster: nothing beyond is shown.
    free = replace(screen.policy, supervisors_need_duty=False, duty_at_posts=False)
    scopes = () if screen.scope == EVERYWHERE else ((Role.SUPERVISOR, screen.scope),)
    own = Person(screen.id, frozenset({Role.SUPERVISOR}), scopes=scopes, policy=free)
    verdict = may(own, medium, Action.LIVE, on, now_us)
    if not verdict.allowed:
        outside = verdict.ground == Ground.OUTSIDE_SCOPE
        return Ground.NOT_ON_DISPLAY if outside else verdict.ground
    if screen.policy.supervisors_need_duty and not watched:
        return Ground.NOBODY_ON_DUTY
    return Ground.ROLE


def _by_roster_alone(person: Person) -> Person:
    """Leave a person what her turn of duty gives her, and nothing of what she was granted."""
    policy = replace(person.policy, supervisors_need_duty=True, duty_at_posts=False)
    return replace(person, grants=(), policy=policy)

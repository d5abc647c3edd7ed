"""Seeing at once what one is not on duty for (应急查看): who may, until when, who says later whether
it was right. Pure; ``bidwitness.access.may`` has the right itself.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta, timezone

from bidwitness.access import Ground, Person, Verdict, nearest
from bidwitness.errors import Conflict, Forbidden
from bidwitness.words import Action, Medium, Role

ACTIONS = (Action.LIVE, Action.REWIND)
MINUTE_US = 60_000_000
# Of another role than who takes it, and neither of them sees footage.
REVIEWERS = frozenset({Role.DIRECTOR, Role.AUDIT_ADMIN})
# They are told at once; the register is theirs to read as well.
TOLD = REVIEWERS | {Role.SECURITY_ADMIN}
_CHINA = timezone(timedelta(hours=8))
_SATURDAY = 5


def review_due_us(taken_us: int, days: int) -> int:
    """Give the end (µs UTC) of so many working days after the day it was taken (UTC+8).

    Monday to Friday: the holidays that a year's notice shifts are not known here.
    """
    taken = datetime.fromtimestamp(taken_us // 1_000_000, UTC).astimezone(_CHINA)
    day = taken.replace(hour=0, minute=0, second=0, microsecond=0)
    left = days
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < _SATURDAY
    return int((day + timedelta(days=1)).timestamp()) * 1_000_000


def media_to_take(
    who: Person, verdicts: Sequence[tuple[Medium, Verdict]], *, standing: bool, overdue: bool
) -> Collection[Medium]:
    """Give the media that she lacks nothing for but a turn of duty, by the answers of ``may`` for
    each stream and medium of the running session, live.

    ``standing``: she has such a right over the session already; ``overdue``: an earlier one of hers
    should have been reviewed. Raises ``Forbidden``, ``Conflict``.
    """
    if not who.policy.break_glass:
        raise Forbidden("Break-glass is switched off at this centre: ask for a turn of duty.")
    if overdue:
        raise Forbidden(
            "An earlier break-glass of yours has not been reviewed in time. It has to be reviewed "
            "by the director or the audit administrator before there is another."
        )
    if standing:
        raise Conflict("You may see this session already: your break-glass has not ended.")
    media = {medium for medium, verdict in verdicts if verdict.ground == Ground.NOT_ON_DUTY}
    if media:
        return media
    if any(verdict.allowed for _, verdict in verdicts):
        raise Conflict("You may see this session already, without break-glass.")
    if not verdicts:
        raise Conflict("Nothing is being recorded for this session.")
    why = nearest(verdict.ground for _, verdict in verdicts)
    raise Forbidden(
        f"Break-glass stands in for a turn of duty and for nothing else: {why.zh} ({why.value})."
    )

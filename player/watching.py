"""Whether somebody may watch a stream live, at this moment."""

from sqlalchemy.orm import Session as Orm

from bidwitness.access import Verdict, may
from bidwitness.intervals import Interval
from bidwitness.storage.sights import AFTER_US, ENTRY_US, person_of, stream_view
from bidwitness.words import Action, Medium


def live_verdict(orm: Orm, user_id: str, stream_id: str, medium: Medium, now_us: int) -> Verdict:
    """Give the answer of ``may`` for this instant. Raises ``NotFound`` for no such stream."""
    # As far as a turn of duty reaches before and after a session.
    view = stream_view(orm, stream_id, now_us - AFTER_US, now_us + ENTRY_US)
    context = view.context(Interval(now_us, now_us + 1))
    return may(person_of(orm, user_id, now_us), medium, Action.LIVE, context, now_us)

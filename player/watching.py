"""Whether somebody may watch a stream live, or a display show it, at this moment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session as Orm

from bidwitness.access import Verdict, may
from bidwitness.intervals import Interval
from bidwitness.rights import NOWHERE, Whence
from bidwitness.showing import Screen, Showing, may_show
from bidwitness.storage.classified import classified_rooms
from bidwitness.storage.sights import (
    AFTER_US,
    ENTRY_US,
    StreamView,
    person_of,
    stream_view,
    stream_views,
)
from bidwitness.words import Action, Medium


def live_verdict(
    orm: Orm,
    user_id: str,
    stream_id: str,
    medium: Medium,
    now_us: int,
    whence: Whence = NOWHERE,
) -> Verdict:
    """Give the answer of ``may`` for this instant. Raises ``NotFound`` for no such stream."""
    # As far as a turn of duty reaches before and after a session.
    view = stream_view(orm, stream_id, now_us - AFTER_US, now_us + ENTRY_US)
    context = view.context(Interval(now_us, now_us + 1))
    return may(person_of(orm, user_id, now_us, whence), medium, Action.LIVE, context, now_us)


def shown_on(
    orm: Orm, screen: Screen, stream_ids: Sequence[str], now_us: int
) -> Mapping[str, tuple[StreamView, Showing]]:
    """Give for each stream whether a display may show its picture at this instant.

    Raises ``NotFound`` if one of them is not there.
    """
    if not stream_ids:
        return {}
    instant = Interval(now_us, now_us + 1)
    classified = classified_rooms(orm, instant.start, instant.end)
    found: dict[str, tuple[StreamView, Showing]] = {}
    for view in stream_views(orm, stream_ids, now_us - AFTER_US, now_us + ENTRY_US):
        context = replace(view.context(instant), classified=view.room_id in classified)
        found[view.stream_id] = (view, may_show(screen, context, now_us))
    return found

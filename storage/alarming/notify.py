"""Hands alarms that nobody outside was told of to jobs, which tell them. Run by ``keep``.

What is told is marked in the transaction that queues the job: a crash repeats nothing and leaves
nothing out. All that comes at once goes as one notice, so that a switch that fails is one mail.
"""

from collections.abc import Sequence

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.jobs import enqueue
from bidwitness.storage.index.models import Alarm

WEBHOOK, MAIL = "alarm.webhook", "alarm.mail"
RAISED, CLEARED = "raised", "cleared"
# Of one notice; more wait for the next second.
MOST = 200
BY = "keep"


def channels(settings: Settings) -> tuple[str, ...]:
    """Give the kinds of job by which alarms are told."""
    wanted = ((WEBHOOK, bool(settings.alarm_webhook)), (MAIL, bool(settings.alarm_mail_to)))
    return tuple(kind for kind, on in wanted if on)


class Notifier:
    """Looks for alarms that were raised or cleared, and queues what tells them."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._channels = channels(settings)

    def notify(self) -> int:
        """Queue one notice a channel if there is anything to tell; give how many alarms it has."""
        with self._database.read() as orm:
            if not _untold(orm, 1):
                return 0
        with self._database.write() as orm:
            alarms = _untold(orm, MOST)
            moments = [
                {"alarm_id": alarm.id, "moment": moment}
                for alarm in alarms
                for moment in _moments(alarm)
            ]
            for alarm in alarms:
                alarm.told = RAISED if alarm.cleared_us is None else CLEARED
            for kind in self._channels:
                now = self._clock.utc_us()
                enqueue(orm, kind, {"notices": moments}, by=BY, now_us=now)
            return len(alarms)


def _untold(orm: Orm, most: int) -> Sequence[Alarm]:
    ended = and_(Alarm.told == RAISED, Alarm.cleared_us.is_not(None))
    query = select(Alarm).where(or_(Alarm.told.is_(None), ended))
    return orm.scalars(query.order_by(Alarm.raised_us, Alarm.id).limit(most)).all()


def _moments(alarm: Alarm) -> list[str]:
    moments = [] if alarm.told else [RAISED]
    return moments if alarm.cleared_us is None else [*moments, CLEARED]

"""Break-glass (应急查看): taken by one person, told to others at once, reviewed by one of them later.

What it lets her see is decided by ``bidwitness.access``; here it is written down.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session as Orm

from bidwitness.access import Verdict, may
from bidwitness.break_glass import ACTIONS, MINUTE_US, media_to_take, review_due_us
from bidwitness.clock import Clock
from bidwitness.errors import Conflict, Forbidden, NotFound
from bidwitness.intervals import Interval
from bidwitness.storage.classified import classified_rooms
from bidwitness.storage.grants import about_session
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import BreakGlass, Claim, Grant, Session, User
from bidwitness.storage.register import NewRow, enter, enter_about, row_of_grant
from bidwitness.storage.sights import AFTER_US, ENTRY_US, person_of, stream_views
from bidwitness.words import Action, GrantKind, Medium, RegisterKind, SessionState

TAKEN, OVERDUE = "break_glass", "break_glass_overdue"
# Known to who is told of them; the people in the rooms do not learn that they are watched.
PRIVATE_ALARMS = (TAKEN, OVERDUE)
_MEDIA = (Medium.PICTURE, Medium.SOUND)


@dataclass(frozen=True, slots=True)
class Terms:
    """How long it lasts (minutes), and within how many working days it is reviewed."""

    minutes: int
    review_days: int


def take(
    orm: Orm, who: Who, user_id: str, session_id: str, reason: str, terms: Terms, at_us: int
) -> BreakGlass:
    """Give somebody a short right of her own, with its row in the register and the notice.

    Whether she may know of the session was asked before. Raises ``NotFound``, ``Conflict``,
    ``Forbidden``.
    """
    session = orm.get(Session, session_id)
    if session is None:
        raise NotFound("There is no such session.")
    if session.state != SessionState.RECORDING:
        raise Conflict("The session does not record. What is over is replayed, by a grant.")
    verdicts = _verdicts(orm, user_id, session_id, at_us)
    media = media_to_take(
        person_of(orm, user_id, at_us),
        verdicts,
        standing=orm.scalar(_standing(user_id, session_id, at_us)) is not None,
        overdue=orm.scalar(_unreviewed(user_id, at_us)) is not None,
    )
    grant = Grant(
        kind=GrantKind.BREAK_GLASS,
        user_id=user_id,
        session_id=session_id,
        media=sorted(medium.value for medium in media),
        actions=sorted(action.value for action in ACTIONS),
        reason=reason,
        made_us=at_us,
        made_by=who.name,
        expires_us=at_us + terms.minutes * MINUTE_US,
        officers=[],
    )
    orm.add(grant)
    orm.flush()
    due = review_due_us(at_us, terms.review_days)
    row = BreakGlass(grant_id=grant.id, user_id=user_id, due_us=due)
    orm.add(row)
    _announce(orm, who, grant, terms, due, at_us)
    return row


def _announce(orm: Orm, who: Who, grant: Grant, terms: Terms, due_us: int, at_us: int) -> None:
    """Write it into the register and the audit trail, and give the alarm."""
    assert grant.session_id is not None
    user, about = orm.get_one(User, grant.user_id), about_session(orm, grant.session_id)
    names = "、".join(Medium(medium).zh for medium in grant.media)
    entry = enter(
        orm,
        who,
        at_us,
        NewRow(
            kind=RegisterKind.BREAK_GLASS,
            person=user.name,
            content=f"{RegisterKind.BREAK_GLASS.zh} {about['name']}；{names}；{terms.minutes} 分钟",
            reason=grant.reason,
            grant_id=grant.id,
            session_id=grant.session_id,
            facts={
                "username": user.username,
                "about": [about],
                "media": grant.media,
                "actions": grant.actions,
                "expires_at": grant.expires_us,
                "review_due_at": due_us,
            },
        ),
    )
    facts = {
        "grant": grant.id,
        "register": entry.number,
        "until": grant.expires_us,
        "review_due": due_us,
    }
    subject = f"session:{grant.session_id}"
    leave_audit_entry(
        orm, who, "break_glass.take", subject, at_us, reason=grant.reason, facts=facts
    )
    raise_alarm(
        *(orm, TAKEN, _alarm_about(grant.id), at_us),
        cause=f"{user.name} sees a session without a turn of duty; register no. {entry.number}.",
    )


def review(
    orm: Orm, who: Who, at_us: int, grant_id: str, *, justified: bool, opinion: str
) -> BreakGlass:
    """Say afterwards whether it was right, once; in the register too.

    Raises ``NotFound``, ``Conflict`` while the right runs and after the first review,
    ``Forbidden`` for who took it.
    """
    row = orm.get(BreakGlass, grant_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound("There is no such break-glass.")
    if row.user_id == who.user_id:
        raise Forbidden("Nobody reviews what she took upon herself.")
    if row.reviewed_us is not None:
        raise Conflict("It was reviewed before.")
    grant = orm.get_one(Grant, grant_id)
    if grant.revoked_us is None and grant.expires_us is not None and at_us < grant.expires_us:
        raise Conflict("It has not ended: what was watched is not known yet. End it, or wait.")
    row.reviewed_us, row.reviewed_by = at_us, who.name
    row.justified, row.opinion = justified, opinion
    first = row_of_grant(orm, grant_id)
    assert first is not None, "written with the right itself"
    kind = RegisterKind.REVIEW
    verdict = "理由成立" if justified else "理由不成立"
    facts = {"justified": justified, "due_at": row.due_us}
    enter_about(
        *(orm, who, at_us, first, kind),
        content=f"{kind.zh}：{verdict}",
        reason=opinion,
        facts=facts,
    )
    for alarm in PRIVATE_ALARMS:
        clear_alarm(orm, alarm, _alarm_about(grant_id), at_us)
    leave_audit_entry(
        *(orm, who, "break_glass.review", f"session:{grant.session_id}", at_us),
        reason=opinion,
        facts={"grant": grant_id, "justified": justified},
    )
    return row


class ReviewWatch:
    """Raises an alarm for each use that should have been reviewed. Run by ``keep``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def watch(self) -> int:
        """Alarm what is overdue; give how many there are."""
        now = self._clock.utc_us()
        late = select(BreakGlass.grant_id).where(*overdue(now))
        with self._database.read() as orm:
            if orm.scalar(late.limit(1)) is None:
                return 0
        with self._database.write() as orm:
            found = orm.scalars(late).all()
            for grant_id in found:
                cause = "The director or the audit administrator has to review it."
                raise_alarm(orm, OVERDUE, _alarm_about(grant_id), now, cause=cause)
        return len(found)


def overdue(now_us: int) -> tuple[ColumnElement[bool], ...]:
    """Give the conditions on uses that should have been reviewed by now."""
    return (BreakGlass.reviewed_us.is_(None), BreakGlass.due_us <= now_us)


def _alarm_about(grant_id: str) -> str:
    return f"grant:{grant_id}"


def _verdicts(orm: Orm, user_id: str, session_id: str, at_us: int) -> list[tuple[Medium, Verdict]]:
    """Ask of each stream that the session records now whether she may see and hear it live.

    Raises ``Forbidden`` while one of its rooms is classified.
    """
    claims = select(Claim.stream_id).where(
        Claim.session_id == session_id,
        Claim.withdrawn_us.is_(None),
        Claim.from_us <= at_us,
        Claim.to_us.is_(None) | (Claim.to_us > at_us),
    )
    ids = sorted(set(orm.scalars(claims)))
    # As far as a turn of duty reaches before and after a session.
    views = stream_views(orm, ids, at_us - AFTER_US, at_us + ENTRY_US) if ids else []
    if classified_rooms(orm, at_us, at_us + 1) & {view.room_id for view in views}:
        raise Forbidden("The session is classified now: nobody sees it.")
    person = person_of(orm, user_id, at_us)
    contexts = [view.context(Interval(at_us, at_us + 1)) for view in views]
    return [
        (medium, may(person, medium, Action.LIVE, context, at_us))
        for context in contexts
        for medium in _MEDIA
    ]


def _standing(user_id: str, session_id: str, at_us: int) -> Select[str]:
    return select(Grant.id).where(
        Grant.kind == GrantKind.BREAK_GLASS,
        Grant.user_id == user_id,
        Grant.session_id == session_id,
        Grant.revoked_us.is_(None),
        Grant.expires_us > at_us,
    )


def _unreviewed(user_id: str, at_us: int) -> Select[str]:
    return select(BreakGlass.grant_id).where(BreakGlass.user_id == user_id, *overdue(at_us))


def name_of(orm: Orm, session_id: str) -> str:
    """Say what a session is called."""
    return str(about_session(orm, session_id)["name"])

"""Open, close, reopen and add a session's claims: decided by ``bidwitness.claims``, written here."""

from dataclasses import dataclass

from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm.attributes import flag_modified

from bidwitness import claims as pure
from bidwitness.claims import Margins
from bidwitness.config import Settings
from bidwitness.errors import Conflict
from bidwitness.intervals import Interval, subtract
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.claims import own_claims_overlapping, save_claim
from bidwitness.storage.index.models import Claim, Session
from bidwitness.storage.sessions.chain import append_claim
from bidwitness.storage.sessions.loading import (
    Wanted,
    as_claim,
    closed_by_the_end,
    margins,
    own_claims,
    standing,
    wanted_streams,
)
from bidwitness.words import ClaimClass

REACHES_BACK = "reaches back to the planned start"


@dataclass(frozen=True, slots=True)
class Claiming:
    """Writes claims of one session at one instant, each with its record. Has no state."""

    orm: Orm
    settings: Settings
    session: Session
    who: Who
    now_us: int

    def open_due(self, at_us: int, *, entering: bool = False) -> tuple[list[Claim], list[str]]:
        """Claim what the bookings that have begun want and the session has not, as of ``at_us``.

        A booking's first claims reach back to its planned start and lead-in, those of a camera
        that came later to when it came; never into another session's own claim. ``entering`` a room
        in a move reaches back to nothing. Gives the new claims, and the streams that another
        session holds still.
        """
        opened: list[Claim] = []
        held: list[str] = []
        standing_claims = standing(self.session)
        have = {claim.stream_id for claim in standing_claims if claim.to_us is None}
        begun = {claim.booking_id for claim in standing_claims}
        latest = max(at_us, self.session.planned_from_us)
        due = [b for b in self.session.bookings if b.from_us <= latest]
        for wanted in wanted_streams(self.orm, due):
            if wanted.stream_id in have:
                continue
            # A stream that turns up later, in a room that is claimed already.
            later = wanted.booking.id in begun
            try:
                opened.append(self._open(wanted, at_us, later=later, entering=entering))
            except Conflict:
                held.append(wanted.stream_id)
        return opened, held

    def _open(self, wanted: Wanted, at_us: int, *, later: bool, entering: bool) -> Claim:
        begins = wanted.booking.from_us
        room = Margins() if entering else margins(self.settings, self.session.kind)
        if later:
            # What the stream saw before it belonged to the place is not this session's.
            begins, room = self._since(wanted, at_us), Margins()
        if wanted.klass == ClaimClass.OWN:
            self._end_post_rolls(wanted.stream_id, at_us)
        low = min(begins, at_us) - room.lead_in_us - room.pre_roll_us
        others = own_claims(self.orm, wanted.stream_id, low)
        if wanted.klass != ClaimClass.OWN:
            others = []
        claim = pure.opening_claim(self.session.id, wanted.stream_id, begins, at_us, room, others)
        back = claim.start < at_us and not later
        return self.add(
            wanted.stream_id,
            Interval(claim.start, pure.FOREVER),
            wanted.klass,
            booking_id=wanted.booking.id,
            reason=REACHES_BACK if back else None,
        )

    def _end_post_rolls(self, stream_id: str, at_us: int) -> None:
        """A claim that has ended and reaches beyond now is a post-roll: it yields to a session."""
        for row in own_claims_overlapping(self.orm, stream_id, at_us, at_us + 1):
            if row.session_id == self.session.id or row.to_us is None or row.to_us <= self.now_us:
                continue
            row.to_us = max(at_us, row.from_us + 1)
            save_claim(self.orm, row)
            flag_modified(self.orm.get_one(Session, row.session_id), "created_us")
            append_claim(self.orm, self.settings, row, self.now_us, self.who)

    def _since(self, wanted: Wanted, at_us: int) -> int:
        """Say from when a stream that turned up in a claimed room is the session's."""
        mine = [c for c in standing(self.session) if c.stream_id == wanted.stream_id]
        if mine:  # undoing the end had to leave it to another session
            return max(claim.to_us or at_us for claim in mine)
        started = self.session.started_us
        new = started is not None and wanted.since_us > started
        return wanted.since_us if new else at_us

    def add(
        self,
        stream_id: str,
        span: Interval,
        klass: ClaimClass,
        *,
        booking_id: str | None = None,
        reason: str | None = None,
    ) -> Claim:
        """Write a new claim with its record; a span up to ``FOREVER`` stays open.

        Raises ``Conflict`` naming the session that owns the footage.
        """
        row = Claim(
            session_id=self.session.id,
            stream_id=stream_id,
            booking_id=booking_id,
            from_us=span.start,
            to_us=None if span.end == pure.FOREVER else span.end,
            klass=klass,
            reason=reason,
            made_us=self.now_us,
            made_by=self.who.name,
        )
        save_claim(self.orm, row)
        self.session.claims.append(row)
        self._record(row)
        return row

    def close(self, at_us: int, *, bookings: set[str] | None = None) -> list[Claim]:
        """End the open claims, or those of some bookings, at ``at_us``."""
        room = margins(self.settings, self.session.kind)
        closed = []
        for row in standing(self.session):
            if row.to_us is None and (bookings is None or row.booking_id in bookings):
                claim = pure.close_claim(
                    as_claim(row),
                    at_us,
                    room.post_roll_us,
                    own_claims(self.orm, row.stream_id, at_us),
                )
                row.to_us = claim.end
                save_claim(self.orm, row)
                self._record(row)
                closed.append(row)
        return closed

    def reopen(self, streams: set[str]) -> list[Claim]:
        """Take back the end of the claims that ended with the session, of these own streams.

        Linked claims always open again: several sessions may hold them.
        """
        reopened = []
        for row in closed_by_the_end(self.session):
            if row.klass == ClaimClass.OWN and row.stream_id not in streams:
                continue
            since = Interval(row.to_us or self.now_us, pure.FOREVER)
            # What the session has claimed by hand since then stays as it was made.
            mine = [c for c in standing(self.session) if c.stream_id == row.stream_id]
            for part in subtract([since], [as_claim(c).span for c in mine if c is not row]):
                if part.start == since.start:
                    row.to_us = None if part.end == pure.FOREVER else part.end
                    save_claim(self.orm, row)
                    self._record(row)
                else:
                    self.add(row.stream_id, part, row.klass, booking_id=row.booking_id)
            reopened.append(row)
        return reopened

    def reach_back(self, stream_id: str, span: Interval, reason: str) -> list[Claim]:
        """Claim footage after the fact (补录入), less what the session has of it already.

        Raises ``InvalidInput`` without a reason or for time to come, ``Conflict`` naming the
        session that owns the footage, or if nothing is left to claim.
        """
        mine = [as_claim(c).span for c in standing(self.session) if c.stream_id == stream_id]
        klass = self._class_of(stream_id)
        others = own_claims(self.orm, stream_id, span.start, span.end)
        foreign = [other for other in others if other.session_id != self.session.id]
        made = []
        for part in subtract([span], mine):
            claim = pure.Claim(
                self.session.id, stream_id, part.start, part.end, klass, reason=reason
            )
            pure.late_claim(claim, self.now_us, foreign)
            made.append(self.add(stream_id, part, klass, reason=reason))
        if not made:
            raise Conflict(
                f"The session has stream {stream_id} in all of that time already.",
                fields={"stream_ids": stream_id},
            )
        return made

    def _class_of(self, stream_id: str) -> ClaimClass:
        for wanted in wanted_streams(self.orm, self.session.bookings):
            if wanted.stream_id == stream_id:
                return wanted.klass
        return ClaimClass.OWN

    def _record(self, row: Claim) -> None:
        # A claim changes what the session holds: whoever has read an older version must see it.
        flag_modified(self.session, "created_us")
        append_claim(self.orm, self.settings, row, self.now_us, self.who)

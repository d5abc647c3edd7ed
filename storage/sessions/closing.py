"""Write the end of a session's life in the index: close record, report, gaps; the supplement."""

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.session import AlarmKind
from bidwitness.storage.derivatives import demand_report
from bidwitness.storage.evidence.seal import coverage_facts
from bidwitness.storage.evidence.session_records import (
    ClaimedFacts,
    CloseFacts,
    CoverageFacts,
    HeadFacts,
    SpanFacts,
    SupplementFacts,
)
from bidwitness.storage.index.alarms import clear_alarm, raise_alarm
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.locks import look_at_locks
from bidwitness.storage.index.models import Gap, Session
from bidwitness.storage.sessions.chain import append_record
from bidwitness.storage.sessions.create import note
from bidwitness.storage.sessions.loading import standing
from bidwitness.storage.sessions.named import facts_of
from bidwitness.storage.sessions.report import Report, report_json
from bidwitness.storage.sessions.reporting import session_report
from bidwitness.words import GapCause, Medium, Outcome, SessionState

_EDGES = (GapCause.LATE_START, GapCause.EARLY_END)


def write_close(
    orm: Orm,
    settings: Settings,
    session: Session,
    heads: Sequence[HeadFacts],
    open_streams: tuple[str, ...],
    who: Who,
    now_us: int,
) -> Report:
    """Make the session ``sealed``: its close record, its report, the gaps at its edges.

    ``open_streams``: their recorder is out of reach; an alarm stands until the supplement. Call
    inside ``Database.write`` with the session locked and its bytes read.
    """
    report = session_report(orm, settings, session, now_us, provisional=False)
    coverage = _coverage(orm, report, heads)
    claims = sorted(standing(session), key=lambda c: (c.stream_id, c.from_us))
    ended = session.ended_us or now_us
    started = ended if session.started_us is None else session.started_us
    append_record(
        orm,
        settings,
        session.id,
        now_us,
        lambda place: CloseFacts(
            place=place,
            started=started,
            ended=ended,
            outcome=session.outcome or Outcome.COMPLETED,
            claims=tuple(
                ClaimedFacts(c.id, c.stream_id, c.klass, c.from_us, c.to_us or now_us)
                for c in claims
            ),
            heads=tuple(heads),
            due=_due(report),
            coverage=coverage,
        ),
    )
    session.state = SessionState.SEALED
    session.sealed_us = now_us
    # From now on a date that nobody can take back may be set.
    for claim in claims:
        look_at_locks(orm, claim.stream_id, claim.from_us, claim.to_us)
    _state(orm, session, report, open_streams)
    subject = f"session:{session.id}"
    if open_streams:
        cause = f"sealed while the recorder of {len(open_streams)} stream(s) was out of reach"
        raise_alarm(orm, AlarmKind.SEAL_OPEN, subject, now_us, cause=cause)
    facts: dict[str, object] = {
        "coverage_ppm": report.coverage_ppm,
        "gaps": report.gap_count,
        "open": list(open_streams),
    }
    note(orm, session, "sealed", now_us, facts=facts)
    leave_audit_entry(orm, who, "session.seal", subject, now_us, facts=facts)
    _have_reported(orm, session, who, now_us)
    orm.flush()
    return report


def write_supplement(
    orm: Orm,
    settings: Settings,
    session: Session,
    heads: Sequence[HeadFacts],
    who: Who,
    now_us: int,
) -> Report:
    """Record what became known after the seal. Call as ``write_close``."""
    report = session_report(orm, settings, session, now_us, provisional=False)
    coverage = _coverage(orm, report, heads)
    append_record(
        orm,
        settings,
        session.id,
        now_us,
        lambda place: SupplementFacts(
            place=place,
            reason="footage that came after the seal",
            heads=tuple(heads),
            coverage=coverage,
        ),
    )
    _state(orm, session, report, ())
    clear_alarm(orm, AlarmKind.SEAL_OPEN, f"session:{session.id}", now_us)
    note(orm, session, "supplemented", now_us)
    leave_audit_entry(orm, who, "session.supplement", f"session:{session.id}", now_us)
    _have_reported(orm, session, who, now_us)
    orm.flush()
    return report


def _have_reported(orm: Orm, session: Session, who: Who, now_us: int) -> None:
    """Have a worker make the evidence report: the seal itself waits for nothing."""
    key = f"evidence_report:{session.id}:{now_us}"
    demand_report(orm, session.id, by=who.name, now_us=now_us, key=key)


def _due(report: Report) -> tuple[SpanFacts, ...]:
    """State what was due of each stream that a coverage is stated of."""
    return tuple(
        SpanFacts(stream, span.start, span.end)
        for camera in report.cameras
        for stream in dict.fromkeys(medium.stream_id for medium in camera.media)
        for span in camera.due
    )


def _coverage(orm: Orm, report: Report, heads: Sequence[HeadFacts]) -> tuple[CoverageFacts, ...]:
    """Compute what the verifier will: from the records that the heads name, and nothing else."""
    records = facts_of(orm, heads)
    return tuple(
        coverage_facts(
            medium.stream_id,
            medium.medium,
            camera.due,
            records.get(medium.stream_id, []),
            records.get(camera.sub or "", []) if camera.sub != medium.stream_id else [],
        )
        for camera in report.cameras
        for medium in camera.media
    )


def _state(orm: Orm, session: Session, report: Report, open_streams: tuple[str, ...]) -> None:
    """Store the report, and as rows the gaps at its edges, which no recorder has noted."""
    session.report = {**report_json(report), "open": list(open_streams)}
    orm.execute(delete(Gap).where(Gap.session_id == session.id))
    for camera in report.cameras:
        whole = {
            gap for medium in camera.media if medium.medium == Medium.PICTURE for gap in medium.gaps
        }
        for medium in camera.media:
            for gap in medium.gaps:
                with_picture = medium.medium != Medium.PICTURE and gap in whole
                if gap.cause in _EDGES and not with_picture:
                    orm.add(
                        Gap(
                            stream_id=medium.stream_id,
                            session_id=session.id,
                            medium=None if medium.medium == Medium.PICTURE else medium.medium,
                            cause=gap.cause,
                            from_us=gap.interval.start,
                            to_us=gap.interval.end,
                        )
                    )

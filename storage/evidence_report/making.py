"""Make a report: gather, set, sign, keep. Each has its own number; none is written over."""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import NotFound, StorageFull, Unavailable
from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.evidence_report.document import make_document
from bidwitness.storage.evidence_report.facts import ReportFacts, facts_bytes
from bidwitness.storage.evidence_report.gather import Ended, ended_of, gather, streams_of
from bidwitness.storage.evidence_report.probe import probe_stream
from bidwitness.storage.evidence_report.registered import report_paths
from bidwitness.storage.evidence_report.signing import ReportSigner, open_report_signer, sign_report
from bidwitness.storage.evidence_report.stamping import ReportStamp, stamps_of
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.footage import segments_in
from bidwitness.storage.index.models import Derivative, Segment, Session
from bidwitness.storage.jobs import JobRun
from bidwitness.storage.ledger.proving import log_position

log = logging.getLogger(__name__)

# A report that says where it stands in the log is worth a wait; a log that does not come is said.
WAIT_US = 180_000_000


def make_report(run: JobRun) -> Mapping[str, object]:
    """Make the report of a job; give its number and digest.

    Raises ``NotFound``, ``Conflict`` for a session that is not sealed, ``Unavailable`` while the
    log is waited for, ``StoreError``, ``DamageFound``, ``ConfigError``, ``StorageFull``.
    """
    session_id = str(run.payload["session_id"])
    with run.database.read() as orm:
        ended = ended_of(orm, session_id)
        _wait_for_log(orm, ended, session_id, run.clock.utc_us())
        segments = {stream: _segments(orm, ended, stream) for stream in streams_of(ended)}
    footage = open_footage(run.settings, run.clock)
    probes = {}
    for place, (stream, rows) in enumerate(segments.items()):
        run.progress(place, len(segments) + 1)
        probes[stream] = probe_stream(footage, rows)
    with run.database.write() as orm:
        report_id, number = _numbered(orm, run, session_id)
    now = run.clock.utc_us()
    signer = open_report_signer(run.settings, now)
    with run.database.read() as orm:
        facts = gather(orm, run.settings, session_id, number, now, probes, signer.facts)
    waits = now - ended.newest.place.at < WAIT_US
    signed, stamp = _signed(facts, signer, stamps_of(run.settings, run.clock), waits=waits)
    run.check()
    document, beside = report_paths(run.settings, report_id)
    keep_file(document, signed)
    keep_file(beside, facts_bytes(facts))
    with run.database.write() as orm:
        return _registered(orm, run, report_id, facts, signed, stamp)


def _signed(
    facts: ReportFacts, signer: ReportSigner, stamps: Sequence[ReportStamp], *, waits: bool
) -> tuple[bytes, str | None]:
    """Sign, with the time stamp of the first authority that gives one; give its name too.

    Raises ``Unavailable`` while one may still answer and there is time to wait for it.
    """
    document = make_document(facts)
    for stamp in stamps:
        try:
            signed = sign_report(document, signer, facts.number, facts.issuer, facts.made, stamp)
            return signed, stamp.name
        except Unavailable as error:
            told = {"report": facts.number, "authority": stamp.name, "why": error.detail}
            log.warning("a report was not stamped", extra={"facts": told})
    if stamps and waits:
        raise Unavailable("No time-stamping authority has stamped the report yet.")
    return sign_report(document, signer, facts.number, facts.issuer, facts.made), None


def _wait_for_log(orm: Orm, ended: Ended, session_id: str, now_us: int) -> None:
    position = log_position(orm, session_id)
    logged = position is not None and position.covered
    if not logged and now_us - ended.newest.place.at < WAIT_US:
        raise Unavailable("The session's close, or footage of it, is not in the log yet.")


def _segments(orm: Orm, ended: Ended, stream: str) -> list[Segment]:
    found = {
        segment.id: segment
        for span in ended.claimed(stream)
        for segment in segments_in(orm, stream, span.start, span.end)
    }
    return sorted(found.values(), key=lambda segment: (segment.from_us, segment.id))


def _numbered(orm: Orm, run: JobRun, session_id: str) -> tuple[str, str]:
    """Give the report its row and its number; an attempt that was killed has left both."""
    present = orm.scalars(select(Derivative).where(Derivative.job_id == run.id)).first()
    if present is not None:
        return present.id, str(present.recipe["number"])
    # Locked, so that no two reports of a session have one number.
    if orm.get(Session, session_id, with_for_update=True) is None:
        raise NotFound("There is no such session.")
    count = select(func.count()).where(
        Derivative.kind == EVIDENCE_REPORT, Derivative.session_id == session_id
    )
    number = f"GZ-{run.settings.site}-{session_id}-{(orm.scalar(count) or 0) + 1:03d}"
    row = Derivative(
        kind=EVIDENCE_REPORT,
        session_id=session_id,
        recipe={"number": number},
        made_us=run.clock.utc_us(),
        made_by=run.by,
        job_id=run.id,
    )
    orm.add(row)
    orm.flush()
    return row.id, number


def _registered(
    orm: Orm, run: JobRun, report_id: str, facts: ReportFacts, signed: bytes, stamp: str | None
) -> Mapping[str, object]:
    row = orm.get_one(Derivative, report_id, with_for_update=True)
    digest = hashlib.sha256(facts_bytes(facts)).hexdigest()
    row.path, row.bytes = f"{report_id}.pdf", len(signed)
    row.sha256 = hashlib.sha256(signed).hexdigest()
    row.made_us = facts.made
    row.recipe = {
        "number": facts.number,
        "record": facts.root.seq,
        "root": facts.root.leaf,
        "digest": digest,
        "stamped_by": stamp,
    }
    told = {"report": report_id, "sha256": row.sha256, **row.recipe}
    subject = f"session:{facts.sitting.session}"
    leave_audit_entry(
        orm, Who("evidence_report"), "evidence_report.made", subject, facts.made, facts=told
    )
    return told


def keep_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises ``StorageFull``."""
    part = path.with_suffix(f"{path.suffix}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.rename(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageFull(f"The report cannot be kept: {error.strerror}.") from error

"""The job that makes a signed report of the audit trail."""

import hashlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from bidwitness.errors import InvalidInput
from bidwitness.storage.derivatives import AUDIT_REPORT
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence_report.issuing import numbered_on_site, signed_by_site
from bidwitness.storage.evidence_report.making import keep_file
from bidwitness.storage.evidence_report.registered import report_paths
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import AuditRound, Derivative, LogShard
from bidwitness.storage.jobs import JobRun
from bidwitness.storage.ledger.shard import origin_of
from bidwitness.storage.trail.findings import detail_zh, finding_of
from bidwitness.storage.trail.report import MOST, make_audit_document, report_bytes
from bidwitness.storage.trail.search import TrailFilter, all_found
from bidwitness.storage.trail.stated import stated_entries

NAME = "操作留痕审计报告"
NUMBERS = "SJ"


def make_audit_report(run: JobRun) -> Mapping[str, object]:
    """Make the report of a job; give its number and digest.

    Raises ``InvalidInput`` if more is found than a report holds, ``ConfigError``, ``StorageFull``.
    """
    with run.database.write() as orm:
        recipe = dict(run.payload)
        report_id, number = numbered_on_site(orm, run, AUDIT_REPORT, NUMBERS, recipe)
    facts = _facts(run, number)
    run.check()
    beside = report_bytes(facts)
    digest = hashlib.sha256(beside).hexdigest()
    signed = signed_by_site(run, make_audit_document(facts, digest), number, NAME)
    document, aside = report_paths(run.settings, report_id)
    keep_file(document, signed)
    keep_file(aside, beside)
    with run.database.write() as orm:
        row = orm.get_one(Derivative, report_id, with_for_update=True)
        row.path, row.bytes = f"{report_id}.pdf", len(signed)
        row.sha256 = hashlib.sha256(signed).hexdigest()
        told: dict[str, object] = {"number": number, "digest": digest}
        row.recipe = {**row.recipe, **told, "entries": len(facts["entries"])}
        told |= {"report": report_id, "sha256": row.sha256}
        at = run.clock.utc_us()
        leave_audit_entry(orm, Who("audit_report"), "audit_report.made", "audit", at, facts=told)
        return told


def _facts(run: JobRun, number: str) -> dict[str, Any]:
    given: Any = run.payload["filter"]
    entries: list[JsonValue] = []
    for rows in all_found(run.database, TrailFilter.of(given), int(str(run.payload["up_to"]))):
        with run.database.read() as orm:
            entries += stated_entries(orm, rows)
        if len(entries) > MOST:
            raise InvalidInput(f"A report holds {MOST} entries: narrow the search.")
    with run.database.read() as orm:
        log: list[JsonValue] = [
            {
                "origin": origin_of(run.settings.site, shard.shard),
                "size": shard.size,
                "root": shard.root.hex(),
            }
            for shard in orm.scalars(select(LogShard).order_by(LogShard.opened_us))
        ]
        ended = select(AuditRound).where(AuditRound.ended_us.is_not(None))
        last = orm.scalars(ended.order_by(AuditRound.id.desc())).first()
    return {
        "v": 1,
        "number": number,
        "site": run.settings.site,
        "issuer": run.settings.name,
        "made": run.clock.utc_us(),
        "by": run.by,
        "reason": str(run.payload["reason"]),
        "filter": given,
        "log": log,
        "walk": None if last is None else _walk(last),
        "entries": entries,
    }


def _walk(row: AuditRound) -> JsonValue:
    said: list[JsonValue] = [detail_zh(finding_of(item)) for item in row.findings]
    return {"ended": row.ended_us, "looked_at": row.looked_at, "findings": said}

"""The job that makes a record of viewing: gather, read again, set, sign, keep."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from bidwitness.config import Settings
from bidwitness.errors import Conflict
from bidwitness.player.viewing.document import NAME, make_viewing_document
from bidwitness.player.viewing.facts import record_bytes
from bidwitness.player.viewing.gather import Order, gather
from bidwitness.player.viewing.rereading import Finding, reread
from bidwitness.player.viewing.seen import Key, Segments, segments_of, sent_in
from bidwitness.storage.derivatives import VIEWING_RECORD, facts_name
from bidwitness.storage.evidence_report.issuing import numbered_on_site, signed_by_site
from bidwitness.storage.evidence_report.making import keep_file
from bidwitness.storage.evidence_report.signing import open_report_signer
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Derivative
from bidwitness.storage.jobs import JobRun

NUMBERS = "CK"
# As other copies: what it says of the bytes is of its day, and another can be asked for.
EXPIRY_US = 7 * 86_400_000_000
NOTHING_SENT = "Nothing of this viewing has been sent yet: play it first, then ask for its record."


def make_viewing_record(run: JobRun) -> Mapping[str, object]:
    """Make the record of a job; give its number, its digest and what was found.

    Raises ``NotFound``, ``Conflict`` if nothing was sent, ``DamageFound`` if the log itself is not
    whole, ``ConfigError``, ``StorageFull``. What the footage's bytes are never keeps it from being made.
    """
    playback = str(run.payload["playback_id"])
    with run.database.read() as orm:
        sent = sent_in(orm, playback)
        segments = segments_of(orm, sent)
    if not sent.parts:
        raise Conflict(NOTHING_SENT)
    findings = _read_again(run, segments)
    with run.database.write() as orm:
        recipe = dict(run.payload)
        record_id, number = numbered_on_site(orm, run, VIEWING_RECORD, NUMBERS, recipe)
    now = run.clock.utc_us()
    order = Order(number, playback, run.by, now, open_report_signer(run.settings, now).facts)
    with run.database.read() as orm:
        facts, entries = gather(orm, run.settings, order, sent, segments, findings)
    beside = record_bytes(facts, entries)
    digest = hashlib.sha256(beside).hexdigest()
    signed = signed_by_site(run, make_viewing_document(facts, beside, digest), number, NAME)
    run.check()
    document, aside = record_paths(run.settings, f"{record_id}.pdf")
    keep_file(document, signed)
    keep_file(aside, beside)
    told: dict[str, object] = {
        "number": number,
        "digest": digest,
        "sha256": hashlib.sha256(signed).hexdigest(),
        "files": {state.value: count for state, count in facts.counted().items()},
    }
    with run.database.write() as orm:
        row = orm.get_one(Derivative, record_id, with_for_update=True)
        row.session_id = facts.session.session if facts.session is not None else None
        row.from_us, row.to_us = facts.start, facts.end
        row.path, row.bytes = document.name, len(signed)
        row.sha256 = str(told["sha256"])
        row.made_us, row.expires_us = now, now + EXPIRY_US
        row.recipe = {**row.recipe, **told}
        who, subject = Who("viewing_record"), f"playback:{playback}"
        at = run.clock.utc_us()
        leave_audit_entry(orm, who, "viewing_record.made", subject, at, facts=told)
    return told


def record_paths(settings: Settings, path: str) -> tuple[Path, Path]:
    """Give where a record and its facts lie until they expire."""
    return settings.exports / path, settings.exports / facts_name(path)


def _read_again(run: JobRun, segments: Segments) -> dict[Key, Finding]:
    footage = open_footage(run.settings, run.clock)
    findings: dict[Key, Finding] = {}
    for place, (key, (segment, record)) in enumerate(segments.items()):
        run.progress(place, len(segments) + 1)
        findings[key] = reread(footage, segment, record)
    return findings

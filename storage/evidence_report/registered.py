"""The reports that were made of a session: where each lies, and what it is of."""

import hashlib
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound, NotFound
from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.index.models import Derivative


def reports_of(orm: Orm, session_id: str) -> list[Derivative]:
    """Give the reports of a session that are finished, oldest first."""
    query = select(Derivative).where(
        Derivative.kind == EVIDENCE_REPORT,
        Derivative.session_id == session_id,
        Derivative.sha256.is_not(None),
    )
    return sorted(orm.scalars(query), key=lambda row: (row.made_us, row.recipe["number"]))


def report_paths(settings: Settings, report_id: str) -> tuple[Path, Path]:
    """Give where a report and its facts lie."""
    return settings.reports / f"{report_id}.pdf", settings.reports / f"{report_id}.json"


def read_report(settings: Settings, report: Derivative) -> tuple[bytes, bytes]:
    """Give a report and its facts. Raises ``NotFound``, ``DamageFound`` if they were changed."""
    document, facts = report_paths(settings, report.id)
    try:
        held = document.read_bytes(), facts.read_bytes()
    except FileNotFoundError:
        raise NotFound("The file of this report is not on this machine.") from None
    digests = tuple(hashlib.sha256(data).hexdigest() for data in held)
    if digests != (report.sha256, report.recipe["digest"]):
        raise DamageFound("The report is not what was made. Have another one made.")
    return held

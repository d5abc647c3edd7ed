"""The reports that were made of a session: where each lies, and what it is of."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound, NotFound
from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.index.models import Derivative, SessionObject
from bidwitness.storage.store import Store

# The signed document, and the facts in it.
SUFFIXES = ("pdf", "json")


def reports_of(orm: Orm, session_id: str) -> list[Derivative]:
    """Give the reports of a session that are finished, oldest first."""
    query = select(Derivative).where(
        Derivative.kind == EVIDENCE_REPORT,
        Derivative.session_id == session_id,
        Derivative.sha256.is_not(None),
    )
    return sorted(orm.scalars(query), key=lambda row: (row.made_us, row.recipe["number"]))


def report_path(folder: Path, report_id: str, suffix: str) -> Path:
    """Give where a report (``pdf``) or its facts (``json``) lie."""
    return folder / f"{report_id}.{suffix}"


def report_paths(settings: Settings, report_id: str) -> tuple[Path, Path]:
    """Give where a report and its facts lie."""
    document, facts = (report_path(settings.reports, report_id, suffix) for suffix in SUFFIXES)
    return document, facts


def reports_to_store(orm: Orm, made_before_us: int, limit: int = 100) -> list[Derivative]:
    """Give finished reports that were made before then and are not both files in the store yet."""
    stored = (
        select(func.count())
        .where(SessionObject.derivative_id == Derivative.id)
        .correlate(Derivative)
        .scalar_subquery()
    )
    query = (
        select(Derivative)
        .where(
            Derivative.kind == EVIDENCE_REPORT,
            Derivative.sha256.is_not(None),
            Derivative.made_us < made_before_us,
            stored < len(SUFFIXES),
        )
        .order_by(Derivative.made_us, Derivative.id)
        .limit(limit)
    )
    return list(orm.scalars(query))


def objects_of(orm: Orm, report_id: str) -> dict[str, SessionObject]:
    """Give where a report and its facts lie in the store, by their suffix."""
    query = select(SessionObject).where(SessionObject.derivative_id == report_id)
    return {row.suffix: row for row in orm.scalars(query)}


def read_report(
    settings: Settings,
    report: Derivative,
    objects: Mapping[str, SessionObject] | None = None,
    store: Store | None = None,
) -> tuple[bytes, bytes]:
    """Give a report and its facts, from this machine or else from the store.

    Raises ``NotFound``, ``DamageFound`` if they were changed, ``StoreError``.
    """
    paths = dict(zip(SUFFIXES, report_paths(settings, report.id), strict=True))
    held: list[bytes] = []
    for suffix, path in paths.items():
        stored = (objects or {}).get(suffix)
        try:
            held.append(path.read_bytes())
        except FileNotFoundError:
            if stored is None or store is None:
                raise NotFound("The file of this report is not on this machine.") from None
            held.append(store.read(stored.store_key, stored.store_version))
    digests = tuple(hashlib.sha256(data).hexdigest() for data in held)
    if digests != (report.sha256, report.recipe["digest"]):
        raise DamageFound("The report is not what was made. Have another one made.")
    return held[0], held[1]

"""What every signed document of a site has in common: a number of its own, and its signature."""

from collections.abc import Mapping

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Unavailable
from bidwitness.storage.evidence_report.signing import open_report_signer, sign_report
from bidwitness.storage.evidence_report.stamping import stamps_of
from bidwitness.storage.index.models import Derivative, Site
from bidwitness.storage.jobs import JobRun


def numbered_on_site(
    orm: Orm, run: JobRun, kind: str, prefix: str, recipe: Mapping[str, object]
) -> tuple[str, str]:
    """Give a document its row and its number ``PREFIX-site-NNNN``, counted within its kind.

    An attempt that was killed has left both.
    """
    present = orm.scalars(select(Derivative).where(Derivative.job_id == run.id)).first()
    if present is not None:
        return present.id, str(present.recipe["number"])
    # Locked, so that no two documents have one number.
    orm.scalars(select(Site.id).with_for_update()).all()
    count = orm.scalar(select(func.count()).where(Derivative.kind == kind)) or 0
    number = f"{prefix}-{run.settings.site}-{count + 1:04d}"
    row = Derivative(
        kind=kind,
        recipe={**recipe, "number": number},
        made_us=run.clock.utc_us(),
        made_by=run.by,
        job_id=run.id,
    )
    orm.add(row)
    orm.flush()
    return row.id, number


def signed_by_site(run: JobRun, document: bytes, number: str, name: str) -> bytes:
    """Sign, with the time stamp of the first authority that gives one; without, if none does.

    ``name``: what such a document is called. Raises ``ConfigError``.
    """
    now = run.clock.utc_us()
    signer, issuer = open_report_signer(run.settings, now), run.settings.name
    for stamp in stamps_of(run.settings, run.clock):
        try:
            return sign_report(document, signer, number, issuer, now, stamp, kind=name)
        except Unavailable:
            continue
    return sign_report(document, signer, number, issuer, now, kind=name)

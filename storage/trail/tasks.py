"""The job that makes a report of the audit trail."""

from collections.abc import Mapping

from bidwitness.storage.derivatives import AUDIT_REPORT
from bidwitness.storage.jobs import JobRun, job_kind


@job_kind(AUDIT_REPORT)
def audit_report(run: JobRun) -> Mapping[str, object]:
    """Make, sign and register a report of what a search finds."""
    # Here: whoever only queues the job needs none of what makes it.
    from bidwitness.storage.trail.reporting import make_audit_report

    return make_audit_report(run)

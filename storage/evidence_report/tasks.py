"""The job that makes a session's evidence report."""

from collections.abc import Mapping

from bidwitness.storage.derivatives import EVIDENCE_REPORT
from bidwitness.storage.jobs import JobRun, job_kind


@job_kind(EVIDENCE_REPORT)
def evidence_report(run: JobRun) -> Mapping[str, object]:
    """Make, sign and register a report of what is known of the session now."""
    # Here: whoever only queues the job needs none of what makes it.
    from bidwitness.storage.evidence_report.making import make_report

    return make_report(run)

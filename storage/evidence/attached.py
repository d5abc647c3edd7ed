"""Evidence reports in a package: that each is of this session's records, and who signed it.

``report/NUMBER.pdf`` is a report, ``report/NUMBER.json`` the facts in it. They are about the records,
so the records do not name them: a report says what its site knew, and proves nothing by itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from bidwitness.storage.evidence.bag import Files, Unreadable
from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, parse
from bidwitness.storage.evidence.chain import Problem

REPORTS = "report/"
FACTS_SUFFIX, REPORT_SUFFIX = ".json", ".pdf"
_T = "evidence_report"
# Says whether a report (PDF, its facts) is signed by a certificate that is trusted; raises
# ``BadReport``.
ReportCheck: TypeAlias = Callable[[bytes, bytes, Sequence[bytes]], bool]
NO_REPORT_CHECK = (
    "固证报告的电子签名(本程序只核对其场次根)",
    "signatures of evidence reports (only the root that they name)",
)


class BadReport(ValueError):
    """Not a signed report, changed since, or not of the facts beside it; says what does not fit."""


@dataclass
class ReportFindings:
    """``reports``: those that agree with the records; ``trusted`` is empty if nobody looked."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    reports: list[dict[str, object]] = field(default_factory=list)
    not_checked: list[tuple[str, str]] = field(default_factory=list)


def hold_reports(
    bag: Files,
    session: str | None,
    leaves: Sequence[str],
    certificates: Sequence[bytes],
    check: ReportCheck | None,
) -> ReportFindings:
    """Hold the reports of a package against its session's records. ``leaves``: their leaf hashes;
    ``certificates``: whom the policy trusts to sign reports (DER)."""
    found = ReportFindings()
    files: dict[str, bytes] = {}
    for name in (n for n in bag.sizes() if n.startswith(REPORTS)):
        try:
            files[name] = bag.text(name)
        except Unreadable as error:
            found.problems.append(Problem("unreadable", name, str(error)))
    found.not_checked = [NO_REPORT_CHECK] if files and check is None else []
    for name in sorted(n for n in files if n.endswith(FACTS_SUFFIX)):
        document = name[: -len(FACTS_SUFFIX)] + REPORT_SUFFIX
        try:
            number, seq = _read_facts(files[name], session, leaves)
        except BadRecord as error:
            found.problems.append(Problem("inconsistent", name, str(error)))
            continue
        if document not in files:
            found.problems.append(Problem("missing", document, "its facts are there without it"))
            continue
        trusted = None
        if check is not None:
            try:
                trusted = check(files[document], files[name], certificates)
            except BadReport as error:
                found.problems.append(Problem("modified", document, str(error)))
                continue
        found.reports.append({"number": number, "record": seq, "trusted": trusted})
        found.notes.append(_words(number, trusted, len(leaves) - 1 - seq))
    for name in sorted(n for n in files if n.endswith(REPORT_SUFFIX)):
        if name[: -len(REPORT_SUFFIX)] + FACTS_SUFFIX not in files:
            found.problems.append(
                Problem("inserted", name, "the facts of this report are not there")
            )
    return found


def _read_facts(data: bytes, session: str | None, leaves: Sequence[str]) -> tuple[str, int]:
    """Give a report's number and the record that is its root. Raises ``BadRecord``."""
    facts = parse(data)
    number, sitting, root = facts.get("number"), facts.get("sitting"), facts.get("root")
    if facts.get("t") != _T or not isinstance(number, str):
        raise BadRecord("these are not the facts of an evidence report")
    if not isinstance(sitting, dict) or sitting.get("session") != session:
        raise BadRecord("the report is about another session")
    if not isinstance(root, dict):
        raise BadRecord("the report names no root")
    seq: JsonValue = root.get("seq")
    if not isinstance(seq, int) or not 0 <= seq < len(leaves) or root.get("leaf") != leaves[seq]:
        raise BadRecord("the report's root is not a record of this session")
    return number, seq


def _words(number: str, trusted: bool | None, since: int) -> tuple[str, str]:
    chinese, english = {
        None: ("场次根与记录相符", "its root is that of the records"),
        True: (
            "场次根与记录相符,签名有效,证书在信任材料中",
            "its root is that of the records; signed by a certificate that is trusted",
        ),
        False: (
            "场次根与记录相符,签名以后未改动;证书不在信任材料中,不证明由谁签名",
            "its root is that of the records; unchanged since it was signed, by whom is not proven",
        ),
    }[trusted]
    later = (
        (f";此后另有 {since} 条记录", f"; {since} record(s) came after it") if since else ("", "")
    )
    return (
        f"固证报告 {number}:{chinese}{later[0]}",
        f"evidence report {number}: {english}{later[1]}",
    )

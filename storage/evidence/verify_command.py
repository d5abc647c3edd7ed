"""``bidwitness verify``: the verifier as a command that stands alone.

Like ``verify.py`` in a package it declares its options with the standard library.
"""

import argparse
import hashlib
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bidwitness import __version__
from bidwitness.clock import SystemClock
from bidwitness.storage.evidence.checkfile import SoundRebuild
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.evidence.report import UNREADABLE, Report, report_json, report_text
from bidwitness.storage.evidence.standalone import declare_options, write_out
from bidwitness.storage.evidence.verify import verify_package

SUMMARY = "Verify a package offline: 0 authentic, 1 not, 2 unreadable, 3 consistent but unproven."


def main(arguments: Sequence[str]) -> int:
    """Verify what is named, print what was found, and give the exit code."""
    parser = argparse.ArgumentParser(prog="bidwitness verify", description=SUMMARY)
    parser.add_argument(
        "package", type=Path, help="a zip, a bag's folder, or a folder that holds one"
    )
    declare_options(parser)
    parser.add_argument(
        "--report", type=Path, help="also write a report for people, a PDF to print and sign"
    )
    parser.add_argument("--operator", default="", help="who verifies, for the report")
    given = parser.parse_args(arguments)
    policy = Path(given.policy) if given.policy else None
    clock = SystemClock()
    begun = clock.utc_us()
    report = verify_package(
        given.package,
        policy,
        policy_key=given.policy_key,
        media=not given.structure,
        check_token=_check_token,
        check_report=_check_report,
        check_sound=_check_sound,
    )
    write_out(report_json(report) + "\n" if given.json else report_text(report))
    if given.report is not None:
        recordings = not given.structure
        spoken = _Spoken(policy, given.operator, begun, clock.utc_us(), recordings=recordings)
        if not _write_paper(given.report, report, spoken):
            return UNREADABLE
    return report.exit_code


@dataclass(frozen=True)
class _Spoken:
    """What a report for people tells of the verification itself."""

    policy: Path | None
    operator: str
    begun: int
    ended: int
    recordings: bool


def _write_paper(target: Path, report: Report, spoken: _Spoken) -> bool:
    """Write the report for people; say whether that could be done."""
    # Here: setting pages takes longer to load than many a package to verify.
    from bidwitness.storage.evidence.bundle import standalone_verifier
    from bidwitness.storage.evidence_report.verification import (
        Circumstances,
        Policy,
        make_verification_report,
    )

    try:
        trusted = None
        if spoken.policy is not None:
            digest = hashlib.sha256(spoken.policy.read_bytes()).hexdigest()
            trusted = Policy(spoken.policy.name, digest)
        how = Circumstances(
            operator=spoken.operator,
            begun=spoken.begun,
            ended=spoken.ended,
            tool=f"BidWitness {__version__}, Python {platform.python_version()}, {platform.system()}",
            tool_digest=hashlib.sha256(standalone_verifier().encode()).hexdigest(),
            policy=trusted,
            recordings=spoken.recordings,
        )
        target.write_bytes(make_verification_report(report, how))
    except OSError as error:
        sys.stderr.write(f"The report cannot be written: {error}\n")
        return False
    return True


def _check_token(token: bytes, message: bytes, certificates: Sequence[bytes]) -> None:
    # Here: a package without time stamps is verified sooner without it.
    from bidwitness.storage.ledger.tokens import check_token

    check_token(token, message, certificates)


def _check_report(document: bytes, facts: bytes, certificates: Sequence[bytes]) -> bool:
    from bidwitness.storage.evidence_report.checking import check_report

    return check_report(document, facts, certificates)


def _check_sound(facts: SegmentFacts, partial: bool) -> SoundRebuild | None:
    if facts.g711 is None:
        return None
    from bidwitness.storage.evidence.rebuild import G711Rebuild, load_decoder

    load_decoder()
    return G711Rebuild(facts, facts.g711, partial=partial)

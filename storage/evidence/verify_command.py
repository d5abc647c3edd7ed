"""``bidwitness verify``: the verifier as a command."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bidwitness.storage.evidence.report import report_json, report_text
from bidwitness.storage.evidence.verify import verify_package


def verify(
    package: Annotated[
        Path, typer.Argument(help="A zip, a bag's folder, or a folder holding one.")
    ],
    policy: Annotated[
        Path | None, typer.Option(help="Trust material from outside the package.")
    ] = None,
    structure: Annotated[
        bool, typer.Option("--structure", help="Records and chains only; do not read recordings.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON.")] = False,
) -> None:
    """Verify a package offline: 0 authentic, 1 not, 2 unreadable, 3 consistent but unproven."""
    report = verify_package(
        package, policy, media=not structure, check_token=_check_token, check_report=_check_report
    )
    text = report_json(report) if as_json else report_text(report)
    # As bytes: neither a terminal's encoding nor a name that is no text may end the answer.
    typer.echo(text.encode("utf-8", "backslashreplace"), nl=as_json)
    raise typer.Exit(report.exit_code)


def _check_token(token: bytes, message: bytes, certificates: Sequence[bytes]) -> None:
    # Here: a package without time stamps is verified sooner without it.
    from bidwitness.storage.ledger.tokens import check_token

    check_token(token, message, certificates)


def _check_report(document: bytes, facts: bytes, certificates: Sequence[bytes]) -> bool:
    from bidwitness.storage.evidence_report.checking import check_report

    return check_report(document, facts, certificates)

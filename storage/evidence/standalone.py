"""The command line of the stand-alone verifier."""

import argparse
import sys
from pathlib import Path

from bidwitness.storage.evidence.report import report_json, report_text
from bidwitness.storage.evidence.verify import verify_package


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what each verifier can be told beside the package."""
    parser.add_argument("--policy", help="trust material from outside the package")
    parser.add_argument("--policy-key", help="the key that must have signed it, or its fingerprint")
    parser.add_argument(
        "--structure", action="store_true", help="records and chains only; do not read recordings"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")


def write_out(text: str) -> None:
    """Print as bytes: neither a terminal's encoding nor a name that is no text may end the answer."""
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def main(arguments: list[str]) -> int:
    """Verify the package that is named, or the one this file lies in; give the exit code."""
    parser = argparse.ArgumentParser(description="Verify a BidWitness package, offline.")
    parser.add_argument("package", nargs="?", default=str(Path(__file__).resolve().parent))
    declare_options(parser)
    given = parser.parse_args(arguments)
    policy = Path(given.policy) if given.policy else None
    report = verify_package(
        Path(given.package), policy, policy_key=given.policy_key, media=not given.structure
    )
    write_out(report_json(report) + "\n" if given.json else report_text(report))
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

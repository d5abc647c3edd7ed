"""The command line of the stand-alone verifier."""

import argparse
import sys
from pathlib import Path

from bidwitness.storage.evidence.report import report_json, report_text
from bidwitness.storage.evidence.verify import verify_package


def main(arguments: list[str]) -> int:
    """Verify the package that is named, or the one this file lies in; give the exit code."""
    parser = argparse.ArgumentParser(description="Verify a BidWitness package, offline.")
    parser.add_argument("package", nargs="?", default=str(Path(__file__).resolve().parent))
    parser.add_argument("--policy", help="trust material from outside the package")
    parser.add_argument(
        "--structure", action="store_true", help="records and chains only; do not read recordings"
    )
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    given = parser.parse_args(arguments)
    policy = Path(given.policy) if given.policy else None
    report = verify_package(Path(given.package), policy, media=not given.structure)
    text = report_json(report) + "\n" if given.json else report_text(report)
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The ``bidwitness`` command: finds what was asked for, and maps errors to exit codes."""

import logging
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from bidwitness import log
from bidwitness.errors import BidWitnessError
from bidwitness.lifeline import end_with_parent

# A command that stands alone is a module with a ``main`` of its own. It needs no setting, so that it
# works beside wrong ones; and whoever calls it waits neither for the other commands to be loaded, nor for
# what they are declared with, which takes longer than to verify many a package.
ALONE = {"verify": "bidwitness.storage.evidence.verify_command"}


def main() -> None:
    """Run a command. Errors made for people end in one line on stderr and their exit code."""
    end_with_parent()
    try:
        name = sys.argv[1] if len(sys.argv) > 1 else ""
        if name in ALONE:
            log.configure()
            run: Callable[[Sequence[str]], int] = import_module(ALONE[name]).main
            sys.exit(run(sys.argv[2:]))
        from bidwitness.commands import run_command

        run_command()
    except BidWitnessError as error:
        _tell(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


def _tell(error: BidWitnessError) -> None:
    # Here: only errors are set in colour.
    from rich.console import Console

    Console(stderr=True, soft_wrap=True).print(
        f"error: {log.redact(error.detail)}", style="bold red", markup=False, highlight=False
    )
    logging.getLogger(__name__).debug("the command failed", exc_info=error)

"""What ``bidwitness lock-test`` does and prints."""

import typer

from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.errors import ConfigError
from bidwitness.storage.store import Retrying, open_store
from bidwitness.storage.store.lock_test import LockTrial
from bidwitness.words import LockLevel

POLL_S = 1.0
_BY = {
    LockLevel.STORE: "refused by the store itself",
    LockLevel.PROGRAM: "refused by this program alone: whoever may write to the folder is not",
    LockLevel.NONE: "nothing can be locked",
}


def run_lock_test(settings: Settings, seconds: int, clock: Clock | None = None) -> None:
    """Try the locks of the store that the settings name, and print each step.

    Raises ``ConfigError`` if one did not hold, ``StoreError`` if the store does not answer.
    """
    clock = clock or SystemClock()
    store = Retrying(open_store(settings), clock)
    store.prepare()
    trial = LockTrial(store, clock, seconds * 1_000_000)
    trial.begin()
    typer.echo(f"{trial.level.zh} / {_BY[trial.level]}")
    while not (trial.findings and not trial.passed) and not (trial.ripe() and trial.finish()):
        clock.sleep(POLL_S)
    for finding in trial.findings:
        typer.echo(
            f"{'ok    ' if finding.ok else 'FAILED'} {finding.step}: {finding.said or 'held'}"
        )
    if not trial.passed:
        trial.clean()
        raise ConfigError("The locks of the store do not hold.")

"""Duties: things `keep` does again and again, each in a thread of its own, through every outage."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass

from bidwitness.errors import BidWitnessError, StorageFull, Unavailable

log = logging.getLogger(__name__)

LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Duty:
    """``act`` gives how much it did; if that was something, it is asked again at once."""

    name: str
    every_s: float
    act: Callable[[], int]
    # Whether a further piece of work may be waiting when ``act`` did something.
    eager: bool = False


def back_off_s(failures: int) -> float:
    """Give the seconds to wait after so many failures in a row: 1, 2, 4 … 30. Pure."""
    return min(LONGEST_WAIT_S, float(2 ** min(failures - 1, 10)))


class Duties:
    """Runs duties until told to stop. ``confirm`` is asked before each piece of work."""

    def __init__(self, duties: Sequence[Duty], confirm: Callable[[], None]) -> None:
        self._duties = duties
        self._confirm = confirm
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Let each duty end its present piece of work, and no more."""
        self._stopping.set()

    def run(self) -> None:
        """Block until ``stop``. An error that is not an outage ends all duties and is raised."""
        with ThreadPoolExecutor(len(self._duties), thread_name_prefix="duty") as pool:
            running = [pool.submit(self._loop, duty) for duty in self._duties]
            wait(running, return_when=FIRST_COMPLETED)
            self.stop()
            wait(running)
        for future in running:
            future.result()

    def _loop(self, duty: Duty) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._confirm()
                did = duty.act()
            except (Unavailable, StorageFull) as error:
                failures += 1
                self._say(duty, error, failures)
                self._stopping.wait(back_off_s(failures))
                continue
            if failures:
                log.info("works again", extra={"facts": {"duty": duty.name}})
            failures = 0
            if not (did and duty.eager):
                self._stopping.wait(duty.every_s)

    def _say(self, duty: Duty, error: BidWitnessError, failures: int) -> None:
        facts = {"duty": duty.name, "why": error.detail, "failures": failures}
        level = logging.WARNING if failures == 1 else logging.DEBUG
        log.log(level, "cannot work at the moment; trying again", extra={"facts": facts})

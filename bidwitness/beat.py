"""The beat on which a process wakes: one thread after the other, then none for a while.

Threads that each wake when they like find the processor's caches cold, and, on a busy machine, cost
a fifth more. If all woke in the same instant they would wait for each other's turn at the
interpreter: seven times the switches.
"""

from itertools import count

BEAT_US = 200_000
# Datagrams wait in a buffer that the kernel keeps small; a key frame should not overrun it.
SHORT_BEAT_US = 100_000
# One thread's work on a beat takes about so long; as many have a place of their own.
_TURN_US, _TURNS = 2_500, 16
# Whoever writes what the others have read wakes when they are done.
AFTER_US = 50_000


class Turns:
    """Gives each thread that reads its place after the beat, in µs."""

    def __init__(self) -> None:
        self._given = count()

    def next_us(self) -> int:
        return next(self._given) % _TURNS * _TURN_US


def until_beat(now_us: int, after_us: int = 0, beat_us: int = BEAT_US) -> float:
    """Give the seconds from a monotonic instant to the next beat, or to ``after_us`` past one.

    Above zero, at most a beat. Pure.
    """
    return (beat_us - (now_us - after_us) % beat_us) / 1_000_000

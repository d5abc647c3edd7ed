"""What lock an object in the store must have now: values in, a plan out. Pure.

A retention can only grow, and a COMPLIANCE retention nobody can take back: so no date is set before
it is certain. Footage is retained to the end of its loop. What a session claims has a legal hold
besides, which can be released. Once the session is sealed its footage is retained for 90 days at a
time while nobody knows the end of its period, and to that end, without the hold, when it is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.periods import DAY_US

ROLLING_US = 90 * DAY_US
RENEW_US = 7 * DAY_US
SECOND_US = 1_000_000
# A date so near protects nothing, and the store's clock may already be past it.
NEAR_US = 3_600_000_000
_LOOK_UNSEALED_US = DAY_US
_LOOK_FINAL_US = 30 * DAY_US


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps a version from being removed: retained until (µs UTC), and a legal hold."""

    until_us: int | None = None
    held: bool = False

    def forbids(self, now_us: int) -> bool:
        """Say whether it may not be removed now."""
        return self.held or (self.until_us is not None and self.until_us > now_us)

    def covers(self, other: "Lock") -> bool:
        """Say whether it forbids at least what ``other`` does."""
        return (self.until_us or 0) >= (other.until_us or 0) and self.held >= other.held


UNLOCKED = Lock()


@dataclass(frozen=True, slots=True)
class Needed:
    """A session that claims the object: until when it is needed (empty: not known yet), and
    whether the session is settled, so that a date that cannot be taken back may be set."""

    until_us: int | None
    settled: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """The lock an object must have, and when that must be looked at again (empty: never by itself)."""

    lock: Lock
    look_us: int | None


def plan_lock(
    present: Lock, loop_ends_us: int, needs: Sequence[Needed], held: bool, now_us: int
) -> Plan:
    """Give the lock that an object must have at ``now_us``.

    ``needs``: the sessions that claim it; ``held``: whether a hold (封存) covers it. The date never
    becomes earlier than ``present``'s.
    """
    dates = [loop_ends_us]
    looks: list[int] = []
    rolls = any(need.settled and need.until_us is None for need in needs)
    if rolls and (present.until_us or 0) <= now_us + ROLLING_US - RENEW_US:
        dates.append(now_us + ROLLING_US)
    dates += [need.until_us for need in needs if need.settled and need.until_us is not None]
    # Up to whole seconds, as S3 keeps them.
    later = [-(-date // SECOND_US) * SECOND_US for date in dates if date > now_us + NEAR_US]
    until = max(later, default=None)
    if present.until_us is not None:
        until = max(present.until_us, until or 0)
    if rolls:
        looks.append(max(now_us, (until or 0) - ROLLING_US + RENEW_US))
    if any(not need.settled for need in needs):
        looks.append(now_us + _LOOK_UNSEALED_US)
    if held:
        looks.append(now_us + RENEW_US)
    if needs and not looks and until is not None and until > now_us:
        # The period may still grow: another lot, a longer policy.
        looks.append(now_us + _LOOK_FINAL_US)
    waits = any(not need.settled or need.until_us is None for need in needs)
    return Plan(Lock(until, held or waits), min(looks, default=None))

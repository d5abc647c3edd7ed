"""Faults that a test may set on a running camera, and when they end. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from bidwitness.errors import InvalidInput


class FaultKind(StrEnum):
    """What goes wrong.

    drop: connections are closed and refused. stall: connected, but nothing is sent. silent:
    the sound track is declared, but no sound is sent. jump: timestamps leap by ``ms``. repeat:
    the timestamp stands still. skew: sender reports name a time that is ``ms`` off. garbage:
    payloads are noise. resolution: the picture becomes ``width`` x ``height`` at a key frame.
    """

    DROP = "drop"
    STALL = "stall"
    SILENT = "silent"
    JUMP = "jump"
    REPEAT = "repeat"
    SKEW = "skew"
    GARBAGE = "garbage"
    RESOLUTION = "resolution"


_LASTING = (FaultKind.SILENT, FaultKind.JUMP, FaultKind.SKEW, FaultKind.RESOLUTION)
"""These may go on until cleared; the others need an end."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. ``duration_us`` None: until cleared."""

    kind: FaultKind
    duration_us: int | None = None
    ms: int = 0
    width: int = 0
    height: int = 0


def fault_from(item: dict[str, object]) -> Fault:
    """Read a fault from a JSON object {kind, seconds?, ms?, width?, height?}.

    Raises ``InvalidInput``.
    """
    try:
        kind = FaultKind(str(item.get("kind")))
    except ValueError:
        known = ", ".join(FaultKind)
        raise InvalidInput(f"Unknown kind of fault; known are {known}.") from None
    seconds = item.get("seconds")
    if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < 86_400):
        raise InvalidInput("A fault's seconds must be a number above 0 and below a day.")
    if seconds is None and kind not in _LASTING:
        raise InvalidInput(f"The fault {kind} needs its seconds.")
    numbers: dict[str, int] = {}
    for name in ("ms", "width", "height"):
        value = item.get(name, 0)
        if not isinstance(value, int):
            raise InvalidInput(f"A fault's {name} must be a whole number.")
        numbers[name] = value
    sized = all(160 <= numbers[n] <= 4096 and not numbers[n] % 2 for n in ("width", "height"))
    if kind is FaultKind.RESOLUTION and not sized:
        raise InvalidInput("The fault resolution needs an even width and height, 160 to 4096.")
    duration = None if seconds is None else int(seconds * 1_000_000)
    return Fault(kind, duration, **numbers)


class FaultBoard:
    """The faults of one stream, each kind at most once. Times are monotonic µs."""

    def __init__(self) -> None:
        self._active: dict[FaultKind, tuple[Fault, int | None]] = {}

    def set(self, fault: Fault, now_us: int) -> None:
        """Start a fault, in place of one of its kind."""
        until = None if fault.duration_us is None else now_us + fault.duration_us
        self._active[fault.kind] = (fault, until)

    def get(self, kind: FaultKind, now_us: int) -> Fault | None:
        """Give the fault of this kind if it is on now."""
        if not self._active or kind not in self._active:
            return None
        fault, until = self._active[kind]
        if until is not None and now_us >= until:
            del self._active[kind]
            return None
        return fault

    def clear(self) -> None:
        """End all faults."""
        self._active.clear()

    def names(self, now_us: int) -> list[str]:
        """List the kinds that are on now."""
        return [kind.value for kind in FaultKind if self.get(kind, now_us)]

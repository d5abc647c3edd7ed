"""How a camera is recorded: all the time, or, for a reason, for sessions only.

Both ways are the same road: it is pulled and written day and night. In ``session`` mode what nobody
claims stays for as long as a session that begins now reaches back, and goes then (``keep.loops``).
"""

from bidwitness.config import Settings
from bidwitness.errors import InvalidInput
from bidwitness.storage.index.models import Camera
from bidwitness.words import RecordMode

# A session that was started late by hand finds at least so much.
SHORTEST_LOOP_US = 300_000_000


def set_mode(camera: Camera, mode: RecordMode | None, reason: str | None) -> bool:
    """Set a camera's mode; None leaves it. Say whether anything has changed.

    Raises ``InvalidInput`` for ``session`` without a reason.
    """
    said = (reason or "").strip() or None
    if mode is None and said is None:
        return False
    wanted = mode or camera.mode
    if wanted is RecordMode.SESSION and said is None:
        raise InvalidInput(
            "Recording for sessions only is an exception: say why.",
            fields={"mode_reason": "is missing"},
        )
    before = (camera.mode, camera.mode_reason)
    camera.mode = wanted
    camera.mode_reason = said if wanted is RecordMode.SESSION else None
    return (camera.mode, camera.mode_reason) != before


def session_loop_us(settings: Settings) -> int:
    """Give how long footage of a camera in ``session`` mode waits to be claimed, in µs."""
    reach = (settings.lead_in_seconds + settings.pre_roll_seconds) * 1_000_000
    return max(SHORTEST_LOOP_US, reach)

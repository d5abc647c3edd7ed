"""What stops a pull and what does not."""

from dataclasses import replace

import pytest

from bidwitness.pulls import Pull, stopped

LIVE = Pull("st", "room", ("rtsp://h/a", "admin"), alive=True)


@pytest.mark.parametrize(
    ("before", "after", "stops"),
    [
        (LIVE, LIVE, False),
        (LIVE, None, True),
        (LIVE, replace(LIVE, room_id="other"), True),
        (LIVE, replace(LIVE, door=("rtsp://h/b", "admin")), True),
        (LIVE, replace(LIVE, door=("rtsp://h/a", "guest")), True),
        # What gives nothing may be dialled otherwise, not be given up.
        (replace(LIVE, alive=False), replace(LIVE, door=("rtsp://h/b", "admin")), False),
        (replace(LIVE, alive=False), None, True),
        (None, LIVE, False),
    ],
)
def test_a_pull_stops_by(before: Pull | None, after: Pull | None, stops: bool) -> None:
    found = stopped([before] if before else [], [after] if after else [])
    assert found == ((before,) if stops else ())


def test_each_stream_is_looked_at_by_itself() -> None:
    sub = replace(LIVE, stream_id="sub")
    assert stopped([LIVE, sub], [LIVE]) == (sub,)
    # What gave nothing may go, as long as the camera is pulled still.
    assert stopped([LIVE, replace(sub, alive=False)], [LIVE]) == ()

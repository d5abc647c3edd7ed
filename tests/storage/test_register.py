"""What was watched, put together from the audit trail."""

from bidwitness.intervals import Interval
from bidwitness.storage.watched import seen_spans
from bidwitness.words import Medium


def seen(stream: str, medium: str, start: int, end: int) -> dict[str, object]:
    return {"stream": stream, "medium": medium, "from_us": start, "to_us": end}


def test_minutes_that_touch_are_one_time() -> None:
    entries = [
        seen("a", "picture", 60, 120),
        seen("a", "picture", 0, 60),
        seen("a", "sound", 0, 60),
        seen("a", "picture", 300, 360),
        seen("a", "picture", 300, 360),
    ]
    assert seen_spans(entries) == {
        ("a", Medium.PICTURE): (Interval(0, 120), Interval(300, 360)),
        ("a", Medium.SOUND): (Interval(0, 60),),
    }
    assert seen_spans([]) == {}

"""What records say was recorded, and where a package puts it."""

from collections.abc import Iterable, Sequence

from bidwitness.intervals import Interval, subtract
from bidwitness.storage.evidence.records import (
    GapFacts,
    Place,
    SegmentFacts,
    StreamRecord,
    utc_text,
)

ALL_MEDIA = "all"


def media_of(facts: SegmentFacts) -> set[str]:
    """Name the media of which a segment holds samples."""
    filled = {media.track for media in facts.media if media.frames}
    return {track.medium for track in facts.tracks if track.id in filled}


def recorded_spans(records: Iterable[StreamRecord], medium: str) -> list[Interval]:
    """Give when a medium was recorded: segments that hold samples of it, less declared gaps."""
    held: list[Interval] = []
    lost: list[Interval] = []
    for item in records:
        if isinstance(item, SegmentFacts):
            if medium in media_of(item):
                held.append(Interval(item.start, item.end))
        elif item.medium in (medium, ALL_MEDIA):
            lost.append(Interval(item.start, item.end))
    return subtract(held, lost)


def overlapping(facts: StreamRecord, spans: Sequence[Interval]) -> bool:
    """Say whether a record concerns one of some times."""
    return any(span.start < facts.end and facts.start < span.end for span in spans)


def gaps_within(
    records: Iterable[StreamRecord], spans: Sequence[Interval]
) -> list[tuple[GapFacts, Interval]]:
    """Give the declared gaps within some times, each with the part that lies in one."""
    return [
        (item, shared)
        for item in records
        if isinstance(item, GapFacts)
        for span in spans
        if (shared := Interval(item.start, item.end).intersection(span)) is not None
    ]


def media_path(place: Place, start_us: int) -> str:
    """Give the name of a segment's file in a package; it tells when it begins (UTC)."""
    at = utc_text(start_us).replace("-", "").replace(":", "")
    return f"data/media/{place.stream}/{place.day}-{place.seq:06d}-{at}.mp4"


def records_path(stream: str, day: str) -> str:
    return f"data/records/{stream}/{day}.ndjson"

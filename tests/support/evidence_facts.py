"""Honest facts for the tests of this folder."""

from bidwitness.storage.evidence.records import (
    Anchor,
    Digests,
    FileFacts,
    G711Facts,
    MediaFacts,
    Place,
    SegmentFacts,
    TrackFacts,
)

START = 1_700_000_000_000_000
MINUTE = 60_000_000
ZEROS = "0" * 64


def segment_facts(place: Place, index: int = 0) -> SegmentFacts:
    """One minute of picture and converted sound, the ``index``-th of its run."""
    start = START + index * MINUTE
    return SegmentFacts(
        place=place,
        run="run-1",
        run_seq=index,
        init=ZEROS,
        tracks=(
            TrackFacts(1, "picture", "h264", 90_000),
            TrackFacts(2, "sound", "flac", 8_000, "pcm_mulaw"),
        ),
        media=(
            MediaFacts(1, index * 5_400_000, 5_400_000, 1500),
            MediaFacts(2, index * 480_000, 480_000, 120),
        ),
        wall=(start, start + MINUTE),
        anchors=(Anchor(index * 5_400_000, None, 5, start),),
        quality="arrival",
        pieces=3,
        root=Digests(ZEROS, ZEROS),
        file=FileFacts(10, ZEROS),
        g711=G711Facts("pcm_mulaw", (ZEROS, ZEROS), ((), (3, 17))),
    )

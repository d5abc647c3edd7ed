"""What a stream's records say of its footage within some times. Pure."""

from collections.abc import Iterable, Sequence

from bidwitness.intervals import Interval, intersect, total
from bidwitness.storage.evidence.footage import media_of, overlapping
from bidwitness.storage.evidence.records import SegmentFacts, StreamRecord
from bidwitness.storage.evidence_report.facts import (
    ClockFacts,
    ProbeFacts,
    SoundFacts,
    StreamFacts,
)
from bidwitness.words import ClockQuality, Medium

NOT_PROBED = ProbeFacts(0, 0, 0, ())


def stream_facts(
    stream: str,
    names: tuple[str, str, str],
    records: Iterable[StreamRecord],
    claimed: Sequence[Interval],
    probe: ProbeFacts = NOT_PROBED,
) -> StreamFacts:
    """Give a stream's part of the report. ``names``: of camera and room, and the stream's role."""
    segments = [
        item for item in records if isinstance(item, SegmentFacts) and overlapping(item, claimed)
    ]
    held = intersect([Interval(s.start, s.end) for s in segments], claimed)
    camera, room, role = names
    return StreamFacts(
        stream=stream,
        camera=camera,
        room=room,
        role=role,
        recorders=tuple(dict.fromkeys(s.place.recorder for s in segments)),
        segments=len(segments),
        bytes=sum(s.file.bytes for s in segments),
        runs=len({s.run for s in segments}),
        first=held[0].start if held else None,
        last=held[-1].end if held else None,
        pictures=_pictures(segments),
        sounds=_sounds(segments),
        clocks=_clocks(segments, claimed),
        offset=_offset(segments),
        probe=probe,
    )


def _pictures(segments: Iterable[SegmentFacts]) -> tuple[str, ...]:
    found = {
        track.codec
        for segment in segments
        for track in segment.tracks
        if track.medium != Medium.SOUND
    }
    return tuple(sorted(found))


def _sounds(segments: Iterable[SegmentFacts]) -> tuple[SoundFacts, ...]:
    """Say how the sound that came was stored, by codec as sent and stored."""
    counts: dict[tuple[str, str], list[int]] = {}
    for segment in segments:
        for track in segment.tracks:
            if track.medium == Medium.SOUND and Medium.SOUND in media_of(segment):
                key = (track.source_codec or track.codec, track.codec)
                found = counts.setdefault(key, [0, 0])
                found[0] += 1
                found[1] += segment.g711 is not None
    return tuple(
        SoundFacts(sent, stored, number, digested)
        for (sent, stored), (number, digested) in sorted(counts.items())
    )


def _clocks(
    segments: Iterable[SegmentFacts], claimed: Sequence[Interval]
) -> tuple[ClockFacts, ...]:
    lengths: dict[str, int] = {}
    for segment in segments:
        part = total(intersect([Interval(segment.start, segment.end)], claimed))
        lengths[segment.quality] = lengths.get(segment.quality, 0) + part
    order = [quality.value for quality in ClockQuality]
    return tuple(ClockFacts(quality, lengths[quality]) for quality in order if quality in lengths)


def _offset(segments: Iterable[SegmentFacts]) -> tuple[int, ...]:
    """Give the least and the greatest difference of the camera's clock from the recorder's."""
    found = [
        anchor.camera_us - anchor.recorder_us
        for segment in segments
        for anchor in segment.anchors
        if anchor.camera_us is not None
    ]
    return (min(found), max(found)) if found else ()

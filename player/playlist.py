"""The playlist of one track of a playback: entries, holes, and their text (HLS, RFC 8216). Pure.

Playlist time follows recorder time: where there is no footage, or none that this viewer may see,
``EXT-X-GAP`` entries fill the hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from bidwitness.player.cutting import MOST_US, TrackFragment, adjoins, cut, stretches

# Holes are written in steps of this length, so that a growing hole only adds entries.
HOLE_STEP_US = MOST_US
# A running stream that has been silent for so long has a hole; before, its footage may be under way.
SILENCE_US = 10_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Source:
    """What a viewer may see of one track in one segment, in order.

    ``finished``: the segment is closed, or the viewer's interval ends before its end.
    """

    run: str
    run_seq: int
    init: str
    fragments: Sequence[TrackFragment]
    finished: bool = True


class Entry(NamedTuple):
    """Fragments ``first`` to ``last`` of the track in segment ``run_seq`` of ``run``."""

    run: str
    run_seq: int
    init: str
    first: int
    last: int
    from_us: int
    to_us: int


class Hole(NamedTuple):
    """An interval without footage for this viewer."""

    from_us: int
    to_us: int


Line = Entry | Hole


def lay_out(
    sources: Sequence[Source], from_us: int, to_us: int | None, *, now_us: int
) -> list[Line]:
    """Lay a track out from ``from_us`` to ``to_us``, or to the present while it is None.

    Without an end only what will not change any more is given: entries that are whole, and holes
    in which footage is no longer to be expected.
    """
    lines: list[Line] = []
    end = from_us
    before: Source | None = None
    growing: list[TrackFragment] = []
    for source in sources:
        for stretch in stretches(source.fragments):
            continues = _continues(before, source, end, stretch[0].from_us)
            last = source is sources[-1] and stretch[-1] is source.fragments[-1]
            grows = last and not source.finished and now_us - stretch[-1].to_us <= SILENCE_US
            growing = stretch if grows else []
            for part in cut(stretch, continues=continues, finished=not grows):
                lines += _holes(end, part.from_us)
                lines.append(Entry(source.run, source.run_seq, source.init, *part))
                end = part.to_us
                before = source
    if to_us is not None:
        return lines + _holes(end, to_us)
    return lines + _certain_holes(end, growing, now_us)


def _certain_holes(end: int, growing: Sequence[TrackFragment], now_us: int) -> list[Line]:
    """Give the holes after ``end`` that no footage still to come can fill."""
    if not growing:
        return _holes(end, end + _steps(now_us - SILENCE_US - end))
    key = next((fragment for fragment in growing if fragment.key), None)
    if key is not None:
        return _holes(end, key.from_us)
    return _holes(end, end + _steps(growing[0].from_us - end))


def _steps(length_us: int) -> int:
    return max(0, length_us // HOLE_STEP_US * HOLE_STEP_US)


def _continues(before: Source | None, source: Source, end: int, from_us: int) -> bool:
    if before is None or not adjoins(end, from_us):
        return False
    if before is source:
        return True
    same = (before.run, before.init) == (source.run, source.init)
    return same and source.run_seq == before.run_seq + 1


def _holes(from_us: int, to_us: int) -> list[Line]:
    if to_us <= from_us or adjoins(from_us, to_us):
        return []
    return [
        Hole(start, min(start + HOLE_STEP_US, to_us))
        for start in range(from_us, to_us, HOLE_STEP_US)
    ]


def render(lines: Sequence[Line], *, ended: bool) -> str:
    """Write the playlist. Addresses are relative to it; it names nothing but what is in ``lines``.

    A playlist that has not ``ended`` only grows at its end (``EVENT``).
    """
    longest = max((line.to_us - line.from_us for line in lines), default=0)
    out = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{(max(longest, MOST_US) + 500_000) // 1_000_000}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        f"#EXT-X-PLAYLIST-TYPE:{'VOD' if ended else 'EVENT'}",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    before: tuple[str, str] | None = None
    for line in lines:
        if isinstance(line, Entry):
            media = (line.run, line.init)
            if media != before:
                if before is not None:
                    out.append("#EXT-X-DISCONTINUITY")
                out.append(f'#EXT-X-MAP:URI="init/{line.init}.mp4"')
                before = media
            address = entry_address(line)
        else:
            out.append("#EXT-X-GAP")
            address = f"gap-{line.from_us}.m4s"
        out.append(f"#EXT-X-PROGRAM-DATE-TIME:{_date(line.from_us)}")
        out.append(f"#EXTINF:{_seconds(line.to_us - line.from_us)},")
        out.append(address)
    if ended:
        out.append("#EXT-X-ENDLIST")
    return "\n".join(out) + "\n"


def entry_address(entry: Entry) -> str:
    """Give an entry's address relative to its playlist; the same while its segment is open."""
    return f"{entry.run}-{entry.run_seq}/{entry.first}-{entry.last}.m4s"


def _seconds(length_us: int) -> str:
    return f"{length_us // 1_000_000}.{length_us % 1_000_000:06d}"


def _date(instant_us: int) -> str:
    return (_EPOCH + timedelta(microseconds=instant_us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

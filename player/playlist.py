"""The playlist of one track of a playback: entries, holes, and their text (HLS, RFC 8216). Pure.

Playlist time follows recorder time: where there is no footage, or none that this viewer may see,
``EXT-X-GAP`` entries fill the hole.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Protocol

from bidwitness.player.cutting import MOST_US, Cut, TrackFragment, adjoins, cut_all, stretches

# Holes are written in steps of this length, so that a growing hole only adds entries.
HOLE_STEP_US = MOST_US
# A running stream that has been silent for so long has a hole; before, its footage may be under way.
SILENCE_US = 10_000_000
_DAY_US = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Source(Protocol):
    """What a viewer may see of one track in one segment.

    ``from_us`` and ``to_us``: where the first and last of its fragments begin and end.
    ``finished``: the segment is closed, or what she may see ends before its end.
    """

    @property
    def run(self) -> str: ...
    @property
    def run_seq(self) -> int: ...
    @property
    def init(self) -> str: ...
    @property
    def from_us(self) -> int: ...
    @property
    def to_us(self) -> int: ...
    @property
    def finished(self) -> bool: ...

    def cuts(self, *, continues: bool, finished: bool) -> Sequence[Cut]: ...

    def first_key_us(self) -> int | None:
        """Say when the last stretch of footage in it has its first key frame."""
        ...


@dataclass(frozen=True, slots=True)
class FragmentSource:
    """A source by its fragments, at least one, in order."""

    run: str
    run_seq: int
    init: str
    fragments: Sequence[TrackFragment]
    finished: bool = True

    @property
    def from_us(self) -> int:
        return self.fragments[0].from_us

    @property
    def to_us(self) -> int:
        return self.fragments[-1].to_us

    def cuts(self, *, continues: bool, finished: bool) -> Sequence[Cut]:
        return cut_all(self.fragments, continues=continues, finished=finished)

    def first_key_us(self) -> int | None:
        *_, stretch = stretches(self.fragments)
        return next((fragment.from_us for fragment in stretch if fragment.key), None)


class Entry(NamedTuple):
    """Fragments ``first`` to ``last`` of the track in segment ``run_seq`` of ``run``."""

    run: str
    run_seq: int
    init: str
    first: int
    last: int
    from_us: int
    to_us: int
    size: int


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
    growing: Source | None = None
    for source in sources:
        silent = now_us - source.to_us > SILENCE_US
        grows = source is sources[-1] and not source.finished and not silent
        growing = source if grows else None
        continues = _continues(before, source, end)
        for part in source.cuts(continues=continues, finished=not grows):
            lines += _holes(end, part.from_us)
            lines.append(Entry(source.run, source.run_seq, source.init, *part))
            end = part.to_us
            before = source
    if to_us is not None:
        return lines + _holes(end, to_us)
    return lines + _certain_holes(end, growing, now_us)


def _certain_holes(end: int, growing: Source | None, now_us: int) -> list[Line]:
    """Give the holes after ``end`` that no footage still to come can fill."""
    if growing is None:
        return _holes(end, end + _steps(now_us - SILENCE_US - end))
    key_us = growing.first_key_us()
    if key_us is not None:
        return _holes(end, key_us)
    return _holes(end, end + _steps(growing.from_us - end))


def _steps(length_us: int) -> int:
    return max(0, length_us // HOLE_STEP_US * HOLE_STEP_US)


def _continues(before: Source | None, source: Source, end: int) -> bool:
    if before is None or not adjoins(end, source.from_us):
        return False
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
    days, rest = divmod(instant_us, _DAY_US)
    seconds, us = divmod(rest, 1_000_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day(days)}T{hour:02d}:{minute:02d}:{second:02d}.{us:06d}Z"


@lru_cache(maxsize=64)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).strftime("%Y-%m-%d")

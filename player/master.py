"""The master playlist of one stream: its picture, with the sound as a rendition (RFC 8216, 4.3.4).

Players outside the browser open it; the page of this program opens the tracks' own playlists.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bidwitness.player.pieces import Pieces
from bidwitness.player.playbacks import Scope
from bidwitness.player.playlist import Entry, Line
from bidwitness.storage.media.boxes import read_init
from bidwitness.storage.spool.blob import US
from bidwitness.words import Medium

_GROUP = "sound"


@dataclass(frozen=True, slots=True)
class Rendition:
    """One track as a master playlist tells it: bits a second of its heaviest entry and on average,
    RFC 6381 names of all codecs in it, and the largest size of its picture (0: none)."""

    medium: Medium
    peak: int
    mean: int
    codecs: tuple[str, ...]
    width: int = 0
    height: int = 0


def rendition(pieces: Pieces, scope: Scope) -> Rendition:
    """Describe a track by what of it the scope may show now."""
    lines, _ = pieces.lines(scope)
    inits = dict.fromkeys(line.init for line in lines if isinstance(line, Entry))
    tracks = [track for init in inits for track in read_init(pieces.init(scope, init))]
    peak, mean = rates(lines)
    return Rendition(
        scope.medium,
        peak,
        mean,
        tuple(dict.fromkeys(track.codec for track in tracks)),
        max((track.width for track in tracks), default=0),
        max((track.height for track in tracks), default=0),
    )


def rates(lines: Sequence[Line]) -> tuple[int, int]:
    """Give the bit rate of the heaviest entry, and that of all entries together. Pure."""
    entries = [line for line in lines if isinstance(line, Entry)]
    lengths = [max(1, entry.to_us - entry.from_us) for entry in entries]
    peaks = (_rate(e.size, length) for e, length in zip(entries, lengths, strict=True))
    return max(peaks, default=0), _rate(sum(e.size for e in entries), sum(lengths) or 1)


def _rate(size: int, length_us: int) -> int:
    return -(-size * 8 * US // length_us)


def render_master(parts: Sequence[Rendition]) -> str:
    """Write the master playlist of a stream's tracks, the picture first. Pure.

    Addresses are relative to it. A track of which nothing may be shown yet is left out; without
    any the playlist has no variant, which players take for an error, as it is one.
    """
    shown = {part.medium: part for part in parts if part.codecs}
    sound, picture = shown.pop(Medium.SOUND, None), next(iter(shown.values()), None)
    out = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS"]
    if picture is not None and sound is not None:
        out.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{_GROUP}",NAME="{_GROUP}",DEFAULT=YES,'
            f'AUTOSELECT=YES,URI="{_address(sound)}"'
        )
    leading = picture or sound
    if leading is not None:
        heard = [sound] if sound is not None and sound is not leading else []
        both = [leading, *heard]
        codecs = ",".join(dict.fromkeys(codec for part in both for codec in part.codecs))
        line = (
            f"#EXT-X-STREAM-INF:BANDWIDTH={sum(part.peak for part in both)},"
            f'AVERAGE-BANDWIDTH={sum(part.mean for part in both)},CODECS="{codecs}"'
        )
        if leading.width and leading.height:
            line += f",RESOLUTION={leading.width}x{leading.height}"
        if heard:
            line += f',AUDIO="{_GROUP}"'
        out += [line, _address(leading)]
    return "\n".join(out) + "\n"


def _address(part: Rendition) -> str:
    return f"{part.medium.value}/index.m3u8"

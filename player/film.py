"""Writing one film of a camera: an ordinary MP4 of what was recorded, for people and plain players.

Pictures and sound are copied; what was not recorded stands as a notice, as silence, in chapters and
in subtitles. The wall clock is in every second of it.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from bidwitness.errors import DamageFound, StorageFull
from bidwitness.player.apart import FULL
from bidwitness.player.clip import read_pieces, run_start_us
from bidwitness.player.cutting import HOLE_US
from bidwitness.player.film_plan import FilmPlan, Hole
from bidwitness.player.film_text import Cue, chapters, notice, subtitles
from bidwitness.player.segments import SeenPiece
from bidwitness.player.selection import Selected
from bidwitness.player.slates import Silence, Slate, make_slate, silence_of
from bidwitness.player.tables import Reader
from bidwitness.player.wallclock import SECOND
from bidwitness.storage.media.boxes import SampleFacts, read_init, read_samples
from bidwitness.storage.media.entries import AvcSets, avc_sets, with_more_sets
from bidwitness.words import Medium

InitReader = Callable[[str], bytes]
# The one style of the subtitles, as the encoder of their head wants it.
_STYLE = b"""[Script Info]
ScriptType: v4.00+
PlayResX: 384
PlayResY: 288
[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, \
Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, \
Alignment, MarginL, MarginR, MarginV, Encoding
Style: Default,Arial,12,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,0
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
"""


@dataclass(frozen=True, slots=True)
class FilmReport:
    """What was written: how many pictures and blocks of sound were copied, and how many notices."""

    path: Path
    pictures: int
    sounds: int
    notices: int
    bytes: int
    sha256: str


@contextmanager
def room_needed(what: str) -> Iterator[None]:
    """Say ``StorageFull`` of a disk that is full, whoever found out."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        if error.errno not in FULL:
            raise
        raise StorageFull(f"{what} cannot be written: the disk is full.") from error


def write_film(
    footage: Reader,
    plan: FilmPlan,
    init_of: InitReader,
    target: Path,
    title: str,
    on_bytes: Callable[[int], None],
) -> FilmReport:
    """Write a planned film. ``on_bytes`` hears of the footage that went in, and may end it.

    Raises ``DamageFound`` if the footage is not what its table says, ``StorageFull``, and what
    ``on_bytes`` raises; nothing is left behind then.
    """
    partial = target.with_name(target.name + ".part")
    try:
        with room_needed("The film"):
            options = {"movflags": "faststart"}
            with av.open(str(partial), "w", format="mp4", options=options) as out:
                film = _Film(out, footage, plan, init_of)
                out.metadata["title"] = title
                film.run(on_bytes)
            with partial.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = partial.stat().st_size
            partial.rename(target)
    except av.FFmpegError as error:
        raise DamageFound(f"The film cannot be written: {error}.") from None
    finally:
        partial.unlink(missing_ok=True)
    return FilmReport(target, film.pictures, film.sounds, film.notices, size, digest)


def states_gaps(init: bytes) -> bool:
    """Say whether notices can stand beside a camera's pictures: in plain 8-bit H.264 they can."""
    sets = avc_sets(init)
    if sets is None:
        return False
    sizes = [(t.width, t.height) for t in read_init(init) if t.medium == Medium.PICTURE]
    plain = all(nal[1] in (66, 77, 100) for nal in sets.sps)
    return plain and all(w % 2 == 0 and h % 2 == 0 and w >= 32 and h >= 32 for w, h in sizes)


@dataclass
class _Track:
    """A track of the film that is being written; ``last``: its last decode time, in ticks."""

    stream: Stream
    scale: int
    last: int | None = None
    # The first tick after what has been written, by its own count.
    counted: int = 0


class _Film:
    """One film on its way. Its instants are µs from its beginning."""

    def __init__(
        self, out: OutputContainer, footage: Reader, plan: FilmPlan, init_of: InitReader
    ) -> None:
        self._out, self._footage, self._plan = out, footage, plan
        self._init_of = init_of
        self._tracks: dict[Medium, _Track] = {}
        self._slates: list[tuple[Hole, Slate]] = []
        self._silence: Silence | None = None
        self._shifts: dict[str, int] = {}
        self._lateness: dict[str, int] = {}
        self.pictures = self.sounds = self.notices = 0
        self._add_tracks(self._encoded_notices(init_of(plan.parts[0].held.init)))
        self._cues = subtitles(plan)
        self._cue: Cue | None = next(self._cues, None)
        self._words = self._add_words()
        base = Fraction(1, SECOND)
        out.set_chapters(
            [
                {
                    "id": place,
                    "start": cue.from_us,
                    "end": cue.to_us,
                    "time_base": base,
                    "metadata": {"title": cue.text},
                }
                for place, cue in enumerate(chapters(plan))
            ]
        )

    def _encoded_notices(self, init: bytes) -> AvcSets | None:
        """Encode a notice for each hole, if such can stand here; give their parameter sets."""
        own = avc_sets(init)
        if own is None or self._plan.leading != Medium.PICTURE or not states_gaps(init):
            return None
        (size,) = [(t.width, t.height) for t in read_init(init) if t.medium == Medium.PICTURE]
        number, profile = own.free_number(), own.sps[0][1]
        with av.open(io.BytesIO(init + self._first(Medium.PICTURE)[1]), format="mp4") as source:
            aspect = source.streams.video[0].sample_aspect_ratio
        sets: AvcSets | None = None
        for hole in self._plan.holes:
            slate = make_slate(notice(hole), *size, profile, number, aspect)
            if sets not in (None, slate.sets):
                raise DamageFound("The notices of a film differ in their settings.")
            sets = slate.sets
            self._slates.append((hole, slate))
        return sets

    def _add_tracks(self, sets: AvcSets | None) -> None:
        """Open init and first fragment of each medium as a file, to learn what libav calls it."""
        for medium in sorted(self._plan.media, key=list(Medium).index):
            part, data = self._first(medium)
            head = self._init_of(part.held.init)
            if medium == Medium.PICTURE and sets is not None:
                head = with_more_sets(head, sets)
            with av.open(io.BytesIO(head + data), format="mp4") as source:
                for track, stream in zip(read_init(head), source.streams, strict=True):
                    if track.medium != medium:
                        continue
                    added = self._out.add_stream_from_template(stream, opaque=True)
                    added.time_base = Fraction(1, track.timescale)
                    self._tracks[medium] = _Track(added, track.timescale)
                    if isinstance(stream, AudioStream):
                        self._silence = self._quiet(stream, data)

    def _first(self, medium: Medium) -> tuple[Selected, bytes]:
        for part in self._plan.parts:
            for piece in part.pieces:
                if piece.medium == medium:
                    fragment = piece.fragment
                    return part, self._footage.read(part.row, fragment.offset, fragment.size)
        raise DamageFound("The footage does not hold what its table names.")

    def _quiet(self, stream: AudioStream, data: bytes) -> Silence | None:
        context = stream.codec_context
        block = read_samples(data)[0].duration
        return silence_of(context.name, context.sample_rate, context.channels, block)

    def _add_words(self) -> Stream:
        stream = self._out.add_stream("mov_text")
        context = stream.codec_context
        assert isinstance(context, SubtitleCodecContext)
        context.subtitle_header = _STYLE
        context.time_base = Fraction(1, 1000)
        stream.time_base = Fraction(1, 1000)
        stream.metadata["language"] = "chi"
        return stream

    def run(self, on_bytes: Callable[[int], None]) -> None:
        """Write all of it."""
        for part in self._plan.parts:
            for piece, data in read_pieces(self._footage, part):
                self._say(piece.start - self._plan.whole.start)
                if piece.medium == Medium.SOUND:
                    self._sound(part, piece, data)
                else:
                    self._show_notices(piece.start)
                    self._picture(part, piece, data)
                on_bytes(len(data))
        self._show_notices(self._plan.whole.end + 1)
        self._say(self._plan.whole.duration)

    def _at(self, part: Selected) -> int:
        """Give what to add to media time to get the film's (µs), for all of a connection."""
        run = part.held.run
        if run not in self._shifts:
            self._shifts[run] = run_start_us(part) - self._plan.whole.start
        return self._shifts[run]

    def _picture(self, part: Selected, piece: SeenPiece, data: bytes) -> None:
        samples = read_samples(data)
        run = part.held.run
        track = self._tracks[Medium.PICTURE]
        theirs = part.table.timescale(_number(part, piece.medium))
        # The offset of the first picture is the camera's delay of coding: players take it out.
        late = self._lateness.setdefault(run, samples[0].cts)
        for sample in samples:
            dts = (sample.dts - late) * track.scale // theirs
            dts += self._at(part) * track.scale // SECOND
            self._put(track, data, sample, dts, sample.cts * track.scale // theirs)
        self.pictures += len(samples)

    def _sound(self, part: Selected, piece: SeenPiece, data: bytes) -> None:
        track = self._tracks[Medium.SOUND]
        theirs = part.table.timescale(_number(part, piece.medium))
        samples = read_samples(data)
        first = samples[0].dts * track.scale // theirs + self._at(part) * track.scale // SECOND
        self._be_silent(track, first)
        for sample in samples:
            dts = sample.dts * track.scale // theirs + self._at(part) * track.scale // SECOND
            self._put(track, data, sample, dts, 0)
            track.counted += sample.duration * track.scale // theirs
        self.sounds += len(samples)

    def _be_silent(self, track: _Track, until: int) -> None:
        """Fill with silence up to a tick: players that count samples would run ahead otherwise."""
        missing = until - track.counted
        if missing * SECOND < HOLE_US * track.scale:
            track.counted = until if track.last is None else track.counted
            return
        if self._silence is None:
            track.counted = until
            return
        block, begin = self._silence.samples, track.counted
        for place in range(round(missing / block)):
            dts = begin + place * block
            if dts >= until:
                break
            self._mux(track, self._silence.data, dts, 0, min(block, until - dts), key=True)
            track.counted += block

    def _put(self, track: _Track, data: bytes, sample: SampleFacts, dts: int, cts: int) -> None:
        body = data[sample.offset : sample.offset + sample.size]
        self._mux(track, body, dts, cts, sample.duration, key=sample.key)

    def _mux(
        self, track: _Track, body: bytes, dts: int, cts: int, duration: int, *, key: bool
    ) -> None:
        packet = av.Packet(body)
        packet.stream = track.stream
        packet.time_base = Fraction(1, track.scale)
        # Where two connections meet, clocks may differ by a tick; the file needs rising times.
        packet.dts = dts if track.last is None else max(dts, track.last + 1)
        packet.pts = packet.dts + cts
        packet.duration = duration
        packet.is_keyframe = key
        track.last = packet.dts
        self._out.mux(packet)

    def _show_notices(self, before_us: int) -> None:
        """Write the notices of the holes that begin before an instant (µs UTC)."""
        while self._slates and self._slates[0][0].interval.start < before_us:
            hole, slate = self._slates.pop(0)
            track = self._tracks[Medium.PICTURE]
            start = hole.interval.start - self._plan.whole.start
            end = hole.interval.end - self._plan.whole.start
            for place, at in enumerate(range(start, end, SECOND)):
                body = slate.samples[place % len(slate.samples)]
                ticks = at * track.scale // SECOND
                length = min(SECOND, end - at) * track.scale // SECOND
                self._mux(track, body, ticks, 0, length, key=place % len(slate.samples) == 0)
                self.notices += 1

    def _say(self, until_us: int) -> None:
        """Write the subtitles that begin before an instant of the film."""
        while self._cue is not None and self._cue.from_us < until_us:
            text = self._cue.text.encode()
            packet = av.Packet(len(text).to_bytes(2) + text)
            packet.stream = self._words
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = self._cue.from_us // 1000
            packet.duration = self._cue.to_us // 1000 - packet.pts
            self._cue = next(self._cues, None)
            if packet.duration > 0:
                self._out.mux(packet)


def _number(part: Selected, medium: Medium) -> int:
    number = part.held.track(medium)
    if number is None:
        raise DamageFound("The footage does not hold what its table names.")
    return number

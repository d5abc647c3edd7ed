"""All cameras of a copy in one picture: decoded, put side by side, marked and encoded as H.264.

``python -m bidwitness.player.mosaic`` is the process of its own in which that is done. Each tile has
its camera's name above it and a notice where nothing is; the clock of China stands over all.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bidwitness.errors import DamageFound
from bidwitness.player.apart import SAID_EVERY, obey, work_apart
from bidwitness.player.burning import ENCODER, OPTIONS, make_stencil
from bidwitness.player.lettering import font
from bidwitness.player.pictures import MAX_PIXELS
from bidwitness.player.slates import draw_notice
from bidwitness.player.wallclock import CHAPTER_US, SECOND, wall

Plane = NDArray[np.uint8]
MAX_TILES = 16
# Every other picture of a camera of 25: enough to follow a room by.
RATE = Fraction(25, 2)
TICK_US = int(SECOND / RATE)
SOUND_RATE = 48_000
# Sound that is off by less goes on where it was: times in a file are rounded.
SLIP = SOUND_RATE // 20
_BAR, _LABEL = 40, 24
_INK, _PAPER, _GREY = 235, 24, 128


@dataclass(frozen=True, slots=True)
class Film:
    """A film that goes into a mosaic; its first instant is ``start_us`` (µs UTC)."""

    path: str
    start_us: int


@dataclass(frozen=True, slots=True)
class Absence:
    """A time (µs UTC) in which a tile shows a notice."""

    start_us: int
    end_us: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One camera: its name, its films one after another, and where it has nothing."""

    label: str
    films: tuple[Film, ...]
    absences: tuple[Absence, ...]


@dataclass(frozen=True, slots=True)
class MosaicOrder:
    """What to put together, from ``start_us`` to ``end_us`` (µs UTC), and whose mark it bears.

    ``sounds``: the films of each source of sound; several are mixed.
    """

    target: str
    start_us: int
    end_us: int
    tiles: tuple[Tile, ...]
    sounds: tuple[tuple[Film, ...], ...]
    mark: str
    caption: tuple[str, ...]

    @property
    def pictures(self) -> int:
        """How many pictures it will have."""
        return max(1, (self.end_us - self.start_us) // TICK_US)


def put_together(order: MosaicOrder, on_pictures: Callable[[int], None]) -> None:
    """Write a mosaic; tell now and then how many pictures are done. Raises as ``work_apart``."""
    work_apart("bidwitness.player.mosaic", asdict(order), on_pictures)


@dataclass(frozen=True, slots=True)
class Grid:
    """Where tiles stand: ``columns`` × ``rows`` of ``width`` × ``height``, names above them."""

    columns: int
    rows: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all, the clock's bar included."""
        return self.columns * self.width, _BAR + self.rows * (self.height + _LABEL)

    def corner(self, place: int) -> tuple[int, int]:
        """Give where the picture of a tile begins."""
        row, column = divmod(place, self.columns)
        return column * self.width, _BAR + row * (self.height + _LABEL) + _LABEL


def grid_of(tiles: int) -> Grid:
    """Give the grid for so many tiles: as square as can be, no wider than 1920. Pure."""
    columns = next(n for n in range(1, MAX_TILES + 1) if n * n >= tiles)
    rows = -(-tiles // columns)
    width = {1: 1280, 2: 640, 3: 640}.get(columns, 480)
    return Grid(columns, rows, width, width * 9 // 16 // 2 * 2)


class _Canvas:
    """A picture in I420, of which rectangles are written."""

    def __init__(self, width: int, height: int) -> None:
        self.luma = np.full((height, width), _PAPER, np.uint8)
        self.chroma = [np.full((height // 2, width // 2), _GREY, np.uint8) for _ in range(2)]

    def grey(self, x: int, y: int, luma: Plane) -> None:
        """Write a grey rectangle."""
        height, width = luma.shape
        self.luma[y : y + height, x : x + width] = luma
        for plane in self.chroma:
            plane[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2] = _GREY

    def coloured(self, x: int, y: int, frame: av.VideoFrame) -> None:
        """Write a picture that has its size."""
        width, height = frame.width, frame.height
        planes = frame.to_ndarray()
        self.luma[y : y + height, x : x + width] = planes[:height]
        quarter = height // 4
        for place, plane in enumerate(self.chroma):
            rows = planes[height + place * quarter : height + (place + 1) * quarter]
            where = np.s_[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2]
            plane[where] = rows.reshape(height // 2, width // 2)

    def whole(self) -> Plane:
        """Give it as rows of its width."""
        parts = [self.luma.reshape(-1), *(plane.reshape(-1) for plane in self.chroma)]
        return np.concatenate(parts).reshape(-1, self.luma.shape[1])


def _text(width: int, height: int, text: str) -> Plane:
    image = Image.new("L", (width, height), _PAPER)
    size = height * 2 // 3
    long = font(size).getlength(text)
    fitted = size if long <= width - 12 else max(6, int(size * (width - 12) / long))
    ImageDraw.Draw(image).text((6, (height - fitted) // 3), text, _INK, font(fitted))
    return np.asarray(image, np.uint8)


class _Screen:
    """One camera's tile: what it shows at an instant that only rises."""

    def __init__(self, tile: Tile, grid: Grid, place: int) -> None:
        self._tile, self._grid = tile, grid
        self._x, self._y = grid.corner(place)
        self._frames = self._decoded()
        self._next = next(self._frames, None)
        self._shown: object = None

    def _decoded(self) -> Iterator[tuple[int, av.VideoFrame]]:
        for film in self._tile.films:
            with av.open(film.path) as source:
                video = source.streams.video[0]
                video.thread_type = "AUTO"
                if video.codec_context.width * video.codec_context.height > MAX_PIXELS:
                    raise DamageFound("A picture is larger than any camera makes them.")
                for frame in source.decode(video):
                    if frame.pts is not None and frame.time_base is not None:
                        yield film.start_us + round(frame.pts * frame.time_base * SECOND), frame

    def name(self, canvas: _Canvas) -> None:
        """Write the camera's name above its picture."""
        canvas.grey(self._x, self._y - _LABEL, _text(self._grid.width, _LABEL, self._tile.label))

    def show(self, canvas: _Canvas, at_us: int) -> None:
        """Write what is to be seen at an instant, if that is another thing than before."""
        latest: tuple[int, av.VideoFrame] | None = None
        while self._next is not None and self._next[0] <= at_us:
            latest = self._next
            self._next = next(self._frames, None)
        absent = next((a for a in self._tile.absences if a.start_us <= at_us < a.end_us), None)
        if absent is not None:
            if self._shown is not absent:
                grid = self._grid
                canvas.grey(self._x, self._y, draw_notice(grid.width, grid.height, absent.lines))
                self._shown = absent
        elif latest is not None:
            self._draw(canvas, latest[1])
            self._shown = None

    def _draw(self, canvas: _Canvas, frame: av.VideoFrame) -> None:
        wide, high = self._grid.width, self._grid.height
        scale = min(Fraction(wide, frame.width), Fraction(high, frame.height))
        # Planes of half the size want multiples of four.
        width = max(4, int(frame.width * scale) // 4 * 4)
        height = max(4, int(frame.height * scale) // 4 * 4)
        if (width, height) != (wide, high):
            canvas.grey(self._x, self._y, np.full((high, wide), _PAPER, np.uint8))
        small = frame.reformat(width=width, height=height, format="yuv420p")
        x, y = self._x + (wide - width) // 4 * 2, self._y + (high - height) // 4 * 2
        canvas.coloured(x, y, small)


class _Source:
    """One source of sound, second by second."""

    def __init__(self, films: tuple[Film, ...], start_us: int) -> None:
        self._blocks = self._decoded(films, start_us)
        self._next = next(self._blocks, None)

    def _decoded(
        self, films: tuple[Film, ...], start_us: int
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for film in films:
            with av.open(film.path) as source:
                resampler = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_RATE)
                at: int | None = None
                for frame in source.decode(audio=0):
                    if frame.pts is None or frame.time_base is None:
                        continue
                    told = film.start_us - start_us + round(frame.pts * frame.time_base * SECOND)
                    exact = told * SOUND_RATE // SECOND
                    at = exact if at is None or abs(exact - at) > SLIP else at
                    for block in resampler.resample(frame):
                        samples = block.to_ndarray().reshape(-1).astype(np.float32)
                        yield at, samples
                        at += samples.size

    def add_to(self, sum_: NDArray[np.float32], begin: int) -> None:
        """Add what is heard from a sample on to a stretch of sound."""
        end = begin + sum_.size
        while self._next is not None and self._next[0] < end:
            at, samples = self._next
            first, last = max(at, begin), min(at + samples.size, end)
            if last > first:
                sum_[first - begin : last - begin] += samples[first - at : last - at]
            if at + samples.size > end:
                self._next = (end, samples[end - at :])
                return
            self._next = next(self._blocks, None)


class _Mosaic:
    """One mosaic on its way."""

    def __init__(self, order: MosaicOrder, out: OutputContainer) -> None:
        self._order, self._out = order, out
        grid = grid_of(len(order.tiles))
        width, height = grid.size
        self._canvas = _Canvas(width, height)
        self._stencil = make_stencil(width, height, order.mark, order.caption)
        self._screens = [_Screen(tile, grid, place) for place, tile in enumerate(order.tiles)]
        for screen in self._screens:
            screen.name(self._canvas)
        encoded = out.add_stream(ENCODER, rate=RATE, options=OPTIONS)
        assert isinstance(encoded, VideoStream)
        self._encoded = encoded
        encoded.width, encoded.height = self._stencil.size
        encoded.pix_fmt = "yuv420p"
        encoded.codec_context.time_base = Fraction(1, 90_000)
        self._sources = [_Source(films, order.start_us) for films in order.sounds]
        self._sound: AudioStream | None = None
        if self._sources:
            self._sound = out.add_stream("aac", rate=SOUND_RATE, layout="mono")
            self._sound.codec_context.bit_rate = 96_000
        self._heard = 0
        self._clock = -1
        self._chapters()

    def _chapters(self) -> None:
        start, end = self._order.start_us, self._order.end_us
        begins = [start, *range((start // CHAPTER_US + 1) * CHAPTER_US, end, CHAPTER_US)]
        self._out.set_chapters(
            [
                {
                    "id": place,
                    "start": at - start,
                    "end": until - start,
                    "time_base": Fraction(1, SECOND),
                    "metadata": {"title": wall(at)},
                }
                for place, (at, until) in enumerate(zip(begins, [*begins[1:], end], strict=True))
            ]
        )

    def run(self, on_pictures: Callable[[int], None]) -> int:
        order = self._order
        for number in range(order.pictures):
            at_us = order.start_us + number * TICK_US
            self._tell_time(at_us)
            for screen in self._screens:
                screen.show(self._canvas, at_us)
            marked = self._stencil.lay_over(self._canvas.whole())
            frame = av.VideoFrame.from_ndarray(marked, format="yuv420p")
            frame.pts, frame.time_base = number * 90_000 * TICK_US // SECOND, Fraction(1, 90_000)
            self._listen((at_us - order.start_us + TICK_US) * SOUND_RATE // SECOND)
            self._out.mux(self._encoded.encode(frame))
            if (number + 1) % SAID_EVERY == 0:
                on_pictures(number + 1)
        self._out.mux(self._encoded.encode(None))
        if self._sound is not None:
            self._out.mux(self._sound.encode(None))
        return order.pictures

    def _tell_time(self, at_us: int) -> None:
        if at_us // SECOND != self._clock:
            self._clock = at_us // SECOND
            width = self._canvas.luma.shape[1]
            self._canvas.grey(0, 0, _text(width, _BAR, wall(at_us)))

    def _listen(self, until: int) -> None:
        """Mix and encode the sound up to a sample."""
        if self._sound is None or until <= self._heard:
            return
        mixed = np.zeros(until - self._heard, np.float32)
        for source in self._sources:
            source.add_to(mixed, self._heard)
        mixed = np.clip(mixed, -1, 1)
        frame = av.AudioFrame.from_ndarray(mixed.reshape(1, -1), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, self._heard
        frame.time_base = Fraction(1, SOUND_RATE)
        self._heard = until
        self._out.mux(self._sound.encode(frame))


def draw(order: MosaicOrder, on_pictures: Callable[[int], None]) -> int:
    """Put a mosaic together in this process; give how many pictures it has."""
    options = {"movflags": "faststart"}
    with av.open(order.target, "w", format="mp4", options=options) as out:
        return _Mosaic(order, out).run(on_pictures)


def order_of(given: dict[str, Any]) -> MosaicOrder:
    """Read an order from its JSON."""

    def films(found: list[dict[str, Any]]) -> tuple[Film, ...]:
        return tuple(Film(**film) for film in found)

    tiles = tuple(
        Tile(
            tile["label"],
            films(tile["films"]),
            tuple(
                Absence(one["start_us"], one["end_us"], tuple(one["lines"]))
                for one in tile["absences"]
            ),
        )
        for tile in given["tiles"]
    )
    sounds = tuple(films(source) for source in given["sounds"])
    more = {"tiles": tiles, "sounds": sounds, "caption": tuple(given["caption"])}
    return MosaicOrder(**{**given, **more})


def main() -> None:
    """Do one order from standard input; exit 3 with a sentence if the footage is at fault."""
    obey(lambda given, say: draw(order_of(given), say))


if __name__ == "__main__":
    main()

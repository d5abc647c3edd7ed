"""Burning a watermark into a film: decoded, marked, encoded as H.264, in a process of its own.

Its sound is passed on as it is, and every picture keeps its time, so both stay together. Decoders
of full-size video crash on what nobody foresaw, and a worker must not go with them.
``python -m bidwitness.player.burning`` reads one line of JSON and says how many pictures are done.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from bidwitness.errors import DamageFound
from bidwitness.player.apart import SAID_EVERY, obey, work_apart
from bidwitness.player.lettering import font
from bidwitness.player.pictures import MAX_PIXELS

ENCODER = "libx264"
# Without pictures that are shown before ones they were coded after: none moves in time.
OPTIONS = {"preset": "veryfast", "crf": "23", "bf": "0"}
# Faint enough to read a score sheet through, strong enough to survive a photograph.
STRENGTH = 56
_INK, _EDGE = 235, 16

Plane = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BurnOrder:
    """What to mark and how: ``mark`` is repeated over the picture, ``caption`` stands below it."""

    source: str
    target: str
    mark: str
    caption: tuple[str, ...]


def burn_in(order: BurnOrder, on_pictures: Callable[[int], None]) -> None:
    """Write a marked film beside its source; tell now and then how many pictures are done.

    Raises ``DamageFound`` if the film cannot be decoded, ``StorageFull``, and whatever
    ``on_pictures`` raises: the work ends with that.
    """
    work_apart("bidwitness.player.burning", asdict(order), on_pictures)


@dataclass(frozen=True)
class Stencil:
    """A watermark for one size of picture, laid over the planes of I420.

    ``where``: the bytes it changes; each becomes ``ink`` + what it was × ``keep`` / 256.
    """

    width: int
    height: int
    band: int
    where: NDArray[np.intp]
    ink: NDArray[np.uint16]
    keep: NDArray[np.uint16]
    below: Plane

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a marked picture: the band with the caption is below it."""
        return self.width, self.height + self.band

    def lay_over(self, picture: Plane) -> Plane:
        """Give a marked picture (I420, as rows of ``width`` bytes)."""
        flat = picture.reshape(-1)
        changed = self.ink + (flat[self.where].astype(np.uint16) * self.keep >> 8)
        flat[self.where] = changed.astype(np.uint8)
        luma, quarter = self.width * self.height, self.width * self.height // 4
        tall, quarters = self.width * self.band, self.width * self.band // 4
        grey = np.full(quarters, 128, np.uint8)
        parts = (
            *(flat[:luma], self.below.reshape(-1)[:tall]),
            *(flat[luma : luma + quarter], grey, flat[luma + quarter :], grey),
        )
        return np.concatenate(parts).reshape(-1, self.width)


def make_stencil(width: int, height: int, mark: str, caption: tuple[str, ...]) -> Stencil:
    """Draw a watermark for pictures of a size."""
    letters, edges = _repeated(width, height, mark)
    alpha = np.maximum(letters, edges).astype(np.uint16) * STRENGTH >> 8
    tint = np.where(letters > edges // 2, _INK, _EDGE).astype(np.uint16)
    half = (width // 2, height // 2)
    faint = cv2.resize(alpha.astype(np.uint8), half, interpolation=cv2.INTER_AREA).reshape(-1)
    alphas = np.concatenate([alpha.reshape(-1), faint, faint]).astype(np.uint16)
    tints = np.concatenate([tint.reshape(-1), np.full(2 * faint.size, 128, np.uint16)])
    where = np.flatnonzero(alphas)
    below = _captioned(width, caption)
    return Stencil(
        *(width, height, len(below), where),
        ink=(tints[where] * alphas[where] >> 8).astype(np.uint16),
        keep=(256 - alphas[where]).astype(np.uint16),
        below=below,
    )


def _repeated(width: int, height: int, mark: str) -> tuple[Plane, Plane]:
    """Draw a text over and over; give its letters and their dark edges, as masks."""
    size = max(8, height // 30)
    masks = [Image.new("L", (width, height)) for _ in range(2)]
    length = max(1, round(font(size).getlength(mark)))
    for row, y in enumerate(range(size * 2, height, size * 6)):
        shift = (row % 2) * (length // 2)
        for x in range(-shift, width, length + size * 3):
            for mask, stroke in zip(masks, (0, max(1, size // 12)), strict=True):
                pen = ImageDraw.Draw(mask)
                pen.text((x, y), mark, 255, font(size), stroke_width=stroke)
    return np.asarray(masks[0], np.uint8), np.asarray(masks[1], np.uint8)


def _captioned(width: int, caption: tuple[str, ...]) -> Plane:
    """Draw lines of text, white on black, as wide as the picture and an even number of rows."""
    longest = max((font(20).getlength(line) for line in caption), default=1.0)
    size = max(4, min(20, int(20 * (width - 16) / max(longest, 1.0))))
    line = size + max(2, size // 3)
    rows = len(caption) * line + 8
    band = Image.new("L", (width, rows + rows % 2), _EDGE)
    pen = ImageDraw.Draw(band)
    for place, text in enumerate(caption):
        pen.text((8, 4 + place * line), text, _INK, font(size))
    return np.asarray(band, np.uint8)


def draw(order: BurnOrder, on_pictures: Callable[[int], None]) -> int:
    """Mark a film in this process; give how many pictures it has. Raises ``DamageFound``."""
    with (
        av.open(order.source) as source,
        av.open(order.target, "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        return _Burner(order, source, out).run(on_pictures)


class _Burner:
    """One film on its way."""

    def __init__(self, order: BurnOrder, source: InputContainer, out: OutputContainer) -> None:
        self._source, self._out = source, out
        self._picture = source.streams.video[0]
        coded = self._picture.codec_context
        if coded.width * coded.height > MAX_PIXELS:
            raise DamageFound("A picture is larger than any camera makes them.")
        # Planes of half the size need even ones; cameras make no others.
        width, height = coded.width // 2 * 2, coded.height // 2 * 2
        self._stencil = make_stencil(width, height, order.mark, order.caption)
        encoded = out.add_stream(ENCODER, rate=self._picture.average_rate, options=OPTIONS)
        assert isinstance(encoded, VideoStream)
        self._encoded = encoded
        self._encoded.width, self._encoded.height = self._stencil.size
        self._encoded.pix_fmt = "yuv420p"
        self._encoded.codec_context.time_base = self._picture.time_base or Fraction(1, 90_000)
        self._sounds: dict[int, AudioStream] = {
            sound.index: out.add_stream_from_template(sound, opaque=True)
            for sound in source.streams.audio
        }

    def run(self, on_pictures: Callable[[int], None]) -> int:
        done = 0
        for packet in self._source.demux():
            sound = self._sounds.get(packet.stream.index)
            if sound is not None:
                if packet.dts is not None:
                    packet.stream = sound
                    self._out.mux(packet)
                continue
            if packet.stream.index != self._picture.index:
                continue
            for frame in self._picture.decode(packet):
                self._out.mux(self._encoded.encode(self._marked(frame)))
                done += 1
                if done % SAID_EVERY == 0:
                    on_pictures(done)
        self._out.mux(self._encoded.encode(None))
        return done

    def _marked(self, frame: av.VideoFrame) -> av.VideoFrame:
        stencil = self._stencil
        plain = frame.reformat(width=stencil.width, height=stencil.height, format="yuv420p")
        marked = av.VideoFrame.from_ndarray(
            stencil.lay_over(np.array(plain.to_ndarray(), np.uint8)), format="yuv420p"
        )
        # Each picture stays where it was; which colours its numbers mean stays, too.
        marked.pts, marked.time_base = frame.pts, frame.time_base
        marked.colorspace, marked.color_range = plain.colorspace, plain.color_range
        return marked


def main() -> None:
    """Do one order from standard input; exit 3 with a sentence if the footage is at fault."""
    obey(lambda given, say: draw(BurnOrder(**{**given, "caption": tuple(given["caption"])}), say))


if __name__ == "__main__":
    main()

"""One exact picture as a PNG that says whose it is: made in a process of its own.

Decoders of full-size video crash on what nobody foresaw, and the API must not go with them.
``python -m bidwitness.player.still`` reads a line of JSON and then an fMP4, and writes a PNG.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from bidwitness.errors import DamageFound, Unavailable
from bidwitness.player.pictures import Image, as_image, decode_picture

SECONDS = 30
FONT = cv2.FONT_HERSHEY_SIMPLEX
# Faint enough to read a score sheet through, strong enough to survive a photograph.
STRENGTH = 0.22
FAILED = 3


@dataclass(frozen=True, slots=True)
class Order:
    """Which picture (its presentation time in ticks of its track), and what to burn in.

    ``mark`` is repeated over the picture, ``caption`` stands below it; both in ASCII.
    """

    pts: int
    timescale: int
    mark: str
    caption: tuple[str, ...]


def make_still(order: Order, footage: bytes) -> bytes:
    """Give the PNG of one picture of an fMP4 of one track.

    Raises ``DamageFound`` if it cannot be decoded, ``Unavailable`` if it takes too long.
    """
    head = json.dumps(asdict(order)).encode()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bidwitness.player.still"],
            input=head + b"\n" + footage,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"The picture was not decoded within {SECONDS} s.") from None
    if done.returncode == FAILED:
        raise DamageFound(done.stderr.decode(errors="replace").strip())
    if done.returncode != 0 or not done.stdout:
        raise DamageFound("The footage cannot be decoded: the decoder died of it.")
    return done.stdout


def draw(order: Order, footage: bytes) -> bytes:
    """Decode, burn in and encode: what the child process does. Raises ``DamageFound``."""

    def is_it(frame: object) -> bool:
        pts, base = getattr(frame, "pts", None), getattr(frame, "time_base", None)
        return pts is not None and base is not None and pts * base * order.timescale == order.pts

    picture = as_image(decode_picture(footage, is_it))
    marked = _with_caption(_with_mark(picture, order.mark), order.caption)
    done, data = cv2.imencode(".png", marked, (cv2.IMWRITE_PNG_COMPRESSION, 6))
    assert done, "an array of bytes is always a picture"
    return data.tobytes()


def _scale(picture: Image) -> float:
    return max(0.35, int(picture.shape[0]) / 1080)


def _with_mark(picture: Image, mark: str) -> Image:
    """Repeat a text over the whole picture, light with a dark edge, so that any ground shows it."""
    height, width = picture.shape[:2]
    scale = _scale(picture)
    layer = picture.copy()
    (length, tall), _ = cv2.getTextSize(mark, FONT, scale, 1)
    thick = max(1, round(2 * scale))
    for row, y in enumerate(range(tall * 3, height + tall, max(1, tall * 8))):
        shift = (row % 2) * (length // 2)
        for x in range(-shift, width, max(1, length + tall * 5)):
            cv2.putText(layer, mark, (x, y), FONT, scale, (0, 0, 0), thick + 1, cv2.LINE_AA)
            cv2.putText(layer, mark, (x, y), FONT, scale, (255, 255, 255), thick, cv2.LINE_AA)
    mixed = cv2.addWeighted(layer, STRENGTH, picture, 1 - STRENGTH, 0)
    return np.asarray(mixed, np.uint8)


def _with_caption(picture: Image, lines: Sequence[str]) -> Image:
    """Put lines of text below the picture, as wide as it is."""
    width = picture.shape[1]
    longest = max((cv2.getTextSize(line, FONT, 1, 1)[0][0] for line in lines), default=1)
    scale = min(0.6, (width - 16) / max(1, longest))
    tall = max(8, round(32 * scale))
    band = np.zeros((tall * len(lines) + 8, width, 3), np.uint8)
    for row, line in enumerate(lines):
        at = (8, 4 + tall * row + round(tall * 0.7))
        cv2.putText(band, line, at, FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return np.vstack([picture, band])


def main() -> None:
    """Do one order from standard input; exit 3 with a sentence if the footage is at fault."""
    head, _, footage = sys.stdin.buffer.read().partition(b"\n")
    order = Order(**json.loads(head))
    try:
        sys.stdout.buffer.write(draw(order, footage))
    except DamageFound as error:
        sys.stderr.write(error.detail)
        raise SystemExit(FAILED) from None


if __name__ == "__main__":
    main()

"""Draws a room: a still backdrop, people who move, a noisy screen, name, time, bars, flash.

Made to be cheap: planes of YUV 4:2:0, one copy of the backdrop a frame, no colour conversion.
"""

import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bidwitness.simulator.bars import Gray, draw_bars
from bidwitness.simulator.signals import draw_flash
from bidwitness.simulator.spec import FPS, LOOP_FRAMES

_NOISE_TILES = 8


@dataclass(frozen=True, slots=True)
class Room:
    """What stays the same in all frames of one camera; planes at the stream's size."""

    luma: Gray
    chroma: tuple[Gray, Gray]
    people: tuple[tuple[Gray, Gray], ...]
    table: int
    screen: tuple[Gray, ...]


def make_room(title: str, width: int, height: int) -> Room:
    """Furnish a room. The same title and size give the same room on every machine."""
    rng = np.random.default_rng(zlib.crc32(title.encode()))
    rough = rng.integers(0, 255, (height // 8, width // 8), dtype=np.uint8)
    soft = cv2.resize(cv2.GaussianBlur(rough, (0, 0), 2), (width, height))
    wall = np.linspace(150, 95, height, dtype=np.float32)[:, None] + (soft * 0.12 - 15)
    luma = np.clip(wall, 30, 220).astype(np.uint8)
    cv2.rectangle(luma, *_box(width, height, 0, 0.62, 1, 1), 84, -1)
    cv2.rectangle(luma, *_box(width, height, 0.12, 0.66, 0.78, 0.80), 168, -1)
    cv2.rectangle(luma, *_box(width, height, 0.16, 0.80, 0.74, 0.84), 60, -1)
    # Drawn twice as large and halved, the letters are smooth; titles may be Chinese.
    face = cv2.FontFace("sans")
    size = max(round(width / 48), 8)
    at = (round(width * 0.025), round(height * 0.19))
    cv2.putText(luma, title, at, 235, face, size)
    tint = [int(v) for v in rng.integers(116, 140, 2)]
    chroma = []
    for value in tint:
        plane = np.full((height // 2, width // 2), value, dtype=np.uint8)
        cv2.rectangle(plane, *_box(width // 2, height // 2, 0.12, 0.66, 0.78, 0.84), 132, -1)
        chroma.append(plane)
    people = tuple(_person(rng, width, height) for _ in range(3))
    side = (round(height * 0.3), round(width * 0.22))
    screen = tuple(rng.integers(60, 90, side, dtype=np.uint8) for _ in range(_NOISE_TILES))
    return Room(luma, (chroma[0], chroma[1]), people, round(height * 0.66), screen)


def _box(
    width: int, height: int, left: float, top: float, right: float, bottom: float
) -> tuple[tuple[int, int], tuple[int, int]]:
    return (
        (round(width * left), round(height * top)),
        (round(width * right) - 1, round(height * bottom) - 1),
    )


def _person(rng: np.random.Generator, width: int, height: int) -> tuple[Gray, Gray]:
    """Give a person's luma, and a mask of the outline that is one inside."""
    tall, wide = round(height * 0.3), round(width * 0.085)
    luma = rng.integers(24, 58, (tall, wide), dtype=np.uint8)
    mask = np.zeros((tall, wide), dtype=np.uint8)
    middle, head = wide // 2, tall // 6
    cv2.ellipse(mask, (middle, tall), (middle, round(tall * 0.64)), 0, 180, 360, 1, -1)
    for plane, value in ((mask, 1), (luma, int(rng.integers(140, 190)))):
        cv2.circle(plane, (middle, head), head, value, -1)
    return luma, mask


def draw_frame(room: Room, number: int, planes: tuple[Gray, Gray, Gray]) -> None:
    """Draw frame ``number`` of the loop into the planes Y, U, V (views as wide as the picture)."""
    luma = planes[0]
    height, width = luma.shape
    luma[:] = room.luma
    planes[1][:], planes[2][:] = room.chroma
    for index, (cloth, mask) in enumerate(room.people):
        # Each walks a whole number of rounds in a loop, so that the seam does not jump.
        turn = 2 * np.pi * (number * (index + 1) / LOOP_FRAMES + index / 3)
        left = round(width * (0.42 + 0.28 * np.sin(turn)))
        top = round(height * (0.38 + 0.03 * index))
        tall = room.table - top
        place = luma[top : room.table, left : left + cloth.shape[1]]
        cv2.copyTo(cloth[:tall], mask[:tall], place)
    tile = room.screen[number % _NOISE_TILES]
    top, left = round(height * 0.28), round(width * 0.76)
    luma[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    _draw_time(luma, number)
    draw_flash(luma, number)
    draw_bars(luma, number)


def _draw_time(luma: Gray, number: int) -> None:
    height, width = luma.shape
    text = f"{number // FPS:02d}.{number % FPS * 1000 // FPS:03d}  #{number:03d}"
    at = (round(width * 0.025), round(height * 0.27))
    cv2.putText(luma, text, at, cv2.FONT_HERSHEY_SIMPLEX, width / 1100, 235, max(width // 640, 1))


def views(buffer: memoryview, line: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Give a plane's memory as an array of the picture's own width."""
    height, width = shape
    return np.frombuffer(buffer, np.uint8)[: line * height].reshape(height, line)[:, :width]

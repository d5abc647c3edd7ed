"""Which of a camera's frames a recorded file holds, read from its bytes."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import av

from bidwitness.errors import InvalidInput
from bidwitness.simulator.stamps import FrameStamp, read_sei


@dataclass(frozen=True, slots=True)
class FrameNumbers:
    """``missing`` numbers lie between first and last; ``unstamped`` frames carry no number."""

    frames: int
    first: int
    last: int
    missing: int
    out_of_order: int
    unstamped: int


def stamps_in(path: Path) -> list[tuple[int, FrameStamp | None]]:
    """Give (presentation time in µs, stamp) of each picture of a file, in the order stored.

    Raises ``InvalidInput`` if the file is not a video.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InvalidInput(f"{path} holds no picture.")
            stream = container.streams.video[0]
            return [
                (int(packet.pts * packet.time_base * 1_000_000), read_sei(bytes(packet)))
                for packet in container.demux(stream)
                if packet.pts is not None
            ]
    except (av.FFmpegError, OSError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from None


def frame_numbers(path: Path) -> FrameNumbers:
    """Count the frames of a file by their numbers. Raises ``InvalidInput`` as ``stamps_in``."""
    stamps = stamps_in(path)
    numbers = [stamp.frame for _, stamp in stamps if stamp is not None]
    if not numbers:
        raise InvalidInput(f"{path} holds no frame of a virtual camera.")
    span = max(numbers) - min(numbers) + 1
    return FrameNumbers(
        frames=len(stamps),
        first=numbers[0],
        last=numbers[-1],
        missing=span - len(set(numbers)),
        out_of_order=sum(b <= a for a, b in itertools.pairwise(numbers)),
        unstamped=len(stamps) - len(numbers),
    )

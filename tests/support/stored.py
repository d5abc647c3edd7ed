"""Reading stored files as a stranger would: by ffmpeg, and by PyAV."""

import io
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import av
import numpy as np
from support.needs import absent

T = TypeVar("T")


def ffmpeg_words(data: bytes, *options: str) -> str:
    """Decode everything with the system's ffmpeg; give what it has to say (nothing, if all is
    well)."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        absent("ffmpeg")
        raise AssertionError("absent() did not end the test")
    done = subprocess.run(
        [
            *(ffmpeg, "-nostdin", "-v", "warning", *options, "-i", "-"),
            # As they are: on a busy machine two pictures may come closer than a frame's length.
            *("-fps_mode", "passthrough", "-enc_time_base:v", "-1", "-f", "null", "-"),
        ],
        input=data,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.stderr.decode() + (f"exit {done.returncode}" if done.returncode else "")


@dataclass(frozen=True)
class Decoded(Generic[T]):
    """All pictures as (µs, what was made of each), all sound as (µs of the first sample, samples)."""

    pictures: list[tuple[int, T]]
    sound: list[tuple[int, np.ndarray]]

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate([block for _, block in self.sound])


def decode(data: bytes) -> Decoded[np.ndarray]:
    """Decode a file from its bytes; of each picture give the grey image."""
    return look_at(data, np.copy)


def look_at(data: bytes, see: Callable[[np.ndarray], T]) -> Decoded[T]:
    """Decode a file from its bytes; keep of each picture what ``see`` makes of its grey image.

    A minute of large pictures kept whole takes longer to put into memory than to decode.
    """
    pictures: list[tuple[int, T]] = []
    sound: list[tuple[int, np.ndarray]] = []
    with av.open(io.BytesIO(data)) as container:
        for stream in container.streams.video:
            stream.thread_type = "AUTO"
        for frame in container.decode():
            assert frame.pts is not None and frame.time_base is not None
            at = int(frame.pts * frame.time_base * 1_000_000)
            if isinstance(frame, av.VideoFrame):
                pictures.append((at, see(_luma(frame))))
            else:
                # Of several channels the first; sound of one may come packed or planar.
                planes = frame.to_ndarray()
                sound.append((at, planes[0] if frame.format.is_planar else planes.reshape(-1)))
    return Decoded(pictures, sound)


def _luma(frame: av.VideoFrame) -> np.ndarray:
    """The first plane as it lies there: every picture here is YUV."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: frame.height, : frame.width]

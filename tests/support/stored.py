"""Reading stored files as a stranger would: by ffmpeg, and by PyAV."""

import io
import shutil
import subprocess
from dataclasses import dataclass

import av
import numpy as np
from support.needs import absent


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
class Decoded:
    """All pictures as (µs, grey image), and all sound as (µs of the first sample, samples)."""

    pictures: list[tuple[int, np.ndarray]]
    sound: list[tuple[int, np.ndarray]]

    @property
    def samples(self) -> np.ndarray:
        return np.concatenate([block for _, block in self.sound])


def decode(data: bytes) -> Decoded:
    """Decode a file from its bytes."""
    pictures: list[tuple[int, np.ndarray]] = []
    sound: list[tuple[int, np.ndarray]] = []
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode():
            assert frame.pts is not None and frame.time_base is not None
            at = int(frame.pts * frame.time_base * 1_000_000)
            if isinstance(frame, av.VideoFrame):
                pictures.append((at, frame.to_ndarray(format="gray8")))
            else:
                # Of several channels the first; sound of one may come packed or planar.
                planes = frame.to_ndarray()
                sound.append((at, planes[0] if frame.format.is_planar else planes.reshape(-1)))
    return Decoded(pictures, sound)

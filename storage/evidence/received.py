"""The digests of the G.711 that FLAC frames were made of.

FLAC is decoded by libav, which did not write it: a fault of our own encoder would show here.
"""

import hashlib
from collections.abc import Callable, Sequence

import av
import numpy as np
from numpy.typing import NDArray

from bidwitness.storage.media import g711

# Also what a checksum speaks against is refused, not concealed.
_STRICT = {"err_detect": "crccheck+bitstream+buffer+explode"}
# More than any fragment of 0.4 s; keeps a few hostile bytes from filling the memory.
_MOST_SAMPLES = 1 << 22


class ReceivedSound:
    """Turns the fragments of a file back, one after the other. ``codec``: which G.711 it was."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._decoder = av.AudioCodecContext.create("flac", "r")
        self._decoder.thread_count = 1
        self._decoder.options = _STRICT

    def digests(self, frames: Sequence[bytes]) -> Callable[[tuple[int, ...]], str]:
        """Give what digests a fragment's G.711, with µ-law's second zero at given places.

        Raises ``ValueError`` for what is no sound of 16 bits, and so does what it gives for a
        place without a zero and for samples that did not come from G.711.
        """
        try:
            samples = self._samples(frames)
        except av.error.FFmpegError as error:
            raise ValueError(str(error)) from None
        known = dict[tuple[int, ...], str]()

        def digest(zeros: tuple[int, ...]) -> str:
            if zeros not in known:
                data = g711.encode(samples, self._codec, zeros)
                known[zeros] = hashlib.sha256(data).hexdigest()
            return known[zeros]

        return digest

    def _samples(self, frames: Sequence[bytes]) -> NDArray[np.int16]:
        parts: list[NDArray[np.int16]] = []
        length = 0
        for frame in frames:
            parts.append(self._decoded(frame))
            length += len(parts[-1])
            if length > _MOST_SAMPLES:
                raise ValueError("it is longer than any fragment")
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _decoded(self, frame: bytes) -> NDArray[np.int16]:
        """Give a frame's samples, those of an instant next to each other."""
        parts: list[NDArray[np.int16]] = []
        for made in self._decoder.decode(av.Packet(frame)):
            if made.format.name not in ("s16", "s16p"):
                raise ValueError("it is not of 16 bits")
            if made.format.is_planar:
                parts.append(made.to_ndarray().astype(np.int16).T.reshape(-1))
            else:
                # The buffer is longer than what is in it.
                count = made.samples * made.layout.nb_channels
                parts.append(np.frombuffer(bytes(made.planes[0]), np.int16, count))
        if not parts:
            raise ValueError("a frame holds no sound")
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

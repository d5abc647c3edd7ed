"""AAC and Opus decoded, to hear how loud they are. Nothing of it is ever stored."""

from collections.abc import Sequence
from typing import Literal

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from bidwitness.recorder.packets import SourceTrack

_FULL_SCALE = 32768


class CodedSound:
    """Decodes a track's frames."""

    def __init__(self, track: SourceTrack) -> None:
        kind: Literal["aac", "opus"] = "opus" if track.codec == "opus" else "aac"
        self._decoder = av.AudioCodecContext.create(kind, "r")
        self._decoder.extradata = track.extradata

    def samples(self, frames: Sequence[bytes]) -> NDArray[np.int16] | None:
        """Give the samples of the last of these frames; None if they cannot be decoded."""
        try:
            decoded = [frame for data in frames for frame in self._decoder.decode(av.Packet(data))]
        except FFmpegError:
            # What cannot be decoded is kept all the same; it only has no level.
            return None
        if not decoded:
            return None
        samples = decoded[-1].to_ndarray()
        whole = samples if samples.dtype == np.int16 else samples * (_FULL_SCALE - 1)
        fitting: NDArray[np.int16] = whole.clip(-_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
        return fitting.ravel()

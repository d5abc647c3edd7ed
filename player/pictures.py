"""One picture out of recorded bytes: decoded, never stored back."""

import io
from collections.abc import Callable

import av
import numpy as np
from av.video.reformatter import Colorspace
from numpy.typing import NDArray

from bidwitness.errors import DamageFound

Image = NDArray[np.uint8]
# A picture larger than any camera makes them is a lie in the stream's head.
MAX_PIXELS = 64_000_000
HD = 720
# How ISO/IEC 23091-2 says that nothing is said of the matrix.
UNSPECIFIED = 2


def decode_picture(data: bytes, wanted: Callable[[av.VideoFrame], bool]) -> av.VideoFrame:
    """Give the first picture of a fragmented MP4 that is ``wanted``.

    Raises ``DamageFound`` if the bytes cannot be decoded or hold no such picture.
    """
    try:
        with av.open(io.BytesIO(data), "r", format="mp4") as container:
            for frame in container.decode(video=0):
                if frame.width * frame.height > MAX_PIXELS:
                    raise DamageFound("A picture is larger than any camera makes them.")
                if wanted(frame):
                    return frame
    except (av.FFmpegError, IndexError) as error:
        raise DamageFound(f"The footage cannot be decoded: {error}.") from None
    raise DamageFound("The footage does not hold the picture that its table names.")


def as_image(frame: av.VideoFrame, width: int = 0, height: int = 0) -> Image:
    """Give a picture as BGR, scaled if a size is given."""
    size = (width or frame.width, height or frame.height)
    # Cameras often do not say which; browsers then take it by the height, and so must a copy.
    unsaid = frame.colorspace == UNSPECIFIED
    matrix = Colorspace.ITU709 if frame.height >= HD else Colorspace.ITU601
    scaled = frame.reformat(
        width=size[0],
        height=size[1],
        format="bgr24",
        src_colorspace=matrix if unsaid else None,
    )
    return np.asarray(scaled.to_ndarray(), np.uint8)

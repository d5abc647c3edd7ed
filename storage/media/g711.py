"""G.711 (ITU-T): decoding, encoding back, and the zero that FLAC cannot keep. Pure.

A-law codes decode one to one, so the samples give the bytes back. µ-law has two codes for zero;
``0x7F`` (the negative one) is remembered by position.
"""

import numpy as np
from numpy.typing import NDArray

ALAW = "pcm_alaw"
MULAW = "pcm_mulaw"
_MULAW_NEGATIVE_ZERO = 0x7F


def _alaw_table() -> NDArray[np.int16]:
    values = []
    for code in range(256):
        code ^= 0x55
        exponent, mantissa = code >> 4 & 7, code & 15
        magnitude = (mantissa << 4) + 8
        if exponent:
            magnitude = (magnitude + 0x100) << (exponent - 1)
        values.append(magnitude if code & 0x80 else -magnitude)
    return np.array(values, dtype=np.int16)


def _mulaw_table() -> NDArray[np.int16]:
    values = []
    for code in range(256):
        code = ~code & 0xFF
        magnitude = ((((code & 15) << 3) + 0x84) << (code >> 4 & 7)) - 0x84
        values.append(-magnitude if code & 0x80 else magnitude)
    return np.array(values, dtype=np.int16)


_DECODE = {ALAW: _alaw_table(), MULAW: _mulaw_table()}


def _encode_table(codec: str) -> NDArray[np.int16]:
    """Index by the sample's 16 bits as they are; -1 where no code decodes to the sample."""
    table = np.full(65536, -1, dtype=np.int16)
    for code in range(255, -1, -1):
        if codec == MULAW and code == _MULAW_NEGATIVE_ZERO:
            continue
        table[int(_DECODE[codec][code]) & 0xFFFF] = code
    return table


_ENCODE = {codec: _encode_table(codec) for codec in _DECODE}


def decode(data: bytes, codec: str) -> NDArray[np.int16]:
    """Give the samples of G.711 bytes, one a byte."""
    return _DECODE[codec][np.frombuffer(data, dtype=np.uint8)]


def negative_zeros(data: bytes, codec: str) -> tuple[int, ...]:
    """Give the positions that must be remembered to encode the samples back; A-law has none."""
    if codec != MULAW or _MULAW_NEGATIVE_ZERO not in data:
        return ()
    found = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == _MULAW_NEGATIVE_ZERO)
    return tuple(int(position) for position in found)


def encode(samples: NDArray[np.int16], codec: str, zeros: tuple[int, ...] = ()) -> bytes:
    """Give back the bytes that ``decode`` made these samples of.

    Raises ``ValueError`` for a sample that no G.711 byte decodes to, or a wrong position.
    """
    codes = _ENCODE[codec].take(samples.astype(np.int16).view(np.uint16))
    if len(codes) and codes.min() < 0:
        raise ValueError("a sample did not come from G.711")
    for position in zeros:
        if not 0 <= position < len(samples) or samples[position]:
            raise ValueError("a negative zero stands where the sample is not zero")
        codes[position] = _MULAW_NEGATIVE_ZERO
    return codes.astype(np.uint8).tobytes()

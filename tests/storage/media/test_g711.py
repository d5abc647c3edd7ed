"""G.711 against libav's decoder, and back."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.media.g711 import ALAW, MULAW, decode, encode, negative_zeros

EVERY_BYTE = bytes(range(256))


@pytest.mark.parametrize("codec", [ALAW, MULAW])
def test_every_byte_decodes_as_libav_does(codec: str) -> None:
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    (frame,) = context.decode(av.Packet(EVERY_BYTE))
    assert np.array_equal(frame.to_ndarray().reshape(-1), decode(EVERY_BYTE, codec))


@given(st.sampled_from([ALAW, MULAW]), st.binary(min_size=0, max_size=400))
def test_bytes_come_back_from_their_samples(codec: str, data: bytes) -> None:
    assert encode(decode(data, codec), codec, negative_zeros(data, codec)) == data


def test_only_one_byte_needs_to_be_remembered() -> None:
    assert negative_zeros(EVERY_BYTE, MULAW) == (0x7F,)
    assert negative_zeros(EVERY_BYTE, ALAW) == ()


def test_samples_that_are_not_g711_are_refused() -> None:
    with pytest.raises(ValueError, match="did not come"):
        encode(np.array([1], dtype=np.int16), ALAW)
    with pytest.raises(ValueError, match="negative zero"):
        encode(decode(b"\x00", MULAW), MULAW, (0,))

"""Ed25519 in whole numbers against RFC 8032's vectors and against another implementation."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence.ed25519 import ed25519_verifies

# RFC 8032, 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701c"
            "f9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0"
            "f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984d"
            "c6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors(vector: tuple[str, str, str]) -> None:
    key, message, signature = map(bytes.fromhex, vector)
    assert ed25519_verifies(key, message, signature)
    assert not ed25519_verifies(key, message + b"\0", signature)


@given(message=st.binary(max_size=200), bit=st.integers(0, 64 * 8 - 1))
def test_it_agrees_with_another(message: bytes, bit: int) -> None:
    signature = bytearray(KEY.sign(message))
    assert ed25519_verifies(PUBLIC, message, bytes(signature))
    signature[bit // 8] ^= 1 << bit % 8
    assert not ed25519_verifies(PUBLIC, message, bytes(signature))


def test_a_second_form_of_a_signature_is_refused() -> None:
    """RFC 8032, 5.1.7: the scalar is below the order, or one message has many signatures."""
    signature = KEY.sign(b"m")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not ed25519_verifies(PUBLIC, b"m", signature[:32] + scalar.to_bytes(32, "little"))


@given(key=st.binary(max_size=40), message=st.binary(max_size=9), signature=st.binary(max_size=70))
def test_noise_is_refused_and_nothing_is_raised(
    key: bytes, message: bytes, signature: bytes
) -> None:
    assert not ed25519_verifies(key, message, signature)
    # No point has y = p or more, and none with x = 0 has a sign.
    for bad in (b"\xff" * 32, (1).to_bytes(31, "little") + b"\x80"):
        assert not ed25519_verifies(bad, message, KEY.sign(message))

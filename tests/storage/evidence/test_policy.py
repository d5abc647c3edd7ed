"""Policies: C2SP's example with real keys, its rules, and whatever bytes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence.note import (
    COSIGNATURE,
    ED25519,
    Note,
    NoteKey,
    NoteSignature,
    cosigned_message,
)
from bidwitness.storage.evidence.policy import BadPolicy, read_policy

# The same in every process: keys are in the names of tests.
PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(7)]
TEXT = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


def key(number: int, kind: int = COSIGNATURE) -> NoteKey:
    name = f"key{number}.example.com"
    return NoteKey(name, kind, PRIVATE[number].public_key().public_bytes_raw())


EXAMPLE = f"""
# The example of the specification.
log {key(6, ED25519)} https://example.com/

witness X1 {key(0)}
witness X2 {key(1)}
\twitness  X3 {key(2)} https://x3.example.com/
group X-witnesses 2 X1 X2 X3

witness Y1 {key(3)}
witness Y2 {key(4)}
witness Y3 {key(5)}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def cosigned(*numbers: int) -> Note:
    """A checkpoint with cosignatures of some of the keys."""
    at = 1_700_000_000
    return Note(
        TEXT,
        tuple(
            NoteSignature(
                key(n).name,
                key(n).id,
                at.to_bytes(8, "big") + PRIVATE[n].sign(cosigned_message(at, TEXT)),
            )
            for n in numbers
        ),
    )


@pytest.mark.parametrize(
    ("numbers", "met"),
    [((), False), ((0, 1), False), ((0, 3), False), ((0, 2, 4), True), ((3, 4, 5, 1), False)],
)
def test_the_example_of_the_specification(numbers: tuple[int, ...], met: bool) -> None:
    policy = read_policy(EXAMPLE.encode())
    assert policy.quorum_met(cosigned(*numbers)) is met
    log = policy.log("key6.example.com")
    assert log is not None
    assert log.public == key(6).public
    assert policy.log("another") is None


def test_no_quorum_is_always_met() -> None:
    assert read_policy(b"quorum none\n").quorum_met(Note(TEXT, ()))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum\n",
        "quorum none\nquorum none\n",
        "quorum w\n",
        f"witness none {key(0)}\nquorum none\n",
        f"witness a {key(0)}\nwitness a {key(1)}\nquorum a\n",
        f"witness a {key(0)}\nwitness b {key(0)}\nquorum a\n",
        f"witness a {key(0, ED25519)}\nquorum a\n",
        f"log {key(0)}\nquorum none\n",
        f"log {key(0, ED25519)}\nlog {key(0, ED25519)}\nquorum none\n",
        f"witness a {key(0)}\ngroup g 2 a\nquorum g\n",
        f"witness a {key(0)}\ngroup g 0 a\nquorum g\n",
        f"witness a {key(0)}\ngroup g any a a\nquorum g\n",
        f"witness a {key(0)}\ngroup g any a\ngroup h any a\nquorum g\n",
        f"witness a {key(0)}\ngroup g any none\nquorum g\n",
        "group g any g\nquorum g\n",
        "anything else\nquorum none\n",
    ],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(BadPolicy):
        read_policy(text.encode())


@given(st.binary(max_size=200))
def test_noise(data: bytes) -> None:
    with pytest.raises(BadPolicy):
        read_policy(data)

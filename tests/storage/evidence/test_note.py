"""Signed notes: published examples, and whatever bytes."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence.note import (
    BadNote,
    NoteKey,
    NoteSignature,
    read_checkpoint,
    read_key,
    read_note,
    write_note,
)

# The example in the documentation of Go's golang.org/x/mod/sumdb/note.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNATURE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
# The key of Go's own log, as its tools have it.
GO = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
# The checkpoints that C2SP's tlog-checkpoint and tlog-cosignature show; their keys are not told.
CHECKPOINT = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


def test_a_published_note_verifies() -> None:
    key = read_key(PETER)
    data = f"{TEXT}\n{SIGNATURE}".encode()
    note = read_note(data)
    assert note.text == TEXT
    assert note.verified_by(key) == 0
    assert write_note(note.text, note.signatures) == data
    assert read_note(data.replace(b"your problem is", b"your problem iz")).text != TEXT
    with pytest.raises(BadNote, match="is wrong"):
        read_note(data.replace(b"problem is", b"problem iz")).verified_by(key)


def test_published_keys() -> None:
    for text in (PETER, GO):
        assert str(read_key(text)) == text
    for bad in (GO[:-1], GO.replace("033de0ae", "033de0af"), "a b+1+A", "", "+", "x+00000000+AA=="):
        with pytest.raises(BadNote):
            read_key(bad)


def test_a_published_checkpoint() -> None:
    note = read_note(CHECKPOINT.encode())
    checkpoint = read_checkpoint(note)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.text() == note.text
    witness = note.signatures[1]
    assert (witness.name, len(witness.data)) == ("witness.example.com/w1", 72)
    # A signature of an unknown key is passed over, one of a known name and another key too.
    assert note.verified_by(read_key(GO)) is None
    other = NoteKey("example.com/behind-the-sofa", 1, bytes(32))
    assert note.verified_by(other) is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (1, "01"),
        (1, "-1"),
        (1, "1e3"),
        (1, ""),
        (2, "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I"),
        (2, "AAAA"),
        (0, ""),
    ],
)
def test_what_is_no_checkpoint(line: int, says: str) -> None:
    lines = CHECKPOINT.split("\n")
    lines[line] = says
    with pytest.raises(BadNote):
        read_checkpoint(read_note("\n".join(lines).encode()))


def test_a_signature_of_a_known_key_must_be_right_each_time() -> None:
    private = Ed25519PrivateKey.generate()
    key = NoteKey("k", 1, private.public_key().public_bytes_raw())
    good = NoteSignature("k", key.id, private.sign(b"t\n"))
    bad = NoteSignature("k", key.id, bytes(64))
    assert read_note(write_note("t\n", [good])).verified_by(key) == 0
    with pytest.raises(BadNote):
        read_note(write_note("t\n", [good, bad])).verified_by(key)


@given(st.binary(max_size=300))
def test_noise(data: bytes) -> None:
    with pytest.raises(BadNote):
        read_checkpoint(read_note(data))


@given(st.integers(0, len(CHECKPOINT.encode()) - 1), st.integers(1, 255))
def test_a_changed_byte_never_raises_anything_else(at: int, by: int) -> None:
    data = bytearray(CHECKPOINT.encode())
    data[at] ^= by
    try:
        note = read_note(bytes(data))
        checkpoint = read_checkpoint(note)
    except BadNote:
        return
    assert checkpoint.text() == note.text
    assert write_note(note.text, note.signatures) == bytes(data)

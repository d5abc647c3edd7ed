"""Whatever bytes come to a parser: an answer, or the one error that it names."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.authorities import opened_authority, stamped
from support.clock import FakeClock
from support.evidence_session import make_session, make_stream

from bidwitness.storage.evidence.bag import Unreadable, read_info, read_manifest
from bidwitness.storage.evidence.canonical import BadRecord, canonical, parse
from bidwitness.storage.evidence.chain import link_of_line
from bidwitness.storage.evidence.disclosure import read_disclosure
from bidwitness.storage.evidence.entries import EpochHead, SessionEntry, read_entry
from bidwitness.storage.evidence.pieces import BadMedia, read_pieces
from bidwitness.storage.evidence.proof import CoveredFacts, LoggedFacts, read_covered, read_logged
from bidwitness.storage.evidence.records import read_record
from bidwitness.storage.evidence.stamps import ConsistencyFacts, read_consistency
from bidwitness.storage.evidence.token import BadToken, read_token

Z = "0" * 64
STREAM = make_stream("cam-a")
RECORD = canonical(STREAM.records[0])
SESSION = [canonical(record) for record in make_session([STREAM]).records]
ENTRY = SessionEntry(Z, 1, Z)
HEAD = EpochHead("cam-a", "20231115", 3, Z, Z)
DISCLOSURE = canonical(
    {"v": 1, "t": "disclosure", "stream": "cam-a", "day": "20231115", "seq": 1,
     "kept": [[0, 3]], "withheld": {"sha256": [Z], "sm3": [Z]}}
)  # fmt: skip


class _Source:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int, /) -> bytes:
        out, self._data = self._data[:size], self._data[size:]
        return out


PARSERS: dict[str, tuple[Callable[[bytes], object], type[Exception], list[bytes]]] = {
    "record": (read_record, BadRecord, [RECORD, *SESSION]),
    "link": (link_of_line, BadRecord, [RECORD]),
    "disclosure": (lambda data: read_disclosure(parse(data)), BadRecord, [DISCLOSURE]),
    "entry": (read_entry, BadRecord, [canonical({"v": 1, "t": "audit", "commitment": Z})]),
    "logged": (read_logged, BadRecord, [LoggedFacts(1, (Z,), ENTRY).line()]),
    "covered": (read_covered, BadRecord, [CoveredFacts("r", 1, 0, (Z,), HEAD, 2, (Z,)).line()]),
    "consistent": (read_consistency, BadRecord, [ConsistencyFacts(3, (Z,)).line()]),
    "manifest": (read_manifest, Unreadable, [f"{Z}  data/a%0Ab\n".encode()]),
    "info": (read_info, Unreadable, [b"A: b\n  c\n"]),
    "pieces": (lambda data: list(read_pieces(_Source(data))), BadMedia,
               [b"".join(STREAM.files[STREAM.links[0].key][:3])]),
}  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, good: list[bytes]) -> bytes:
    """Something good with a part of it cut out, and other bytes put there."""
    data = draw(st.sampled_from(good))
    at = draw(st.integers(0, len(data)))
    junk = draw(
        st.binary(max_size=8)
        | st.sampled_from([b"null", b"1e5", b"-1", b"9" * 20, b"[]", b"{}", b'"\\ud800"', b"\xff"])
    )
    return data[:at] + junk + data[at + draw(st.integers(0, 12)) :]


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damage_is_refused_by_name(name: str, data: st.DataObject) -> None:
    read, error, good = PARSERS[name]
    for one in good:
        read(one)
    try:
        read(data.draw(damaged(good)))
    except error as refused:
        assert str(refused)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    authority, _ = opened_authority(Path(tmp_path_factory.mktemp("tsa")), FakeClock())
    yield stamped(authority, b"a checkpoint")


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_time_stamp(token: bytes, data: st.DataObject) -> None:
    assert read_token(token).is_of(b"a checkpoint")
    try:
        read_token(data.draw(damaged([token])))
    except BadToken as refused:
        assert str(refused)

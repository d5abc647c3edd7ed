"""Records: their exact bytes, their way back, and what is refused."""

import dataclasses
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence_facts import MINUTE, START, ZEROS, segment_facts

from bidwitness.storage.evidence import records
from bidwitness.storage.evidence.canonical import BadRecord, canonical, parse
from bidwitness.storage.evidence.records import (
    GapFacts,
    check_record,
    first_place,
    gap_record,
    genesis,
    leaf_hash,
    next_place,
    read_record,
    record_of,
    segment_record,
    session_genesis,
    utc_day,
)
from bidwitness.storage.evidence.session_records import (
    AmendFacts,
    BookingFacts,
    CancelFacts,
    ClaimedFacts,
    ClaimFacts,
    CloseFacts,
    ConditionFacts,
    CoverageFacts,
    HeadFacts,
    ItemFacts,
    OpenFacts,
    PlanFacts,
    SessionPlace,
    SpanFacts,
    SupplementFacts,
)
from bidwitness.words import GapCause, Medium

PLACE = first_place("site-1", "rec-1", "stream-1", START)
SEAT = SessionPlace("site-1", "session-1", 0, session_genesis("session-1"), START)
PLAN = {
    "place": SEAT,
    "kind": "evaluation",
    "items": (ItemFacts("朝公资-2026-001", "-", None, None),),
    "bookings": (BookingFacts("room-1", ("seat-1",), START, START + MINUTE, "main"),),
    "planned": (START, START + MINUTE),
    "by": "user-1",
    "reason": None,
}
HEAD = HeadFacts("stream-1", "20231114", 0, 4, ZEROS)
COVERED = CoverageFacts("stream-1", "picture", MINUTE, MINUTE, 0)
HONEST: list[records.Record] = [
    segment_facts(PLACE),
    dataclasses.replace(segment_facts(PLACE), g711=None),
    GapFacts(PLACE, GapCause.OFFLINE, "all", START, START + 1, "no route"),
    GapFacts(PLACE, GapCause.NO_AUDIO, Medium.SOUND, START, START + 1),
    PlanFacts(**PLAN),
    AmendFacts(**{**PLAN, "reason": "a later start"}),
    CancelFacts(SEAT, "user-1", "withdrawn"),
    OpenFacts(SEAT, START, None, None),
    ClaimFacts(SEAT, "claim-1", "stream-1", "own", START, None, None, None),
    ClaimFacts(
        SEAT, "c", "stream-1", "own", START, START + 1, "u", "wrong", moved_to="s2", withdrawn=START
    ),
    ConditionFacts(SEAT, "recess", START, "user-1", "night", None),
    CloseFacts(
        SEAT,
        START,
        START + MINUTE,
        "completed",
        (ClaimedFacts("claim-1", "stream-1", "own", START, START + MINUTE),),
        (HEAD,),
        (SpanFacts("stream-1", START, START + MINUTE),),
        (COVERED,),
    ),
    SupplementFacts(SEAT, "a recorder came back", (HEAD,), (COVERED,)),
]


@pytest.mark.parametrize("facts", HONEST, ids=lambda facts: facts.T)
def test_every_kind_survives_bytes(facts: records.Record) -> None:
    record = record_of(facts)
    assert check_record(parse(canonical(record))) == facts
    assert record["v"] == 1
    assert record["t"] == facts.T


def test_the_form_of_a_gap_is_fixed() -> None:
    facts = GapFacts(PLACE, GapCause.OFFLINE, "all", START, START + 1)
    expected = (
        '{"cause":"offline","day":"20231114","from":1700000000000000,"medium":"all","prev":"'
        + genesis("stream-1", "20231114")
        + '","recorder":"rec-1","seq":0,"site":"site-1","stream":"stream-1","t":"gap",'
        '"to":1700000000000001,"v":1}'
    )
    assert canonical(gap_record(facts)).decode() == expected


def test_the_form_of_a_segment_names_only_what_the_format_has() -> None:
    record = segment_record(segment_facts(PLACE))
    assert set(record) == {
        "v",
        "t",
        "site",
        "recorder",
        "stream",
        "day",
        "seq",
        "prev",
        "run",
        "run_seq",
        "init",
        "tracks",
        "media",
        "wall",
        "anchors",
        "quality",
        "pieces",
        "root",
        "file",
        "g711",
    }
    assert record["tracks"][1] == {
        "id": 2,
        "medium": "sound",
        "codec": "flac",
        "timescale": 8000,
        "source_codec": "pcm_mulaw",
    }


def test_the_chain_points_back_across_midnight_and_its_day_never_goes_back() -> None:
    first = segment_record(segment_facts(PLACE))
    same = next_place(first, START + MINUTE, "rec-1")
    assert (same.day, same.seq, same.prev) == ("20231114", 1, leaf_hash(first).hex())
    tomorrow = next_place(first, START + 86_400_000_000, "rec-2")
    assert (tomorrow.day, tomorrow.seq) == ("20231115", 0)
    assert (tomorrow.prev, tomorrow.recorder) == (leaf_hash(first).hex(), "rec-2")
    late = gap_record(GapFacts(tomorrow, "no_audio", "sound", START, START + MINUTE))
    assert next_place(late, START, "rec-1").day == "20231115"


def test_utc_days() -> None:
    assert utc_day(0) == "19700101"
    assert utc_day(1_700_006_399_999_999) == "20231114"
    assert utc_day(1_700_006_400_000_000) == "20231115"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"v": 2}, r"\$\.v"),
        ({"v": True}, r"\$\.v"),
        ({"t": "other"}, r"\$\.t"),
        ({"t": []}, r"\$\.t"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"seq": -1}, r"\$\.seq"),
        ({"seq": True}, r"\$\.seq"),
        ({"prev": ZEROS.replace("0", "A")}, r"\$\.prev"),
        ({"prev": ZEROS + "\n"}, r"\$\.prev"),
        ({"stream": "../x"}, r"\$\.stream"),
        ({"day": "2023111"}, r"\$\.day"),
        ({"day": "20231113"}, "day"),
        ({"wall": [START]}, r"\$\.wall"),
        ({"wall": [START, START]}, "the end must be after"),
        ({"wall": [START, 2**53 - 1]}, r"\$\.wall\[1\]"),
        ({"media": [{"track": 3, "dts": 0, "dur": 0, "frames": 0}]}, "media"),
        ({"media": {}}, r"\$\.media"),
        ({"tracks": []}, "tracks"),
        ({"g711": None}, r"\$\.g711"),
        ({"g711": {"codec": "pcm_alaw", "sha256": [ZEROS], "negative_zeros": []}}, "g711"),
        ({"root": {"sha256": ZEROS}}, r"\$\.root\.sm3"),
    ],
)
def test_refuses_what_is_out_of_bounds(change: dict[str, object], path: str) -> None:
    record = {**segment_record(segment_facts(PLACE)), **change}
    with pytest.raises(BadRecord, match=path):
        check_record(record)


def test_a_builder_refuses_wrong_facts_too() -> None:
    facts = dataclasses.replace(segment_facts(PLACE), init="not a digest")
    with pytest.raises(BadRecord, match=r"\$\.init"):
        segment_record(facts)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.just(ZEROS)
    | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(anything)
def test_reading_anything_raises_nothing_but_bad_record(value: object) -> None:
    with pytest.raises(BadRecord):
        check_record(value)


@given(st.sampled_from(HONEST), st.data())
def test_a_changed_record_is_read_or_refused_never_a_crash(
    facts: records.Record, data: st.DataObject
) -> None:
    record = record_of(facts)
    name = data.draw(st.sampled_from(sorted(record)))
    changed = {**record, name: data.draw(anything)}
    try:
        read = check_record(changed)
    except BadRecord:
        return
    assert record_of(read) == changed


def slowly(line: bytes) -> records.Record:
    """Read a line without taking anything out of it first."""
    return check_record(parse(line))


def said(read: Callable[[bytes], records.Record], line: bytes) -> records.Record | str:
    try:
        return read(line)
    except BadRecord as error:
        return str(error)


# None of them the zeros that stand elsewhere in the record.
DIGESTS = tuple(f"{number:064x}" for number in range(1, 4))
ALAW = dataclasses.replace(
    segment_facts(PLACE), g711=records.G711Facts("pcm_alaw", DIGESTS, ((),) * 3)
)
LINE = canonical(segment_record(ALAW))
TOKENS = (
    b'"g711":{"codec":"',
    b'","negative_zeros":[',
    b'],"sha256":["',
    b'"]}',
    b'","',
    b"[]",
    b"[1]",
    *(bytes([byte]) for byte in b'[]{},:"\\ a0F'),
    *(item.encode() for item in DIGESTS),
    "声".encode(),
    b"\xff",
)


def test_a_record_of_much_sound_is_read_whole() -> None:
    assert read_record(LINE) == slowly(LINE) == ALAW
    assert record_of(read_record(LINE)) == parse(LINE)


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(LINE)),
            st.integers(0, 80),
            st.lists(st.sampled_from(TOKENS), max_size=4).map(b"".join),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_it_is_refused_as_if_read_slowly(changes: list[tuple[int, int, bytes]]) -> None:
    line = LINE
    for at, length, instead in changes:
        line = line[:at] + instead + line[at + length :]
    assert said(read_record, line) == said(slowly, line)


SOUND = LINE[LINE.index(b'"g711"') : LINE.index(b',"init"')]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (DIGESTS[0].encode(), b"A" * 64),
        (DIGESTS[0].encode(), b"a" * 63),
        (DIGESTS[0].encode(), b"a" * 62 + b'","'),
        (b"[[],[],[]]", b"[[],[]]"),
        (b"[[],[],[]]", b"[[],[],[],[]]"),
        (b"[[],[],[]]", b"[[],[],[ ]]"),
        (b"[[],[],[]]", b"[[],[],[[]]]"),
        (b"[[],[],[]]", b"[[],[],[5]]"),
        (b'"codec":"pcm_alaw"', b'"codec":"x\\","negative_zeros":[[],[],[]],"sha256":["y"'),
        (SOUND, SOUND + b"," + SOUND),
        (SOUND, b'"g711":{"deep":' + SOUND[7:] + b"}"),
        (SOUND, b'"x\\' + SOUND),
        (b'"quality":"', b'"quality":"\\' + SOUND + b",\\"),
    ],
)
def test_what_looks_like_sound_and_is_not(old: bytes, new: bytes) -> None:
    line = LINE.replace(old, new, 1)
    assert line != LINE
    assert said(read_record, line) == said(slowly, line)


def test_words_that_look_like_sound_are_words() -> None:
    gap = GapFacts(PLACE, GapCause.OFFLINE, "all", START, START + 1, SOUND.decode())
    line = canonical(gap_record(gap))
    assert read_record(line) == gap

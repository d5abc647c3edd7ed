"""The byte form of records: RFC 8785 within our bounds, and a reader that never crashes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.storage.evidence.canonical import BadRecord, canonical, parse

keys = st.text(st.characters(max_codepoint=127), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def test_matches_the_example_of_rfc_8785() -> None:
    # Section 3.2.2 to 3.2.4, without the numbers that are no whole numbers.
    value = {"string": '€$\u000f\nA\'B"\\\\"/', "literals": [None, True, False]}
    expected = '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical(value) == expected.encode()


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": 0.5}]}, r"\$\.a\[1\]\.b"),
        ({"a": 2**53}, r"\$\.a"),
        ({"a": {"é": 1}}, r"\$\.a"),
        ({"a": b"x"}, r"\$\.a"),
        ({1: "x"}, r"\$"),
        ({"a": "\ud800"}, r"\$\.a"),
        ({"a": (1, 2)}, r"\$\.a"),
    ],
)
def test_names_the_path_of_what_does_not_fit(value: object, path: str) -> None:
    with pytest.raises(BadRecord, match=path):
        canonical(value)


def test_deep_nesting_is_an_error_not_a_crash() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    with pytest.raises(BadRecord):
        canonical(value)
    with pytest.raises(BadRecord):
        parse(b'{"a":' + b"[" * 100_000)


@given(st.dictionaries(keys, values, max_size=5))
def test_what_is_written_is_read_back(value: dict[str, object]) -> None:
    assert parse(canonical(value)) == value
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e0}',
        b'{"a":NaN}',
        b'{"a":-0}',
        b'{"a":"\\u0041"}',
        b"[1]",
        b"{",
        b"\xff",
        b'{"a":1}\n',
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_refuses_another_spelling(data: bytes) -> None:
    with pytest.raises(BadRecord):
        parse(data)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_reading_raises_nothing_else(data: bytes) -> None:
    try:
        value = parse(data)
    except BadRecord:
        return
    assert canonical(value) == data


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1.5", b"9007199254740992"])
def test_numbers_that_no_record_has(number: bytes) -> None:
    with pytest.raises(BadRecord, match="whole number"):
        parse(b'{"a":' + number + b"}")
    with pytest.raises(BadRecord, match="whole number"):
        parse(b'{"a":[{"b":' + number + b"}]}")


def test_depth() -> None:
    for levels, fits in ((31, True), (33, False)):
        data = b'{"a":' + b"[" * levels + b"1" + b"]" * levels + b"}"
        if fits:
            assert parse(data)
        else:
            with pytest.raises(BadRecord, match="nested too deeply"):
                parse(data)

"""The token of the WS-Security username profile, by a worked example, and its limits."""

import base64
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bidwitness.simulator.soap import NotSoap, Token, is_token_good, read_call

# The worked example of the ONVIF programmer's guide.
CREATED = "2010-09-16T07:50:45Z"
GUIDE = Token(
    user="user",
    digest=base64.b64decode("tuOSpGlFlIXsozq4HFNeeGeFLEI="),
    nonce=base64.b64decode("LKqI6G/AikKCQrN0zqZFlg=="),
    created=CREATED,
)
NOW_US = int(datetime(2010, 9, 16, 7, 50, 45, tzinfo=UTC).timestamp()) * 1_000_000
LOGIN = {"user": "user", "password": "userpassword"}


def test_the_guides_example_is_accepted() -> None:
    assert is_token_good(GUIDE, now_us=NOW_US, **LOGIN)


@pytest.mark.parametrize("off_us", [-301_000_000, 301_000_000])
def test_a_token_is_good_for_five_minutes(off_us: int) -> None:
    assert is_token_good(GUIDE, now_us=NOW_US + off_us // 2, **LOGIN)
    assert not is_token_good(GUIDE, now_us=NOW_US + off_us, **LOGIN)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        replace(GUIDE, user="other"),
        replace(GUIDE, digest=b""),
        replace(GUIDE, nonce=b"other"),
        replace(GUIDE, created="yesterday"),
    ],
)
def test_a_wrong_token_is_refused(wrong: Token | None) -> None:
    assert not is_token_good(wrong, now_us=NOW_US, **LOGIN)


@pytest.mark.parametrize("body", [b"", b"<a/>", b"<?xml version='1.0'?><a><b></a>"])
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(NotSoap):
        read_call(body)

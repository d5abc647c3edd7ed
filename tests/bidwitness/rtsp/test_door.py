"""Whether a login may be sent, and what refusals mean."""

import pytest

from bidwitness.addresses import parse_camera_address
from bidwitness.errors import BidWitnessError, CameraError, InvalidInput
from bidwitness.rtsp.door import check_answer, choose_login
from bidwitness.rtsp.login import Challenge
from bidwitness.rtsp.messages import Message

PLAIN = parse_camera_address("rtsp://192.0.2.7/x")
SECURE = parse_camera_address("rtsps://192.0.2.7/x")
MD5, SHA256 = Challenge("digest", "md5"), Challenge("digest", "sha-256")
STRANGE, BASIC = Challenge("digest", "sha-512-256"), Challenge("basic")


@pytest.mark.parametrize(
    ("status", "field"),
    [(302, "address"), (404, "address"), (454, "address"), (403, "username"), (405, None)],
)
def test_a_refusal_names_the_field(status: int, field: str | None) -> None:
    with pytest.raises(BidWitnessError) as caught:
        check_answer(Message(status=status), PLAIN)
    assert list(caught.value.fields) == ([field] if field else [])
    assert isinstance(caught.value, InvalidInput if field else CameraError)


def test_what_is_no_refusal() -> None:
    check_answer(Message(status=200), PLAIN)
    check_answer(Message(status=401), PLAIN)
    with pytest.raises(CameraError, match="503"):
        check_answer(Message(status=503), PLAIN)
    with pytest.raises(CameraError, match="rtspu://"):
        check_answer(Message(status=461), PLAIN)


@pytest.mark.parametrize(
    ("offered", "username", "field"),
    [
        ([MD5], "u", None),
        ([SHA256], "u", None),
        ([SHA256, MD5, BASIC], "u", None),
        ([MD5], "", "username"),
        ([BASIC], "u", "basic_in_clear"),
        ([STRANGE, BASIC], "u", "basic_in_clear"),
        ([STRANGE], "u", "password"),
        ([], "u", "password"),
    ],
)
def test_whether_a_login_may_be_sent(
    offered: list[Challenge], username: str, field: str | None
) -> None:
    address = PLAIN.with_login(username, "p" if username else "")
    if field is None:
        assert choose_login(offered, address).scheme == "digest"
        return
    with pytest.raises(InvalidInput) as caught:
        choose_login(offered, address)
    assert list(caught.value.fields) == [field]


def test_basic_is_fine_over_tls_and_where_it_is_allowed() -> None:
    assert choose_login([BASIC], SECURE.with_login("u", "p")) is BASIC
    allowed = PLAIN.with_login("u", "p").allowing(basic_in_clear=True)
    assert choose_login([BASIC], allowed) is BASIC

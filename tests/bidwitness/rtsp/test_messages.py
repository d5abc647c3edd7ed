"""RTSP messages: read whole or not at all, and written in one piece whatever they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.rtsp.messages import MAX_MESSAGE, Message, NotRtsp, read_message, write_request

ANSWER = (
    b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n"
    b'WWW-Authenticate: Digest realm="a", nonce="b"\r\n'
    b'www-authenticate: Basic realm="a"\r\nContent-Length: 4\r\n\r\nbody'
)


def test_an_answer_is_read_with_its_body() -> None:
    found = read_message(ANSWER + b"$more")
    assert found is not None
    message, length = found
    assert (message.status, message.body, length) == (401, b"body", len(ANSWER))
    assert len(message.all("www-authenticate")) == 2 and message.header("cseq") == "1"


@pytest.mark.parametrize("length", range(0, len(ANSWER), 7))
def test_a_part_of_an_answer_is_waited_for(length: int) -> None:
    assert read_message(ANSWER[:length]) is None


def test_a_request_of_the_camera() -> None:
    found = read_message(b"SET_PARAMETER rtsp://a/ RTSP/1.0\r\nCSeq: 9\r\n\r\n")
    assert found is not None and found[0] == Message(
        method="SET_PARAMETER", headers=(("cseq", "9"),)
    )


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01",
        b"RTSP/1.0 200 OK\r\nContent-Length: 99999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nX: " + b"a" * MAX_MESSAGE,
        b"A" * 3000,
    ],
)
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(NotRtsp):
        read_message(data)


def test_a_tunnel_is_answered_in_http() -> None:
    found = read_message(b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP")
    assert found is not None and found[0].status == 200


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"RTSP/1.0 401 " + tail))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    try:
        found = read_message(data)
    except NotRtsp:
        return
    assert found is None or 0 < found[1] <= len(data)


@given(st.text(max_size=50))
def test_a_header_never_becomes_two(value: str) -> None:
    sent = write_request("OPTIONS", "rtsp://a/", 1, {"Authorization": value})
    assert sent.count(b"\r\n") == 4 + bool(value)
    found = read_message(sent)
    assert found is not None and found[0].method == "OPTIONS"

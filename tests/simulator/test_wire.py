"""RTSP messages, transports, and Digest as RFC 2617 and other clients write it."""

import hashlib

import pytest

from bidwitness.simulator.wire import (
    BadMessage,
    Transport,
    answer,
    choose_transport,
    is_authorized,
    take_request,
)


def test_requests_are_taken_one_by_one_past_receiver_reports() -> None:
    buffer = bytearray(
        b"$\x01\x00\x04abcdOPTIONS rtsp://h/a RTSP/1.0\r\nCSeq: 1\r\n\r\n"
        b"SET_PARAMETER rtsp://h/a RTSP/1.0\r\nCSeq: 2\r\nContent-Length: 3\r\n\r\nxyz$\x01\x00"
    )
    first = take_request(buffer)
    assert first is not None and (first.method, first.headers["cseq"]) == ("OPTIONS", "1")
    second = take_request(buffer)
    assert second is not None and second.method == "SET_PARAMETER"
    assert take_request(buffer) is None
    assert buffer == b"$\x01\x00"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"PLAY rtsp://h/a RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
        b"PLAY rtsp://h/a RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n",
        b"x" * 20_000,
    ],
)
def test_what_is_not_rtsp_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        take_request(bytearray(data))


def test_an_answer_carries_its_length() -> None:
    assert answer(200, "3", {"A": "b"}, b"body") == (
        b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nA: b\r\nContent-Length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", Transport(True, (2, 3))),
        ("RTP/AVP/TCP;unicast", Transport(True, (4, 5))),
        ("RTP/AVP;unicast;client_port=5000-5001", Transport(False, (5000, 5001))),
        ("RTP/AVP/UDP;unicast;client_port=5000", Transport(False, (5000, 5001))),
        ("RTP/AVP;multicast,RTP/AVP;unicast;client_port=6-7", Transport(False, (6, 7))),
        ("RTP/AVP;multicast", None),
        ("RTP/SAVP;unicast;client_port=5000-5001", None),
        ("RTP/AVP;unicast;client_port=0-1", None),
        ("RTP/AVP/TCP;interleaved=300-301", None),
        ("RTP/AVP/TCP;interleaved=x", None),
        ("", None),
    ],
)
def test_the_first_transport_that_can_be_served_is_chosen(
    header: str, chosen: Transport | None
) -> None:
    assert choose_transport(header, free_channel=4) == chosen


def test_digest_of_the_rfc_is_accepted() -> None:
    # The worked example of RFC 2617, section 3.5.
    header = (
        'Digest username="Mufasa", realm="testrealm@host.com", '
        'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", uri="/dir/index.html", qop=auth, '
        'nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque="5c"'
    )
    known = {
        "realm": "testrealm@host.com",
        "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
        "user": "Mufasa",
        "password": "Circle Of Life",
    }
    assert is_authorized(header, "GET", **known)
    assert not is_authorized(header, "PLAY", **known)
    assert not is_authorized(header, "GET", **{**known, "password": "circle of life"})
    assert not is_authorized(header, "GET", **{**known, "nonce": "another"})
    assert not is_authorized(header, "GET", **{**known, "user": "Scar"})
    assert not is_authorized("Basic TXVmYXNhOng=", "GET", **known)
    assert not is_authorized("", "GET", **known)


def test_digest_without_qop_is_accepted() -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    response = md5(f"{md5('u:r:p')}:n:{md5('DESCRIBE:rtsp://h/a')}")
    header = f'Digest username="u", realm="r", nonce="n", uri="rtsp://h/a", response="{response}"'
    assert is_authorized(header, "DESCRIBE", realm="r", nonce="n", user="u", password="p")

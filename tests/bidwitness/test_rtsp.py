"""What stands at an RTSP address, and whether a login may be sent there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.addresses import parse_camera_address
from bidwitness.errors import BidWitnessError, CameraError, InvalidInput
from bidwitness.rtsp import Door, check_door, media_options, parse_door

PLAIN = parse_camera_address("rtsp://192.0.2.7/x")
SECURE = parse_camera_address("rtsps://192.0.2.7/x")
DIGEST = frozenset({"digest"})
BASIC = frozenset({"basic"})
SHA256 = frozenset({"digest-sha-256"})


def test_an_answer_is_read() -> None:
    answer = (
        b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n"
        b'WWW-Authenticate: Digest realm="a", nonce="b"\r\n'
        b'www-authenticate: Basic realm="a"\r\nLocation:  rtsp://b/ \r\n\r\nbody'
    )
    assert parse_door(answer) == Door(401, DIGEST | BASIC, "rtsp://b/")
    assert parse_door(b"RTSP/1.0 200 OK\r\n\r\n") == Door(200)
    asked = b'WWW-Authenticate:Digest realm="a, algorithm", algorithm=%s, nonce="b"\r\n'
    for algorithms, schemes in (
        ((b"MD5",), DIGEST),
        ((b'"md5-sess"',), DIGEST),
        ((b"SHA-256",), SHA256),
        ((b"SHA-256", b"MD5"), SHA256 | DIGEST),
    ):
        head = b"RTSP/1.0 401 Unauthorized\r\n" + b"".join(asked % a for a in algorithms)
        assert parse_door(head + b"\r\n").schemes == schemes


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad\r\n\r\n", b"SSH-2.0-x\r\n", b"", b"RTSP"])
def test_what_is_no_rtsp_is_refused(answer: bytes) -> None:
    with pytest.raises(InvalidInput, match="RTSP"):
        parse_door(answer)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"RTSP/1.0 401 " + tail))
def test_no_answer_breaks_the_reading(answer: bytes) -> None:
    try:
        parse_door(answer)
    except BidWitnessError as error:
        assert error.fields


@pytest.mark.parametrize(
    ("door", "username", "field"),
    [
        (Door(200), "", None),
        (Door(401, DIGEST), "u", None),
        (Door(401, DIGEST | BASIC), "u", None),
        (Door(401, DIGEST), "", "username"),
        (Door(401, BASIC), "u", "basic_in_clear"),
        (Door(401, SHA256), "u", "password"),
        (Door(401, SHA256 | BASIC), "u", "password"),
        (Door(401, SHA256 | DIGEST), "u", None),
        (Door(302, location="rtsp://evil/"), "u", "address"),
        (Door(404), "u", "address"),
        (Door(454), "u", "address"),
        (Door(403), "u", "username"),
    ],
)
def test_whether_a_login_may_be_sent(door: Door, username: str, field: str | None) -> None:
    address = PLAIN.with_login(username, "p" if username else "")
    if field is None:
        check_door(door, address)
        return
    with pytest.raises(InvalidInput) as caught:
        check_door(door, address)
    assert list(caught.value.fields) == [field]


def test_basic_is_fine_over_tls_and_faults_are_the_cameras() -> None:
    check_door(Door(401, BASIC), SECURE.with_login("u", "p"))
    check_door(Door(401, BASIC), PLAIN.with_login("u", "p").allowing(basic_in_clear=True))
    with pytest.raises(CameraError, match="503"):
        check_door(Door(503), PLAIN)


@pytest.mark.parametrize(
    ("scheme", "transport", "protocols"),
    [
        ("rtsp", "tcp", "tcp"),
        ("rtsps", "tcp", "tls,tcp"),
        ("rtsph", "http", "http,tcp"),
        ("rtspu", "udp", "udp,rtp,tcp"),
    ],
)
def test_only_what_an_address_needs_may_be_opened(
    scheme: str, transport: str, protocols: str
) -> None:
    address = parse_camera_address(f"{scheme}://192.0.2.7/x")
    options = media_options(address)
    assert (options["rtsp_transport"], options["protocol_whitelist"]) == (transport, protocols)
    assert (options.get("tls_verify") == "1") is (scheme == "rtsps")
    allowed = media_options(address.allowing(unproven_certificate=True))
    assert "tls_verify" not in allowed

"""Camera addresses: what is refused, what is encoded, what never shows."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.addresses import (
    is_reachable_place,
    parse_camera_address,
    parse_device_address,
    resolve_camera,
)
from bidwitness.errors import CameraError, InvalidInput


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "concat:/etc/passwd|/etc/hosts",
        "subfile,,start,0,end,9,,:/etc/passwd",
        "/etc/passwd",
        "clip.mp4",
        "",
        "http://10.0.0.5/stream",
        "rtsp:10.0.0.5/stream",
        "rtsp://",
        "rtsp:///stream",
        "rtsp://10.0.0.5:0/",
        "rtsp://10.0.0.5:70000/",
        "rtsp://10.0.0.5:５/",
        "rtsp://a b/",
        "rtsp://10.0.0.5/\r\nPLAY",
        "rtsp://[::1/",
        "rtsp://[10.0.0.5]/",
        "rtsp://ho|st/",
        "rtsp://-host/",
    ],
)
def test_anything_else_is_refused_and_the_field_is_named(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_camera_address(text)
    assert "source_url" in caught.value.fields


@pytest.mark.parametrize(
    ("text", "plain", "dialled"),
    [
        ("rtsp://10.0.0.5/s1", "rtsp://10.0.0.5/s1", "rtsp://10.0.0.5:554/s1"),
        ("RTSPS://Cam.Local:8554", "rtsps://cam.local:8554/", "rtsps://cam.local:8554/"),
        (
            "rtsph://10.0.0.5/s?a=1&b=2",
            "rtsph://10.0.0.5/s?a=1&b=2",
            "rtsp://10.0.0.5:80/s?a=1&b=2",
        ),
        ("rtspu://10.0.0.5/s", "rtspu://10.0.0.5/s", "rtsp://10.0.0.5:554/s"),
        ("rtsp://[fe80::0:5]:9/x", "rtsp://[fe80::5]:9/x", "rtsp://[fe80::5]:9/x"),
        ("rtsp://10.0.0.5/频道", "rtsp://10.0.0.5/%E9%A2%91%E9%81%93", None),
    ],
)
def test_addresses_are_read(text: str, plain: str, dialled: str | None) -> None:
    address = parse_camera_address(text)
    assert str(address) == plain
    if dialled:
        assert address.dial(address.host) == dialled


def test_a_login_is_encoded_and_never_shows() -> None:
    address = parse_camera_address("rtsp://admin:p%40s:s%2Fw%23@10.0.0.5/s")
    assert (address.username, address.password) == ("admin", "p@s:s/w#")
    assert address.dial("10.0.0.5") == "rtsp://admin:p%40s%3As%2Fw%23@10.0.0.5:554/s"
    other = address.with_login("管理员", "@:/#密")
    assert "%40%3A%2F%23%E5%AF%86@" in other.dial("10.0.0.5")
    for shown in (str(address), repr(address), str(other), repr(other)):
        assert "p@s" not in shown and "密" not in shown


def test_an_at_sign_in_the_password_as_typed() -> None:
    assert parse_camera_address("rtsp://admin:p@ss@10.0.0.5/s").password == "p@ss"
    for two_ways in ("rtsp://admin:p@s/w@10.0.0.5/s", "rtsp://admin:p/w@10.0.0.5/s"):
        with pytest.raises(InvalidInput, match="own fields"):
            parse_camera_address(two_ways)


def test_a_login_that_the_library_would_cut_off_is_refused() -> None:
    with pytest.raises(InvalidInput, match="too long"):
        parse_camera_address("rtsp://10.0.0.5/").with_login("admin", "x" * 200)


def test_a_user_name_that_rtsp_cannot_say_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no user name with a colon") as caught:
        parse_camera_address("rtsp://10.0.0.5/").with_login("a:b", "x")
    assert list(caught.value.fields) == ["username"]


@given(st.text(max_size=60))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    for candidate in (text, f"rtsp://{text}"):
        try:
            address = parse_camera_address(candidate)
        except InvalidInput:
            continue
        assert address.dial(address.host).startswith(("rtsp://", "rtsps://"))
        assert address.dial(address.host).isascii()


@pytest.mark.parametrize(
    ("host", "anywhere", "in_tests"),
    [
        ("10.0.0.5", True, True),
        ("192.168.1.9", True, True),
        ("fd00::5", True, True),
        ("127.0.0.1", False, True),
        ("127.9.9.9", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("169.254.1.1", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, False),
    ],
)
def test_places_inside_this_machine_are_refused(host: str, anywhere: bool, in_tests: bool) -> None:
    address = ipaddress.ip_address(host)
    assert is_reachable_place(address, allow_loopback=False) is anywhere
    assert is_reachable_place(address, allow_loopback=True) is in_tests


def test_names_are_checked_where_they_lead() -> None:
    local = parse_camera_address("rtsp://localhost/s")
    assert resolve_camera(local, allow_loopback=True) in ("127.0.0.1", "::1")
    for inside in ("rtsp://localhost/s", "rtsp://2130706433/s", "rtsp://127.1/s"):
        with pytest.raises(InvalidInput, match="inside this machine"):
            resolve_camera(parse_camera_address(inside), allow_loopback=False)


def test_an_unknown_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_args: object, **_named: object) -> None:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(CameraError, match=r"camera\.example .* not known"):
        resolve_camera(parse_camera_address("rtsp://camera.example/s"), allow_loopback=True)


def test_a_device_may_be_named_by_its_host_alone() -> None:
    assert str(parse_device_address("192.0.2.1")) == "http://192.0.2.1/"
    found = parse_device_address("https://u:p@cam:8443/onvif/device_service")
    assert str(found) == "https://cam:8443/onvif/device_service"
    assert (found.username, found.password) == ("u", "p")
    for text in ("rtsp://192.0.2.1/", "file:///etc/passwd", "http://", "ftp://h/"):
        with pytest.raises(InvalidInput):
            parse_device_address(text)

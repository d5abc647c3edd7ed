"""What we make of a device's words: which profiles, which hosts, whose clock."""

from dataclasses import asdict

import pytest

from bidwitness.errors import InvalidInput
from bidwitness.onvif.devices import (
    DeviceFacts,
    MediaProfile,
    checked_stream,
    choose_profiles,
    clock_message,
)
from bidwitness.words import StreamRole


def profile(name: str, width: int | None = None, address: str | None = None) -> MediaProfile:
    height = width and width * 9 // 16
    return MediaProfile(name, name, address or f"rtsp://h/{name}", "H264", width, height)


@pytest.mark.parametrize(
    ("profiles", "main", "sub"),
    [
        ([], None, None),
        ([profile("a", 1920)], "a", None),
        ([profile("s", 640), profile("m", 1920)], "m", "s"),
        ([profile("m", 1920), profile("t", 1280), profile("s", 640)], "m", "s"),
        ([profile("a", 1920), profile("b", 1920)], "a", "b"),
        ([profile("h265"), profile("s", 640)], "h265", "s"),
        ([profile("a", 1920, "rtsp://h/x"), profile("b", 640, "rtsp://h/x")], "a", None),
    ],
)
def test_which_profiles_are_recorded(
    profiles: list[MediaProfile], main: str | None, sub: str | None
) -> None:
    chosen = choose_profiles(profiles)
    assert {role: p.token for role, p in chosen.items()} == {
        role: token
        for role, token in ((StreamRole.MAIN, main), (StreamRole.SUB, sub))
        if token is not None
    }


def test_a_device_sends_us_to_no_other_host_unconfirmed() -> None:
    hosts = ("cam.example", "192.0.2.7")
    for host in hosts:
        found = checked_stream(profile("m", 1, f"rtsp://u:p@{host}:8554/m"), hosts, ())
        assert str(found) == f"rtsp://{host}:8554/m" and not found.password
    elsewhere = profile("m", 1, "rtsp://203.0.113.5/m")
    with pytest.raises(InvalidInput, match=r"203\.0\.113\.5") as caught:
        checked_stream(elsewhere, hosts, ())
    assert list(caught.value.fields) == ["onvif.confirm_hosts"]
    assert checked_stream(elsewhere, hosts, ("203.0.113.5",)).host == "203.0.113.5"
    for address in ("file:///etc/passwd", "http://192.0.2.7/m", "rtsp://"):
        with pytest.raises(InvalidInput):
            checked_stream(profile("m", 1, address), hosts, hosts)


@pytest.mark.parametrize(
    ("offset_us", "says"),
    [(None, None), (1_900_000, None), (-1_900_000, None), (3_000_000, "ahead"), (-3e6, "behind")],
)
def test_a_wrong_clock_is_said(offset_us: int | None, says: str | None) -> None:
    message = clock_message(offset_us)
    assert (message is None) if says is None else (message is not None and says in message)


def test_facts_survive_the_pipe() -> None:
    facts = DeviceFacts("m", "t", "1", "2", 3, (profile("a", 1920),))
    assert DeviceFacts.from_json(asdict(facts)) == facts

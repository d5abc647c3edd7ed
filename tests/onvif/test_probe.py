"""Cameras and devices tried out in a process of their own: the simulator's, and a stranger's."""

import socket
from collections.abc import Iterator

import pytest
from support.onvif_device import Device, running_device
from support.simulator import RunningSimulator, running_simulator, small_camera

from bidwitness.addresses import CameraAddress, parse_camera_address, parse_device_address
from bidwitness.errors import BidWitnessError, CameraError, InvalidInput
from bidwitness.onvif import probe
from bidwitness.words import StreamRole

PASSWORD = "p@:/ wörd"


@pytest.fixture(scope="module")
def cameras() -> Iterator[RunningSimulator]:
    specs = [
        small_camera("guarded", user="op", password=PASSWORD, sound="alaw"),
        small_camera("open", sound="none"),
        small_camera("odd", codec="mjpeg", sound="g726"),
        small_camera("phone", sound="aac", sound_only=True),
    ]
    with running_simulator(specs) as simulator:
        yield simulator


def login(device: Device, password: str | None = None) -> CameraAddress:
    address = parse_device_address(device.address)
    return address.with_login(device.user, device.password if password is None else password)


def test_a_stream_says_what_it_carries(cameras: RunningSimulator) -> None:
    address = parse_camera_address(cameras.url("guarded", login=False)).with_login("op", PASSWORD)
    found = probe.probe_camera(address, allow_loopback=True)
    (stream,) = found.streams
    assert (stream.codec, stream.width, stream.height) == ("h264", 640, 360)
    assert stream.fps == pytest.approx(25, abs=0.5)
    assert stream.gop_seconds == pytest.approx(1, abs=0.05)
    assert stream.sound == "G.711A" and found.browser_playable and found.messages == ()
    assert stream.url == cameras.url("guarded", login=False)


def test_what_cannot_be_kept_or_played_is_said(cameras: RunningSimulator) -> None:
    found = probe.probe_camera(parse_camera_address(cameras.url("odd")), allow_loopback=True)
    (stream,) = found.streams
    assert (stream.codec, stream.sound) == ("mjpeg", "G.726") and not found.browser_playable
    picture, sound = found.messages
    assert "MJPEG is recorded as it is, but no browser plays it" in picture
    assert "its sound is G.726, which cannot be kept. Set the camera's sound to G.711" in sound


def test_sound_alone_is_found_as_such(cameras: RunningSimulator) -> None:
    found = probe.probe_camera(parse_camera_address(cameras.url("phone")), allow_loopback=True)
    (stream,) = found.streams
    assert (stream.codec, stream.sound, stream.width, stream.fps) == (None, "AAC", 0, None)
    (message,) = found.messages
    assert "sound alone, without a picture" in message and found.browser_playable


def test_each_way_to_fail_has_one_clear_message(cameras: RunningSimulator) -> None:
    guarded = parse_camera_address(cameras.url("guarded", login=False))
    web = cameras.ready["status_url"].replace("http", "rtsp")
    for address, kind, word in (
        (guarded, InvalidInput, "user name"),
        (guarded.with_login("op", "wrong"), InvalidInput, "password"),
        (parse_camera_address(cameras.url("open") + "x"), InvalidInput, "path"),
        (parse_camera_address("rtsp://127.0.0.1:1/x"), CameraError, "port 1"),
        (parse_camera_address(web), InvalidInput, "RTSP"),
    ):
        with pytest.raises(BidWitnessError) as caught:
            probe.probe_camera(address, allow_loopback=True)
        assert type(caught.value) is kind and word in caught.value.detail, caught.value.detail
        assert "wrong" not in caught.value.detail and PASSWORD not in caught.value.detail
    with pytest.raises(InvalidInput, match="inside this machine"):
        probe.probe_camera(guarded, allow_loopback=False)


def test_what_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STREAM_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = parse_camera_address(f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(CameraError, match="after 2 s"):
            probe.probe_camera(address, allow_loopback=True)


def test_a_child_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "DEVICE_S", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = parse_device_address(f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(CameraError, match="after 2 s"):
            probe.ask_device(address, allow_loopback=True)


STREAMS = {"Main": ("rtsp://127.0.0.1:1/m", 1920, 1080), "Sub": ("rtsp://127.0.0.1:1/s", 640, 360)}


def test_a_device_with_a_wrong_clock_still_says_everything() -> None:
    with running_device(Device(STREAMS, clock_ahead_s=-3600)) as device:
        facts = probe.ask_device(login(device), allow_loopback=True)
    assert (facts.manufacturer, facts.model, facts.serial) == ("测试厂", "T-1000", "0042")
    assert facts.clock_offset_us == pytest.approx(-3_600_000_000, abs=2_000_000)
    main, sub = facts.profiles
    assert (main.width, main.fps, main.gop_frames, main.codec) == (1920, 25, 50, "H264")
    assert sub.address == "rtsp://127.0.0.1:1/s"


def test_a_device_that_refuses_or_is_none() -> None:
    with running_device(Device(STREAMS)) as device:
        for address in (login(device, "wrong"), parse_device_address(device.address)):
            with pytest.raises(InvalidInput) as caught:
                probe.ask_device(address, allow_loopback=True)
            assert list(caught.value.fields) == ["password"]
        for garbage in (b"\xff\x00", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"):
            device.garbage = garbage
            with pytest.raises(CameraError):
                probe.ask_device(login(device), allow_loopback=True)


def test_the_login_is_shown_to_nobody_but_the_device() -> None:
    with running_device(Device(STREAMS)) as other, running_device(Device(STREAMS)) as device:
        device.services_at = other.address
        facts = probe.ask_device(login(device), allow_loopback=True)
        assert len(facts.profiles) == 2  # asked at the device itself, whatever it says
        device.redirect_to = other.address
        with pytest.raises(CameraError):
            probe.ask_device(login(device), allow_loopback=True)
        assert other.asked == []


def test_streams_elsewhere_must_be_confirmed() -> None:
    streams = {"Main": ("rtsp://192.0.2.99/m", 1920, 1080)}
    with running_device(Device(streams)) as device:
        address = login(device)
        facts = probe.ask_device(address, allow_loopback=True)
        with pytest.raises(InvalidInput, match=r"192\.0\.2\.99"):
            probe.device_streams(facts, address, allow_loopback=True)
        found = probe.device_streams(
            facts, address, confirmed_hosts=("192.0.2.99",), allow_loopback=True
        )
        assert str(found[StreamRole.MAIN]) == "rtsp://192.0.2.99/m"


def test_a_virtual_camera_is_added_by_its_device_address(cameras: RunningSimulator) -> None:
    (ready,) = [c for c in cameras.ready["cameras"] if c["name"] == "guarded"]
    address = parse_device_address(ready["onvif"]).with_login("op", PASSWORD)
    found, facts = probe.probe_device(address, allow_loopback=True)
    assert {s.role: s.width for s in found.streams} == {StreamRole.MAIN: 640, StreamRole.SUB: 320}
    assert found.clock_offset_us is not None and abs(found.clock_offset_us) < 2_000_000
    assert facts.model and found.messages == ()

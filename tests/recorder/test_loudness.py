"""A microphone that is dead, and one that is only in a quiet room. Real G.711, real AAC."""

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from bidwitness.recorder.checks import Checks, clock_off
from bidwitness.recorder.loudness import NOTHING_CENTI_DBFS, SoundMeter, measure
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.simulator.signals import make_sound
from bidwitness.storage.media import g711
from bidwitness.words import Medium, StreamFault

SECOND = 1_000_000
PICTURE = SourceTrack(Medium.PICTURE, "h264", 90_000)
Sound = Callable[[int], NDArray[np.int16]]


def noise(amplitude: int, seed: int = 1) -> Sound:
    """Give a room's noise: other samples in each second."""
    return lambda second: (
        np.random.default_rng(seed * 100_000 + second)
        .integers(-amplitude, amplitude + 1, 8000)
        .astype(np.int16)
    )


def same(samples: NDArray[np.int16]) -> Sound:
    return lambda _second: samples


_VALUES = np.sort(np.unique(g711.decode(bytes(range(256)), g711.ALAW)))
_NEAREST = _VALUES[
    np.searchsorted((_VALUES[1:].astype(np.int32) + _VALUES[:-1]) // 2, np.arange(-32768, 32768))
]


def alaw(samples: NDArray[np.int16]) -> bytes:
    """Code samples as A-law by the nearest value."""
    return g711.encode(_NEAREST[samples.astype(np.int32) + 32768], g711.ALAW)


class Microphone:
    """Sends a second of sound as fifty packets."""

    def __init__(self, codec: str = g711.ALAW) -> None:
        self.meter = SoundMeter()
        self.codec = codec
        self.tracks = (PICTURE, SourceTrack(Medium.SOUND, codec, 8000, b"", 1))
        self.meter.begin(self.tracks)
        self.second = 10

    def send(self, sound: Sound, seconds: int) -> bool | None:
        for _ in range(seconds):
            data = alaw(sound(self.second))
            self.second += 1
            for place in range(50):
                block = data[place * 160 : place * 160 + 160]
                self.meter.push(Packet(1, block, 0, 0, 160, True, self.second * SECOND))
        return self.meter.silent(self.second * SECOND)

    @property
    def level(self) -> int | None:
        return self.meter.level_centi_dbfs(self.second * SECOND)


def test_the_level_is_that_of_the_signal() -> None:
    tone = (16_384 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)
    assert measure(tone).centi_dbfs == pytest.approx(-903, abs=2)
    assert measure(tone + 1000).centi_dbfs == pytest.approx(-903, abs=2), "a mean is no level"
    assert measure(np.zeros(100, np.int16)).centi_dbfs == NOTHING_CENTI_DBFS
    microphone = Microphone()
    microphone.send(same(tone), 2)
    assert microphone.level == pytest.approx(-903, abs=10)
    assert microphone.meter.level_centi_dbfs((microphone.second + 6) * SECOND) is None


@pytest.mark.parametrize(
    ("name", "dead"),
    [
        ("digital zero", np.zeros(8000, np.int16)),
        ("zero with A-law's dither", np.resize(np.array([8, -8, -8], np.int16), 8000)),
        ("a stuck level", np.full(8000, 5000, np.int16)),
        ("a block that repeats", np.resize(noise(900)(1)[:160], 8000)),
    ],
)
def test_a_dead_line_is_silent_after_a_minute_and_not_before(
    name: str, dead: NDArray[np.int16]
) -> None:
    microphone = Microphone()
    assert microphone.send(noise(300), 5) is False
    assert microphone.send(same(dead), 58) is False, name
    assert microphone.send(same(dead), 4) is True, name
    assert microphone.send(noise(300), 1) is False, name


def test_a_quiet_room_is_not_silent() -> None:
    """Nobody speaks for minutes; the noise goes on."""
    assert Microphone().send(noise(24), 200) is False


def test_the_simulated_room_is_not_silent() -> None:
    loop = make_sound(8000, 3)
    parts = loop.reshape(-1, 8000)
    assert Microphone().send(lambda second: parts[second % len(parts)], 150) is False


def test_a_line_far_below_the_rooms_own_noise_is_silent() -> None:
    microphone = Microphone()
    assert microphone.send(noise(600), 601) is False
    floor = microphone.meter.watch.floor_centi_dbfs
    assert floor == pytest.approx(-3950, abs=60)
    # An open plug: fainter than this room has ever been, and than any room.
    assert microphone.send(noise(26, 3), 58) is False
    assert microphone.send(noise(26, 3), 10) is True
    # Silence teaches nothing: the floor stays where the room had it.
    assert microphone.meter.watch.floor_centi_dbfs == floor


def test_a_room_that_becomes_quieter_is_still_the_room() -> None:
    microphone = Microphone()
    microphone.send(noise(600), 601)
    assert microphone.send(noise(80, 2), 90) is False


def test_a_faint_line_is_the_rooms_own_until_the_floor_is_known() -> None:
    microphone = Microphone()
    microphone.send(noise(600), 200)
    assert microphone.send(noise(26, 3), 90) is False


def test_without_packets_nothing_is_known() -> None:
    microphone = Microphone()
    assert microphone.meter.silent(0) is None
    microphone.send(noise(300), 3)
    assert microphone.meter.silent((microphone.second + 6) * SECOND) is None
    microphone.meter.begin(microphone.tracks)
    assert microphone.send(same(np.zeros(8000, np.int16)), 30) is None


def aac_of(samples: NDArray[np.int16], rate: int = 16_000) -> tuple[bytes, list[bytes]]:
    """Encode samples as raw AAC frames; give the configuration and the frames."""
    encoder = av.AudioCodecContext.create("aac", "w")
    encoder.sample_rate, encoder.layout, encoder.format = rate, "mono", "fltp"
    encoder.time_base = Fraction(1, rate)
    encoder.open()
    frames: list[bytes] = []
    for at in range(0, len(samples) - 1023, 1024):
        block = (samples[at : at + 1024].astype(np.float32) / 32768).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        frames += [bytes(packet) for packet in encoder.encode(frame)]
    frames += [bytes(packet) for packet in encoder.encode(None)]
    return bytes(encoder.extradata or b""), [frame for frame in frames if frame]


def test_aac_is_measured_on_two_frames_a_second() -> None:
    room = np.random.default_rng(4).integers(-3000, 3001, 16_000 * 20).astype(np.int16)
    config, frames = aac_of(np.concatenate([room, np.zeros(16_000 * 70, np.int16), room]))
    meter = SoundMeter()
    meter.begin((PICTURE, SourceTrack(Medium.SOUND, "aac", 16_000, config, 1)))
    seen: dict[int, tuple[int | None, bool | None]] = {}
    for number, data in enumerate(frames):
        at = 10 * SECOND + number * 64_000
        meter.push(Packet(1, data, 0, 0, 1024, True, at))
        seen[number * 64 // 1000] = (meter.level_centi_dbfs(at), meter.silent(at))
    assert seen[15][0] == pytest.approx(-2550, abs=300)
    assert seen[15][1] is False
    assert seen[75] == (NOTHING_CENTI_DBFS, False)
    assert seen[88] == (NOTHING_CENTI_DBFS, True)
    assert seen[105][1] is False


def test_bytes_that_are_no_aac_have_no_level() -> None:
    config, _ = aac_of(np.zeros(4096, np.int16))
    meter = SoundMeter()
    meter.begin((PICTURE, SourceTrack(Medium.SOUND, "aac", 16_000, config, 1)))
    for number in range(100):
        meter.push(Packet(1, b"\xff\x17" * 40, 0, 0, 1024, True, number * 64_000))
    assert meter.silent(100 * 64_000) is not True


def test_a_camera_without_sound_is_never_silent() -> None:
    checks = Checks()
    checks.begin((PICTURE,), None)
    assert checks.verdicts(0, None)[StreamFault.SILENT] is False
    assert not checks.soundless(100 * SECOND)


def test_sound_that_is_declared_and_does_not_come() -> None:
    checks = Checks()
    checks.begin((PICTURE, SourceTrack(Medium.SOUND, g711.ALAW, 8000, b"", 1)), None)
    checks.take(Packet(0, b"x", 0, 0, 0, True, SECOND), 0)
    assert not checks.soundless(5 * SECOND)
    assert checks.soundless(7 * SECOND)
    checks.take(Packet(1, b"x" * 160, 0, 0, 160, True, 8 * SECOND), 0)
    assert not checks.soundless(9 * SECOND)


def test_a_clock_is_off_beyond_two_seconds_and_well_within_one() -> None:
    assert not clock_off(1_900_000, None)
    assert clock_off(-2_100_000, None)
    assert clock_off(1_500_000, True)
    assert not clock_off(900_000, True)

"""What a worker says of a stream that is recorded, and how it reaches the index. By a fake clock."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.desk import STREAM
from support.fake_source import SOUND_PACKET, FakeCamera, FakeSource, during
from support.recording import wanted_stream

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.errors import CameraError, DamageFound
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.packets import Packet, PacketSource, SourceLost
from bidwitness.recorder.status import (
    StreamState,
    decode_states,
    encode_states,
    faults_of,
    hushed,
)
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import GapCause, Health, StreamFault

SECOND = 1_000_000


class Watched:
    """A worker that is asked for its state once a second of its camera's time."""

    def __init__(self, volume: Path) -> None:
        self.clock = FakeClock()
        self.writer = VolumeWriter(
            volume, SystemFiles(), self.clock, site="site-1", recorder="recorder-1"
        )
        self.packets: list[Packet] = []
        self.camera = FakeCamera()
        self.states: list[StreamState] = []
        desk = Desk(
            open_source=self._open,
            dial=lambda wanted: parse_camera_address(wanted.address),
            writer=self.writer,
            volume=volume,
            clock=self.clock,
            anchor=ClockAnchor(self.clock),
            segment_us=20 * SECOND,
        )
        wanted = replace(wanted_stream(STREAM, "rtsp://10.0.0.5/main"), declared_fps=25)
        self.worker = StreamWorker(wanted, desk, pause=self.clock.sleep)
        self._opened = False

    def _open(self, address: CameraAddress, *, with_sound: bool) -> PacketSource:
        if self._opened:
            self.worker.stop()
            raise CameraError("there is no more")
        self._opened = True
        source = FakeSource(self.camera, [])
        source.packets = self._played  # type: ignore[method-assign]  # by this clock
        return source

    def _played(self) -> Iterator[Packet]:
        shift = self.clock.monotonic_us() - self.packets[0].arrived_us
        asked = self.clock.monotonic_us()
        for packet in self.packets:
            arrived = packet.arrived_us + shift
            self.clock.advance(max(0, arrived - self.clock.monotonic_us()))
            yield replace(packet, arrived_us=arrived)
            if self.clock.monotonic_us() - asked >= SECOND:
                asked = self.clock.monotonic_us()
                self.writer.work(sync=True)
                self.states.append(self.worker.state())
        raise SourceLost("the fake camera has ended", GapCause.NETWORK)

    def run(self, camera: FakeCamera, change: Callable[[list[Packet]], list[Packet]]) -> None:
        self.camera = camera
        self.packets = change(camera.packets())
        self.worker.run()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_microphone_that_dies_degrades_its_stream_after_a_minute(watched: Watched) -> None:
    dead = b"\xd5" * SOUND_PACKET

    def dies(packets: list[Packet]) -> list[Packet]:
        return during(packets, 10, 90, lambda p: replace(p, data=dead) if p.track else p)

    watched.run(FakeCamera(seconds=80, reports_after=None), dies)
    by_second = watched.states
    assert by_second[8].centi_dbfs is not None and by_second[8].centi_dbfs > -3000
    assert by_second[8].verdicts[StreamFault.SILENT] is False
    assert {s.state for s in by_second[5:68]} == {Health.OK}
    last = by_second[-1]
    assert last.centi_dbfs is not None and last.centi_dbfs < -7000
    assert (last.state, last.cause) == (Health.DEGRADED, None)
    assert faults_of(last.verdicts) == (StreamFault.SILENT,)
    assert last.clock_us is None
    turned = next(n for n, s in enumerate(by_second) if s.verdicts.get(StreamFault.SILENT))
    assert 69 <= turned <= 73


def test_key_frames_rate_and_clock_are_said(watched: Watched) -> None:
    def slows(packets: list[Packet]) -> list[Packet]:
        odd = iter(range(10_000))
        return during(packets, 8, 60, lambda p: None if p.track == 0 and next(odd) % 2 else p)

    watched.run(FakeCamera(seconds=40, gop=150, sound=None), slows)
    last = watched.states[-1]
    assert last.gop_ms is not None and last.gop_ms >= 5900
    faults = {StreamFault.LOW_FRAME_RATE, StreamFault.LONG_GOP, StreamFault.CLOCK_OFFSET}
    assert set(faults_of(last.verdicts)) == faults
    assert last.state is Health.DEGRADED, "for its frame rate alone"
    assert last.clock_us is not None and last.clock_us < -90_000_000 * SECOND


def test_a_state_travels_whole() -> None:
    state = StreamState(
        *("s1", Health.DEGRADED, GapCause.NO_AUDIO, 1),
        gop_ms=2000,
        centi_dbfs=-4210,
        clock_us=-5,
        verdicts={StreamFault.SILENT: True, StreamFault.LONG_GOP: False},
    )
    assert decode_states(encode_states([state])) == [state]
    with pytest.raises(DamageFound):
        decode_states(encode_states([state]).replace("long_gop", "bad_hair"))


def test_only_silence_is_hushed() -> None:
    silent = {StreamFault.SILENT: True}
    resting = StreamState("s1", Health.DEGRADED, None, 1, verdicts=silent)
    assert hushed(resting).state is Health.OK
    assert hushed(resting).verdicts[StreamFault.SILENT] is False
    slow = replace(resting, verdicts={**silent, StreamFault.LOW_FRAME_RATE: True})
    assert hushed(slow).state is Health.DEGRADED
    assert hushed(replace(resting, cause=GapCause.NO_AUDIO)).state is Health.DEGRADED
    assert hushed(replace(resting, state=Health.STALLED)).state is Health.STALLED

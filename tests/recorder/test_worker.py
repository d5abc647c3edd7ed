"""One stream's worker against a scripted camera: causes, waits, health, restarts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.desk import STREAM, Left
from support.fake_source import FakeCamera, FakeSource, during

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.errors import CameraError, InvalidInput
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.back_off import back_off
from bidwitness.recorder.packets import Packet, PacketSource
from bidwitness.recorder.status import StreamState
from bidwitness.recorder.worker import Desk, StreamWorker
from bidwitness.recorder.writer import VolumeWriter
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import GapCause, Health, StreamRole

SECOND = 1_000_000
WANTED = WantedStream(
    stream_id=STREAM,
    camera_id="cam1",
    camera="门口",
    room_id="room1",
    room="评标室一",
    role=StreamRole.MAIN,
    address="rtsp://10.0.0.5/main",
    username=None,
    secret=None,
    record_sound=True,
)
Outcome = FakeSource | Exception


class Stage:
    """A worker, the clock it lives by, and what its camera does each time it is dialled."""

    def __init__(self, volume: Path, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.volume = volume
        self.anchor = ClockAnchor(self.clock)
        self.writer = VolumeWriter(
            volume, SystemFiles(), self.clock, site="site-1", recorder="recorder-1"
        )
        self.script: list[Outcome] = []
        self.waits: list[float] = []
        self.dialled: list[CameraAddress] = []
        self.dialling_us = 0
        self.each: Callable[[Packet], None] = lambda packet: None
        self.desk = Desk(
            open_source=self._open,
            dial=lambda wanted: parse_camera_address(wanted.address),
            writer=self.writer,
            volume=volume,
            clock=self.clock,
            anchor=self.anchor,
            segment_us=4 * SECOND,
        )
        self.worker = StreamWorker(WANTED, self.desk, pause=self._wait)
        self.started_us = self.clock.utc_us()

    def _open(self, address: CameraAddress, *, with_sound: bool) -> PacketSource:
        self.dialled.append(address)
        self.clock.advance(self.dialling_us)
        if not self.script:
            self.worker.stop()
            raise CameraError("the script is over")
        outcome = self.script.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return _Played(outcome, self)

    def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.sleep(seconds)
        self.writer.work()

    def run(self, *script: Outcome) -> Left:
        self.script = list(script)
        self.worker.run()
        return Left(self.volume)

    def at(self, instant_us: int) -> float:
        """Seconds since the stage was set."""
        return round((instant_us - self.started_us) / SECOND, 2)


class _Played:
    """A fake source whose packets arrive by the stage's clock."""

    def __init__(self, source: FakeSource, stage: Stage) -> None:
        self.tracks = source.tracks
        self._source = source
        self._stage = stage

    def packets(self) -> Iterator[Packet]:
        clock = self._stage.clock
        shift: int | None = None
        for number, packet in enumerate(self._source.packets()):
            if shift is None:
                shift = clock.monotonic_us() - packet.arrived_us
            arrived = packet.arrived_us + shift
            clock.advance(max(0, arrived - clock.monotonic_us()))
            self._stage.each(packet)
            yield replace(packet, arrived_us=arrived, camera_us=None)
            if number % 15 == 0:
                self._stage.writer.work()

    def reception(self) -> None:
        """It has no network."""

    def hurry(self, urgent: Callable[[], bool]) -> None:
        self._source.hurry(urgent)

    def close(self) -> None:
        self._source.close()


def causes(left: Left, stage: Stage) -> list[tuple[str, float, float]]:
    return [
        (gap.cause, stage.at(gap.start), stage.at(gap.end))
        for gap in left.gaps
        if gap.medium == "all"
    ]


def test_a_lost_connection_is_a_gap_with_its_cause(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    for cause in (GapCause.NETWORK, GapCause.STALL):
        stage.script.append(FakeSource(FakeCamera(seconds=5), lost=cause))
    left = stage.run(*stage.script, FakeSource(FakeCamera(seconds=5)))
    found = causes(left, stage)
    assert [cause for cause, _, _ in found[:2]] == ["network", "stall"]
    assert found[0][1:] == (5.0, 6.0)
    assert len({segment.run for segment in left.segments}) == 3
    # The last attempt failed: since its connection broke off the camera is offline.
    assert found[2][0] == "offline"


def test_an_unreachable_camera_is_offline_and_is_dialled_ever_more_rarely(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    nobody = CameraError("The camera at 10.0.0.5 does not answer.")
    left = stage.run(*[nobody] * 6, FakeSource(FakeCamera(seconds=4)))
    assert sum(stage.waits[:19]) == 1 + 1 + 2 + 5 + 10
    assert [back_off(n) for n in range(8)] == [0, 1, 1, 2, 5, 10, 10, 10]
    (first, *_) = causes(left, stage)
    assert first == ("offline", 0.0, 29.0)
    assert left.gaps[0].detail == "The camera at 10.0.0.5 does not answer."


def test_after_a_healthy_minute_the_waits_begin_anew(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    nobody = CameraError("no")
    stage.run(*[nobody] * 4, FakeSource(FakeCamera(seconds=62)), nobody)
    assert stage.waits[-2:] == [1, 1] and len(stage.dialled) == 7


@pytest.mark.parametrize("error", [CameraError("no video"), InvalidInput("not a camera")])
def test_a_wrong_setting_is_said_and_harms_nothing_else(tmp_path: Path, error: Exception) -> None:
    stage = Stage(tmp_path)
    states = []
    stage.worker._pause = lambda seconds: (
        states.append(stage.worker.state()),
        stage._wait(seconds),
    )
    stage.run(error)
    assert states[0].state is Health.OFFLINE and states[0].cause is GapCause.OFFLINE
    assert states[0].message == str(error)


def test_a_picture_that_cannot_be_kept_any_more_is_a_gap_from_where_it_ends(
    tmp_path: Path,
) -> None:
    """The camera's parameters become nonsense in mid-run: what was not finished is missing too."""
    stage = Stage(tmp_path)
    camera = FakeCamera(seconds=6, sound=None)

    class Nonsense(FakeSource):
        def packets(self) -> Iterator[Packet]:
            yield from camera.packets()[:60]
            stage.clock.advance(400_000)
            raise CameraError("The camera's picture cannot be kept.")

    left = stage.run(Nonsense(camera), FakeSource(FakeCamera(seconds=4, sound=None)))
    items = sorted([*left.segments, *left.gaps], key=lambda item: item.start)
    assert all(after.start - before.end <= 1 for before, after in pairwise(items))
    assert causes(left, stage)[0][:2] == ("offline", 2.4)


def test_a_login_never_shows_in_messages(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    left = stage.run(CameraError("rtsp://admin:secret@10.0.0.5/ failed"), FakeSource(FakeCamera()))
    assert "secret" not in str([gap.detail for gap in left.gaps])


def test_health_is_the_age_of_the_last_fragment(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    seen: dict[float, tuple[Health, GapCause | None]] = {}

    def look(packet: Packet) -> None:
        state = stage.worker.state()
        seen[stage.at(stage.clock.utc_us())] = (state.state, state.cause)

    stage.each = look
    pictures = FakeCamera(seconds=14)
    packets = during(pictures.packets(), 4, 8.5, lambda p: None if p.track == 0 else p)
    stage.run(FakeSource(pictures, packets))
    assert seen[3.0] == (Health.OK, None)
    # The picture has stopped at 4 s, while sound still comes.
    assert seen[5.5][0] is Health.OK
    assert {seen[at] for at in seen if 6.6 < at < 8.4} == {(Health.STALLED, GapCause.STALL)}
    assert seen[12.0] == (Health.OK, None)


def test_sound_without_a_picture_for_five_seconds_ends_the_run(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    camera = FakeCamera(seconds=12)
    packets = during(camera.packets(), 4, 11, lambda p: None if p.track == 0 else p)
    left = stage.run(FakeSource(camera, packets), FakeSource(FakeCamera(seconds=4)))
    cause, start, end = causes(left, stage)[0]
    assert (cause, start) == ("stall", 4.0) and 9 < end < 11
    assert len(stage.dialled) == 3


def test_sound_that_is_gone_shows_as_degraded(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    states = set()
    stage.each = lambda packet: states.add((stage.worker.state().state, stage.worker.state().cause))
    stage.run(FakeSource(FakeCamera(seconds=4)), FakeSource(FakeCamera(seconds=12, sound=None)))
    assert (Health.DEGRADED, GapCause.NO_AUDIO) in states


def test_a_camera_without_a_microphone_lacks_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    states = set()
    stage.each = lambda packet: states.add(stage.worker.state().state)
    left = stage.run(FakeSource(FakeCamera(seconds=12, sound=None)))
    assert Health.DEGRADED not in states
    assert "no_audio" not in {cause for cause, _, _ in causes(left, stage)}


def test_a_restart_states_the_time_in_between(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    first.each = lambda packet: (
        first.worker.stop() if first.clock.utc_us() - first.started_us > 5e6 else None
    )
    first.run(FakeSource(FakeCamera(seconds=9)))
    first.clock.sleep(20)
    second = Stage(tmp_path, first.clock)
    left = second.run(FakeSource(FakeCamera(seconds=5)))
    cause, start, end = causes(left, first)[0]
    assert cause == "recorder_down" and 5 <= start <= 5.2 and 25 <= end <= 25.2
    assert left.others == [tmp_path / STREAM / ".lock"]


def test_a_stream_nobody_wanted_has_no_gap(tmp_path: Path) -> None:
    first = Stage(tmp_path)

    def look(packet: Packet) -> None:
        if first.clock.utc_us() - first.started_us > 5 * SECOND:
            first.worker.stop(not_wanted=True)

    first.each = look
    first.run(FakeSource(FakeCamera(seconds=9)))
    first.clock.sleep(20)
    second = Stage(tmp_path, first.clock)
    second.each = lambda packet: (
        second.worker.stop() if second.clock.utc_us() - second.started_us > 5e6 else None
    )
    left = second.run(FakeSource(FakeCamera(seconds=9)))
    assert causes(left, second) == []
    assert not (tmp_path / STREAM / "not_wanted").exists()


def test_new_settings_are_dialled_at_once_and_cuts_without_dialling(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.dialling_us = 300_000
    cut = stage.started_us + 5 * SECOND

    def look(packet: Packet) -> None:
        at = stage.clock.utc_us() - stage.started_us
        if 2 * SECOND < at < 3 * SECOND:
            stage.worker.change(replace(WANTED, cuts=(cut,)))
        if at > 9 * SECOND and len(stage.dialled) == 1:
            stage.worker.change(replace(WANTED, address="rtsp://10.0.0.6/main"))

    stage.each = look
    left = stage.run(FakeSource(FakeCamera(seconds=12)), FakeSource(FakeCamera(seconds=4)))
    assert [str(a) for a in stage.dialled[:2]] == ["rtsp://10.0.0.5/main", "rtsp://10.0.0.6/main"]
    assert stage.at(left.segments[2].start) == 5.3
    assert causes(left, stage)[0][0] == "source_changed"


HOUR_S = 3600


def set_after(stage: Stage, seconds: float, by_s: int, *, seen: bool = True) -> None:
    """Have the system clock set while the camera sends. ``seen``: it is noticed at once."""
    begun_us = stage.clock.monotonic_us()

    def look(packet: Packet) -> None:
        passed = stage.clock.monotonic_us() - begun_us
        if passed > seconds * SECOND and not stage.anchor.steps and not done:
            stage.clock.step(by_s * SECOND)
            done.append(stage.anchor.check() if seen else None)

    done: list[int | None] = []
    stage.each = look


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
def test_a_clock_that_is_set_begins_a_new_run(tmp_path: Path, by_s: int) -> None:
    stage = Stage(tmp_path)
    stage.dialling_us = 300_000
    set_after(stage, 5, by_s)
    left = stage.run(FakeSource(FakeCamera(seconds=9)), FakeSource(FakeCamera(seconds=5)))
    assert stage.anchor.stepped_us == by_s * SECOND
    cause, start, end = causes(left, stage)[0]
    # The gap is what was lost by the new clock; set forward, that includes what the clock left out.
    lost_us = round((end - start) * SECOND) - max(0, by_s) * SECOND
    assert cause == "clock" and 250_000 <= lost_us <= 600_000
    assert abs(end - (5.3 + by_s)) < 0.4
    old, new = left.segments[1], left.segments[2]
    assert old.run != new.run and stage.at(old.start) < 6
    assert stage.at(new.start) == end


@pytest.mark.parametrize("by_s", [HOUR_S, -HOUR_S], ids=["forward", "back"])
def test_a_camera_lost_as_the_clock_is_set_is_a_gap_by_the_new_clock(
    tmp_path: Path, by_s: int
) -> None:
    """The connection breaks before the step is noticed, and nobody answers for a while."""
    stage = Stage(tmp_path)
    states = []
    set_after(stage, 4.9, by_s, seen=False)

    def wait(seconds: float) -> None:
        stage.anchor.check()
        states.append(stage.worker.state().state)
        stage._wait(seconds)

    stage.worker._pause = wait
    nobody = [CameraError("no")] * 4
    left = stage.run(FakeSource(FakeCamera(seconds=5)), *nobody, FakeSource(FakeCamera(seconds=4)))
    # Before the camera was lost its footage was fresh; then it is not, whatever the clock says.
    assert Health.OFFLINE in states and Health.OK not in states[3:9]
    found = causes(left, stage)
    missing = [(start, end) for cause, start, end in found if cause in ("network", "offline")]
    first, last = missing[0][0], max(end for _, end in missing)
    assert last - first - max(0, by_s) >= 9


def test_a_restart_after_the_clock_was_set_back_states_its_downtime(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    set_after(first, 5, -HOUR_S)
    first.run(FakeSource(FakeCamera(seconds=9)), FakeSource(FakeCamera(seconds=5)))
    first.clock.sleep(20)
    second = Stage(tmp_path, first.clock)
    left = second.run(FakeSource(FakeCamera(seconds=5)))
    _, start, end = next(gap for gap in causes(left, first) if gap[0] == "recorder_down")
    assert 20 <= end - start <= 22


def test_a_clock_set_back_while_nobody_recorded_hides_no_later_gap(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    first.run(FakeSource(FakeCamera(seconds=5)))
    first.clock.step(-HOUR_S * SECOND)
    second = Stage(tmp_path, first.clock)
    left = second.run(*[CameraError("no")] * 3, FakeSource(FakeCamera(seconds=5)))
    begun = first.at(second.started_us)
    assert [gap for gap in causes(left, first) if gap[1] == begun and gap[0] == "offline"]


def test_two_recorders_never_write_one_stream(tmp_path: Path) -> None:
    first, second = Stage(tmp_path), Stage(tmp_path)
    messages = []

    def try_too(packet: Packet) -> None:
        if not messages:
            second.worker._pause = lambda _s: (
                messages.append(second.worker.state().message),
                second.worker.stop(),
            )
            second.worker.run()

    first.each = try_too
    first.run(FakeSource(FakeCamera(seconds=2)))
    assert messages == ["Another recorder still writes this stream."]
    assert second.dialled == []


def test_a_camera_that_comes_back_with_another_coding_has_changed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.dialling_us = 300_000
    cameras = [
        FakeCamera(seconds=5),
        FakeCamera(seconds=5, codec="hevc"),
        FakeCamera(seconds=5, codec="hevc", sound="aac"),
        FakeCamera(seconds=5, codec="hevc", sound="aac"),
    ]
    left = stage.run(*(FakeSource(camera) for camera in cameras))
    found = causes(left, stage)
    changed = "source_changed"
    assert [cause for cause, _, _ in found[:3]] == [changed, changed, "network"]
    # A second of back-off and the dialling: within two seconds and one GOP.
    assert all(round(end - start, 1) <= 2 for _, start, end in found[:2])
    assert [segment.tracks[0].codec[:4] for segment in left.segments[:3:2]] == ["avc1", "hev1"]


def test_a_camera_that_changes_all_the_time_is_not_dialled_in_a_storm(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    camera = FakeCamera(seconds=2, sound=None)
    changes = [FakeSource(camera, lost=GapCause.SOURCE_CHANGED) for _ in range(6)]
    stage.run(*changes)
    assert sum(stage.waits[:19]) == 1 + 1 + 2 + 5 + 10


def test_the_camera_is_left_alone_from_the_first_instant_to_the_last(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    closed = (stage.started_us + 4 * SECOND, stage.started_us + 700 * SECOND)
    dialled_at: list[int] = []
    states: list[StreamState] = []
    stage.each = lambda packet: stage.worker.change(replace(WANTED, classified=(closed,)))
    dial = stage.desk.dial

    def noted(wanted: WantedStream) -> CameraAddress:
        dialled_at.append(stage.clock.utc_us())
        return dial(wanted)

    desk = replace(stage.desk, dial=noted)
    stage.worker = StreamWorker(WANTED, desk, pause=stage._wait)
    stage.worker._pause = lambda seconds: (
        states.append(stage.worker.state()),
        stage._wait(seconds),
    )
    left = stage.run(FakeSource(FakeCamera(seconds=9)), FakeSource(FakeCamera(seconds=5)))
    assert [round(stage.at(at)) for at in dialled_at[:2]] == [0, 700]
    assert not [at for at in dialled_at if closed[0] <= at < closed[1]]
    found = causes(left, stage)[:2]
    # Stated in pieces, as every long gap; no footage of that time exists.
    assert [cause for cause, _, _ in found] == ["classified", "classified"]
    assert (found[0][1], found[-1][2]) == (4.0, 700.0) and found[0][2] == found[1][1]
    assert all(s.end <= closed[0] + 40_000 or s.start >= closed[1] for s in left.segments)
    within = [s for s in states if s.cause is GapCause.CLASSIFIED]
    assert within and {s.state for s in within} == {Health.OFFLINE}


def test_a_camera_that_was_away_before_and_after_keeps_its_own_causes(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    closed = (stage.started_us + 5 * SECOND, stage.started_us + 60 * SECOND)
    stage.worker.change(replace(WANTED, classified=(closed,)))
    nobody = CameraError("nobody answers")
    left = stage.run(nobody, nobody, nobody, nobody, nobody, FakeSource(FakeCamera(seconds=4)))
    found = [(cause, round(start), round(end)) for cause, start, end in causes(left, stage)]
    assert found[:2] == [("offline", 0, 5), ("classified", 5, 60)]
    assert found[2][0] == "offline" and found[2][1] == 60


@pytest.mark.parametrize(
    ("start_s", "end_s", "expected"),
    [
        (10, 20, [("recorder_down", 5, 10), ("classified", 10, 20), ("recorder_down", 20, 25)]),
        (10, 40, [("recorder_down", 5, 10), ("classified", 10, 40)]),
        (2, 40, [("classified", 5, 40)]),
    ],
)
def test_a_recorder_that_was_down_meanwhile_knows_what_was_classified(
    tmp_path: Path, start_s: int, end_s: int, expected: list[tuple[str, int, int]]
) -> None:
    first = Stage(tmp_path)
    first.each = lambda packet: (
        first.worker.stop() if first.clock.utc_us() - first.started_us > 5e6 else None
    )
    first.run(FakeSource(FakeCamera(seconds=9)))
    first.clock.sleep(20)
    second = Stage(tmp_path, first.clock)
    closed = (first.started_us + start_s * SECOND, first.started_us + end_s * SECOND)
    second.worker.change(replace(WANTED, classified=(closed,)))
    left = second.run(FakeSource(FakeCamera(seconds=5)))
    found = [(cause, round(start), round(end)) for cause, start, end in causes(left, first)]
    assert found[: len(expected)] == expected

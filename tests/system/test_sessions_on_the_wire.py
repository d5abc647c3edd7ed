"""Sessions of a running system, as their viewers get them: seams, late claims, kills, rewind."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from support.system import RunningSystem, all_ok, running_system
from support.wait import wait_until
from support.watching import Viewer, Watched

from bidwitness.demo.cast import ROOMS
from bidwitness.storage.index.database import open_database
from bidwitness.storage.index.models import Gap
from bidwitness.words import GapCause

pytestmark = pytest.mark.timeout(300)

SECOND = 1_000_000
EVALUATION, OPENING = ROOMS
# A viewer is shown footage from the first key frame on, and the cameras have one a second.
GOP_US = SECOND


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with running_system(tmp_path_factory.mktemp("sessions")) as running:
        yield running


def grant(system: RunningSystem, session: str) -> None:
    body = {"media": ["picture", "sound"], "actions": ["replay"], "reason": "test"}
    system.client.grant({"username": "auditor", "session_id": session, **body})


def auditor(system: RunningSystem) -> Viewer:
    return Viewer(system.base, "auditor", system.passwords["auditor"])


def end(system: RunningSystem, session: str) -> None:
    system.client.post(f"sessions/{session}/end", {"outcome": "completed"})
    system.wait_state(session, "sealed", 90)


def watched(system: RunningSystem, session: str) -> dict[str, Watched]:
    viewer = auditor(system)
    try:
        return {f"{w.camera}/{w.role}": w for w in viewer.watch(session)}
    finally:
        viewer.close()


def test_two_sessions_in_one_room_never_share_a_frame(system: RunningSystem) -> None:
    first = system.book(EVALUATION, lot="1")
    system.wait_state(first, "recording")
    system.clock.sleep(6)
    system.client.post(f"sessions/{first}/end", {"outcome": "completed"})
    system.clock.sleep(3)
    second = system.book(EVALUATION, lot="2", length_s=500)
    system.wait_state(second, "recording")
    # The third follows the second without a pause: the seam lies inside a GOP.
    system.clock.sleep(6)
    third = system.book(EVALUATION, lot="1", start_in_s=600)
    system.client.post(f"sessions/{third}/start", {"takes_over": second})
    system.clock.sleep(6)
    end(system, third)
    for session in (first, second, third):
        grant(system, session)
    views = [watched(system, session) for session in (first, second, third)]
    for name in views[0]:
        frames = [set(view[name].frames) for view in views]
        assert all(len(f) > 3 * 25 for f in frames), name
        assert not frames[0] & frames[1], name
        assert not frames[1] & frames[2], name
        for view in views:
            numbers = view[name].frames
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), name
        # The GOP on the seam is evidence, and shown to neither.
        assert min(frames[2]) - max(frames[1]) > 1, name


def test_a_late_session_claims_back_to_its_due_start(system: RunningSystem) -> None:
    due = system.clock.utc_us() - 8 * SECOND
    session = system.book(OPENING, start_in_s=-8)
    system.wait_state(session, "recording")
    system.clock.sleep(4)
    end(system, session)
    grant(system, session)
    for name, view in watched(system, session).items():
        first = view.stamps[0].utc_us
        assert due - GOP_US <= first <= due + 2 * GOP_US, (name, first - due)
        assert len(view.frames) > 10 * 25


def test_rewind_shows_what_was_just_recorded(system: RunningSystem) -> None:
    session = system.book(OPENING, lot="2")
    system.wait_state(session, "recording")
    system.clock.sleep(8)
    grant(system, session)
    asked = system.clock.utc_us()
    for name, view in watched(system, session).items():
        # An entry of a running playlist is up to six seconds long.
        assert asked - view.stamps[-1].utc_us < 8 * SECOND, name
        assert "#EXT-X-ENDLIST" not in view.playlist
    end(system, session)


def test_a_kill_in_mid_session_costs_a_second_and_is_stated(system: RunningSystem) -> None:
    session = system.book(EVALUATION, lot="2")
    system.wait_state(session, "recording")
    system.clock.sleep(5)
    killed_us = system.clock.utc_us()
    system.kill("record")
    # It may be back before anybody has missed it.
    since = killed_us + 2 * SECOND
    wait_until(lambda: all_ok(system.client, since), 90, "every camera to record again")
    system.clock.sleep(3)
    end(system, session)
    assert system.client.post(f"sessions/{session}/verify")["ok"]
    grant(system, session)
    database = open_database(system.settings.database_url)
    views = watched(system, session)
    with database.read() as orm:
        timeline = auditor(system)
        streams = timeline.open(session)["streams"]
        timeline.close()
        for stream in streams:
            stamps = views[f"{stream['camera']}/{stream['role']}"].stamps
            before = max(s.utc_us for s in stamps if s.utc_us <= killed_us)
            after = min(s.utc_us for s in stamps if s.utc_us > killed_us)
            assert killed_us - before <= SECOND, stream
            gaps = orm.scalars(
                select(Gap).where(
                    Gap.stream_id == stream["stream_id"],
                    Gap.cause == GapCause.RECORDER_DOWN,
                    Gap.to_us > before,
                )
            ).all()
            assert len(gaps) == 1, stream
            assert abs(gaps[0].from_us - before) < SECOND
            assert abs(gaps[0].to_us - after) < SECOND
            assert "#EXT-X-GAP" in views[f"{stream['camera']}/{stream['role']}"].playlist
    database.close()

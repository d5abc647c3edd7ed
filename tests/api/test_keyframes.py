"""Key frames alone, on the wire: exactly those that a viewing may show, with the recorded bytes."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.footage import FRAME_US, Reel, numbers_in
from support.stored import ffmpeg_words
from support.viewing import SECOND, Scene, Watcher, watching

from bidwitness.player.keyframes import LIST_US, PER_PIECE
from bidwitness.storage.index.models import AuditEntry, Grant
from bidwitness.storage.media.boxes import read_samples, split_pieces
from bidwitness.storage.media.nal import parse_access_unit
from bidwitness.storage.watched import SEEN
from bidwitness.words import Role, SessionState


@dataclass(frozen=True)
class Key:
    """A key frame as it was listed, and the picture that was fetched for it."""

    at: int
    to: int
    number: int
    sample: bytes


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    return Scene(api.database, api.parts.settings.spool, clock)


def address(watcher: Watcher, scene: Scene, rest: str) -> str:
    return f"/play/{watcher.playback['id']}/{scene.stream}/{rest}"


def listed(watcher: Watcher, scene: Scene, from_s: float, to_s: float, **more: int) -> dict:
    params = {"from": scene.at(from_s), "to": scene.at(to_s), **more}
    answer = watcher.client.get(address(watcher, scene, "keys"), params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def fetched(
    watcher: Watcher, scene: Scene, from_s: float = 0, to_s: float = 60, **more: int
) -> list[Key]:
    """Fetch all key frames of a time; each file of them is decoded without a word."""
    out: list[Key] = []
    for piece in listed(watcher, scene, from_s, to_s, **more)["pieces"]:
        answer = watcher.client.get(address(watcher, scene, piece["address"]))
        assert answer.status_code == 200, answer.text
        assert answer.headers["etag"] and answer.headers["cache-control"] == "private, no-store"
        init = watcher.get(scene.stream, f"init/{piece['init']}.mp4").content
        data = init + answer.content
        assert ffmpeg_words(data) == ""
        parts = [part.data for part in split_pieces([data])][1:]
        samples = [read_samples(part) for part in parts]
        assert all(len(found) == 1 and found[0].key for found in samples)
        numbers = numbers_in(data)
        assert len(numbers) == len(piece["keys"]) <= PER_PIECE
        out += [
            Key(key["at"], key["to"], number, part[-found[0].size :])
            for key, number, part, found in zip(piece["keys"], numbers, parts, samples, strict=True)
        ]
    return out


def check(keys: list[Key], scene: Scene, reel: Reel, numbers: range | list[int]) -> None:
    """Of these pictures, at their times, with the bytes that the camera sent."""
    assert [key.number for key in keys] == list(numbers)
    for key in keys:
        assert key.at == scene.start + key.number * FRAME_US
        sent = parse_access_unit(reel.pictures[key.number].data, "h264").body
        assert key.sample == sent


def test_they_are_those_of_the_permitted_fragments_alone(api: RunningApi, scene: Scene) -> None:
    """Sessions that touch: each gets its own, and the one on the seam is nobody's."""
    reel = scene.reel(gop=50)
    reel.segments(40)
    earlier, later = scene.session(0, 20.5), scene.session(20.5, 40)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, earlier) as one, watching(api, scene, later, from_s=27) as other:
        mine = fetched(one, scene)
        check(mine, scene, reel, range(0, 500, 50))
        assert [key.to - key.at for key in mine] == [2 * SECOND] * 10
        assert mine[-1].to == scene.at(20)
        # The grant begins within a GOP, which is left out.
        check(fetched(other, scene), scene, reel, range(700, 1000, 50))
        # Whatever part is asked for, it is what stands within it.
        check(fetched(one, scene, 5, 9), scene, reel, [100, 150, 200])
        check(fetched(one, scene, 19.9, 30), scene, reel, [450])
        assert fetched(one, scene, 20, 40) == []
        first = listed(one, scene, 0, 5)
        assert first["settled"] is True
        run = first["pieces"][0]["address"].split("/")[1].split("-")[0]
        assert one.client.get(address(one, scene, f"keys/{run}-0/0.5.m4s")).status_code == 200
        # The key frame on the seam, the neighbour's, no key frame, twice, out of order.
        for guess in (f"{run}-2/0", f"{run}-3/0", f"{run}-0/1", f"{run}-0/0.0", f"{run}-0/5.0"):
            problem_of(one.client.get(address(one, scene, f"keys/{guess}.m4s")), 404, "not-found")
        other.playback = one.playback
        problem_of(other.client.get(address(other, scene, "keys/x-0/0.m4s")), 404, "not-found")


def test_a_right_that_ended_ends_them(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(10)
    session = scene.session(0, 10)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        path = listed(watcher, scene, 0, 10)["pieces"][0]["address"]
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().revoked_us = scene.clock.utc_us()
        params = {"from": scene.at(0), "to": scene.at(10)}
        for asked, query in (("keys", params), (path, {})):
            answer = watcher.client.get(address(watcher, scene, asked), params=query)
            problem_of(answer, 403, "forbidden")


def test_none_stands_for_a_hole_and_steps_thin_them(api: RunningApi, scene: Scene) -> None:
    reel = scene.reel()
    reel.segments(8)
    reel.skip(7.4)
    reel.segments(12)
    session = scene.session(0, 40)
    scene.clock.advance(90 * SECOND)
    with watching(api, scene, session) as watcher:
        every = fetched(watcher, scene)
        after = range(400, 685, 25)
        check(every, scene, reel, [*range(0, 200, 25), *after])
        assert every[7].to == scene.at(8) and every[-1].to == scene.at(27.4)
        thin = fetched(watcher, scene, step=5 * SECOND)
        # Slots are of UTC, the first after the hole is one more.
        slots = {(n, (scene.start + n * FRAME_US) // (5 * SECOND)) for n in [*range(0, 200, 25)]}
        firsts = sorted(min(n for n, slot in slots if slot == one) for one in {s for _, s in slots})
        assert [key.number for key in thin][: len(firsts) + 1] == [*firsts, 400]
        assert thin[len(firsts) - 1].to == scene.at(8)
        for left, right in pairwise(thin):
            assert left.to == right.at or left.to == scene.at(8)


def test_a_source_of_key_frames_alone_is_thinned(api: RunningApi, scene: Scene) -> None:
    scene.reel(gop=1, sound=False).segments(6)
    session = scene.session(0, 6)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        keys = fetched(watcher, scene)
        assert 12 <= len(keys) <= 13
        assert all(key.to - key.at <= SECOND // 2 + FRAME_US for key in keys)
        assert [left.to for left in keys[:-1]] == [right.at for right in keys[1:]]


def test_of_a_running_session_as_far_as_it_is_recorded(api: RunningApi, scene: Scene) -> None:
    session = scene.session(0, None, state=SessionState.RECORDING)
    reel = scene.reel()
    reel.segments(10)
    reel.write(5)
    scene.clock.set_utc(reel.now_us)
    with api.as_user("guard", Role.SUPERVISOR) as client:
        watcher = Watcher(client)
        assert watcher.open(session).status_code == 201
        before = fetched(watcher, scene)
        check(before, scene, reel, range(0, 375, 25))
        assert listed(watcher, scene, 0, 60)["settled"] is False
        reel.write(5)
        reel.close()
        scene.clock.set_utc(reel.now_us)
        then = fetched(watcher, scene)
        check(then, scene, reel, range(0, 500, 25))


def test_wishes_that_cannot_be_name_the_field(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(2)
    session = scene.session(0, 2)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        start = scene.at(0)
        for params, field in (
            ({"from": start, "to": start}, "to"),
            ({"from": start, "to": start + LIST_US + 1}, "to"),
            ({"from": start, "to": start + SECOND, "step": 1}, "step"),
        ):
            answer = watcher.client.get(address(watcher, scene, "keys"), params=params)
            assert field in problem_of(answer, 422, "invalid-input")["fields"]
        for path in ("keys/r-0/.m4s", "keys/r-0/a.m4s", f"keys/r-0/{'1.' * 40}1.m4s"):
            answer = watcher.client.get(address(watcher, scene, path))
            assert answer.status_code in (404, 422), path


def test_what_is_sent_is_noted_as_of_entries(api: RunningApi, scene: Scene) -> None:
    scene.reel().segments(20)
    session = scene.session(0, 20)
    scene.clock.advance(60 * SECOND)
    with watching(api, scene, session) as watcher:
        listed(watcher, scene, 0, 20)
        with api.database.read() as orm:
            assert not list(orm.scalars(select(AuditEntry).where(AuditEntry.action == SEEN)))
        keys = fetched(watcher, scene)
        with api.database.read() as orm:
            noted = list(orm.scalars(select(AuditEntry).where(AuditEntry.action == SEEN)))
        assert {entry.facts["medium"] for entry in noted} == {"picture"}
        for key in keys:
            assert any(e.facts["from_us"] <= key.at < e.facts["to_us"] for e in noted)

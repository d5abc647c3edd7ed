"""Picture without sound, sound without picture: all that crosses the wire is searched for bytes of
the other track, as they were recorded. Whoever has both is searched as well: there they are found.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import urljoin

import httpx
import pytest
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, running_api
from support.clock import FakeClock
from support.live import LiveProcess, TapCamera, tap_camera
from support.sealed_session import Sealed
from support.viewing import Scene, Watcher, parse_playlist
from support.wire import Wire, grams_of, tapped, unpacked
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from bidwitness.config import load_settings
from bidwitness.rights import Scope
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Init, Segment, User
from bidwitness.storage.media.boxes import read_fragment, read_samples, split_pieces
from bidwitness.storage.rights import make_scope
from bidwitness.words import Action, JobState, Medium, Role, SessionState

PICTURE, SOUND = Medium.PICTURE, Medium.SOUND
OTHER = {PICTURE: SOUND, SOUND: PICTURE}
EVERYTHING = [Action.REPLAY, Action.SNAPSHOT, Action.COPY]


@dataclass(frozen=True)
class Recorded:
    """What to look for of a stream's tracks, from the files that the recorder left."""

    picture: set[bytes]
    sound: set[bytes]

    def of(self, medium: Medium) -> set[bytes]:
        return self.picture if medium is PICTURE else self.sound


def recorded(database: Database, spool: Path, stream: str) -> Recorded:
    """Read the stored samples of a stream's segments. What both tracks have says nothing."""
    samples: dict[str, list[bytes]] = {PICTURE: [], SOUND: []}
    with database.read() as orm:
        rows = list(orm.scalars(select(Segment).where(Segment.stream_id == stream)))
        inits = {
            row.id: {t["id"]: t["medium"] for t in row.tracks} for row in orm.scalars(select(Init))
        }
    for row in rows:
        data = (spool / str(row.spool_path)).read_bytes()
        for piece in list(split_pieces([data]))[1:]:
            medium = inits[row.init_id][read_fragment(piece.data).track]
            samples[medium] += [
                bytes(piece.data[sample.offset : sample.offset + sample.size])
                for sample in read_samples(piece.data)
            ]
    picture, sound = grams_of(samples[PICTURE]), grams_of(samples[SOUND])
    return Recorded(picture - sound, sound - picture)


@dataclass(frozen=True)
class Got:
    """What somebody had of everything there is, and the addresses by which she had it."""

    media: set[str]
    addresses: dict[str, list[str]]
    package: list[bytes]


@contextmanager
def client_of(wire: Wire, username: str) -> Iterator[httpx.Client]:
    """Sign in by a wire. Nothing is packed on the way, or the search would look past it."""

    def is_kept_nowhere(answer: httpx.Response) -> None:
        assert answer.headers["cache-control"] == "private, no-store", answer.url

    with wire.api.client() as client:
        client.headers["Accept-Encoding"] = "identity"
        client.event_hooks["response"] = [is_kept_nowhere]
        body = {"username": username, "password": PASSWORD}
        client.post("/api/v1/auth/login", json=body).raise_for_status()
        yield client


def take_everything(client: httpx.Client, sealed: Sealed, stream: str) -> Got:
    """Ask for all there is of a session: what is written of it, every piece, pictures, a package."""
    session = f"/api/v1/sessions/{sealed.id}"
    for path in (session, f"{session}/timeline", f"{session}/evidence-reports"):
        assert client.get(path).status_code == 200
    watcher = Watcher(client)
    assert watcher.open(sealed.id).status_code == 201
    view = next(s for s in watcher.playback["streams"] if s["stream_id"] == stream)  # type: ignore[attr-defined]
    addresses: dict[str, list[str]] = {}
    for track in view["tracks"]:
        lines = watcher.playlist(stream, track).entries
        assert lines
        addresses[track] = [a for line in lines for a in (str(line.init), line.address)]
        for address in addresses[track]:
            assert watcher.get(stream, address, track).status_code == 200
    client.get(f"/play/{watcher.playback['id']}/{stream}/thumbnails")
    body = {"playback_id": watcher.playback["id"], "stream_id": stream, "reason": "case 1"}
    client.post("/api/v1/snapshots", json={**body, "at": sealed.start + 15_000_000})
    return Got(set(view["tracks"]), addresses, taken_package(client, sealed))


def taken_package(client: httpx.Client, sealed: Sealed) -> list[bytes]:
    body = {"session_id": sealed.id, "reason": "case 1", "form": "package"}
    job = client.post("/api/v1/exports", json=body).json()["id"]
    assert sealed.run(job) == JobState.DONE
    answer = client.get(f"/api/v1/exports/{job}/package")
    assert answer.status_code == 200
    return unpacked(answer.content)


def try_for_more(
    client: httpx.Client, sealed: Sealed, stream: str, wanted: Medium, full: Got
) -> None:
    """Ask in every way for what is not hers, with the addresses of somebody whose it is."""
    watcher = Watcher(client)
    watcher.open(sealed.id)
    for track in (PICTURE, SOUND):
        for address in ("index.m3u8", *full.addresses[wanted], *_wider(full.addresses[wanted])):
            answer = watcher.get(stream, address, track)
            # By her own track's name the same numbers are fragments of her own track.
            assert answer.status_code in (200, 404, 422), (track, address, answer.text)
            if track is wanted:
                assert answer.status_code in (404, 422), (track, address)
    assert watcher.get(stream, "index.m3u8", Medium.SCREEN).status_code == 404
    body = {
        "session_id": sealed.id,
        "reason": "case 2",
        "media": [wanted],
        "form": "package",
    }
    assert client.post("/api/v1/exports", json=body).status_code == 403
    whole = {**body, "media": list(Medium), "stream_ids": [stream]}
    job = client.post("/api/v1/exports", json=whole).json()["id"]
    assert sealed.run(job) == JobState.DONE
    client.get(f"/api/v1/exports/{job}/package")


def _wider(addresses: list[str]) -> list[str]:
    """Guess: the same segments from their first fragment to their last."""
    segments = {a.split("/")[0] for a in addresses if a.endswith(".m4s")}
    return [f"{one}/{what}.m4s" for one in sorted(segments) for what in ("0-0", "0-1", "0-31")]


@pytest.mark.parametrize("hers", [PICTURE, SOUND])
def test_nothing_of_the_other_track_in_replay_and_copies(
    api: RunningApi, sealed: Sealed, hers: Medium
) -> None:
    stream = sealed.streams[0]
    searched = recorded(api.database, api.parts.settings.spool, stream)
    assert min(len(searched.picture), len(searched.sound)) > 200
    sealed.grant("both", [PICTURE, SOUND], EVERYTHING)
    sealed.grant("half", [hers], EVERYTHING)
    with tapped(api) as way, tapped(api) as open_way:
        with client_of(open_way, "both") as both:
            full = take_everything(both, sealed, stream)
        with client_of(way, "half") as half:
            got = take_everything(half, sealed, stream)
            try_for_more(half, sealed, stream, OTHER[hers], full)
        assert full.media == {PICTURE, SOUND}
        assert got.media == {hers}
        there = way.found(searched.picture | searched.sound, *got.package)
        assert not searched.of(OTHER[hers]) & there
        # The search does find what it looks for: the session is half of what was recorded.
        assert len(searched.of(hers) & there) > len(searched.of(hers)) // 4
        open_to = open_way.found(searched.picture | searched.sound)
        for medium in (PICTURE, SOUND):
            assert len(searched.of(medium) & open_to) > len(searched.of(medium)) // 4, medium


@pytest.fixture
def live_api(sqlite_index: Database, tmp_path: Path, clock: FakeClock) -> Iterator[RunningApi]:
    settings = load_settings(data=tmp_path)
    with (
        LiveProcess(settings.run_dir, settings.live_key_file, clock) as process,
        running_api(sqlite_index, tmp_path, clock=clock, live_port=process.port) as running,
    ):
        yield running


@contextmanager
def listening(client: httpx.Client, stream: str, track: Medium) -> Iterator[ClientConnection]:
    cookie = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    base = str(client.base_url).rstrip("/")
    with connect(
        f"{base.replace('http', 'ws')}/api/v1/live/{stream}?track={track}",
        additional_headers={"Cookie": cookie, "Origin": base},
        compression=None,
        max_size=None,
        proxy=None,
        ping_interval=None,
        close_timeout=0.2,
    ) as socket:
        yield socket


def fragments(viewer: ClientConnection, count: int, camera: TapCamera) -> list[bytes]:
    """Give the samples of the next fragments; the camera goes on until there are so many."""
    found: list[bytes] = []
    for _ in range(count * 5):
        if len(found) >= count:
            break
        try:
            message = viewer.recv(timeout=0.2)
        except TimeoutError:
            camera.send(20)
            continue
        if isinstance(message, bytes) and message[4:8] == b"moof":
            found += [message[s.offset : s.offset + s.size] for s in read_samples(message)]
    assert len(found) >= count
    return found


def refused(client: httpx.Client, stream: str, track: Medium) -> None:
    with listening(client, stream, track) as viewer:
        assert json.loads(viewer.recv(timeout=10)) == {"state": "forbidden"}
        with pytest.raises(ConnectionClosed):
            viewer.recv(timeout=10)


@pytest.fixture
def running(live_api: RunningApi, clock: FakeClock) -> Scene:
    """An evaluation that records: an attestor may see it, and somebody may hear it by a grant."""
    scene = Scene(live_api.database, live_api.parts.settings.spool, clock)
    reel = scene.reel()
    reel.segments(10)
    session = scene.session(0, None, state=SessionState.RECORDING)
    live_api.add_user("sees", Role.ATTESTOR)
    live_api.add_user("both", Role.SUPERVISOR)
    hears = live_api.add_user("hears", Role.SUPERVISOR, on_duty=False)
    scene.grant(hears, session, media=(SOUND,), actions=(Action.LIVE, Action.REWIND))
    with live_api.database.write() as orm:
        sees = orm.scalars(select(User).where(User.username == "sees")).one()
        own = Scope(session_id=session)
        make_scope(orm, Who("test"), clock.utc_us(), sees.id, Role.ATTESTOR, own, "test")
    # What is being written now is shown as well.
    reel.write(8)
    clock.set_utc(reel.now_us)
    return scene


def test_nothing_of_the_other_track_live(live_api: RunningApi, running: Scene) -> None:
    names = ("sees", "hears", "both")
    with (
        tap_camera(live_api.parts.settings.run_dir, running.stream) as camera,
        ExitStack() as stack,
    ):
        camera.noise = Random(7)
        camera.begin()
        camera.send(30)
        ways = {name: stack.enter_context(tapped(live_api)) for name in names}
        people = {name: stack.enter_context(client_of(ways[name], name)) for name in names}
        open_to = {"sees": (PICTURE,), "hears": (SOUND,), "both": (PICTURE, SOUND)}
        viewers = {
            (name, medium): stack.enter_context(listening(people[name], running.stream, medium))
            for name in names
            for medium in open_to[name]
        }
        samples = {key: fragments(viewer, 40, camera) for key, viewer in viewers.items()}
        refused(people["sees"], running.stream, SOUND)
        refused(people["hears"], running.stream, PICTURE)
        refused(people["sees"], running.stream, Medium.SCREEN)
        picture = grams_of(samples["both", PICTURE])
        sound = grams_of([*samples["both", SOUND], *camera.heard])
        had = {name: ways[name].found(picture | sound) for name in names}
    # As it came from the camera the sound is in no fragment: it is packed without loss.
    assert not sound & had["sees"]
    assert not picture & had["hears"]
    for name in ("both", "sees"):
        assert len(picture & had[name]) > 100
    for name in ("both", "hears"):
        assert len(sound & had[name]) > 100


def test_nothing_of_the_other_track_in_rewind(live_api: RunningApi, running: Scene) -> None:
    """The closed segment and the one that is being written, by every address of the supervisor's."""
    spool = live_api.parts.settings.spool
    searched = recorded(live_api.database, spool, running.stream)
    addresses: dict[str, set[str]] = {}
    with tapped(live_api) as sees, tapped(live_api) as hears, tapped(live_api) as both:
        for way, name in ((both, "both"), (sees, "sees"), (hears, "hears")):
            with client_of(way, name) as client:
                watcher = Watcher(client)
                body = {"stream_ids": [running.stream], "from": running.at(0)}
                watcher.open(**body)
                for track in (PICTURE, SOUND):
                    answer = watcher.get(running.stream, "index.m3u8", track)
                    if answer.status_code == 200:
                        lines = parse_playlist(answer.text).entries
                        found = {a for line in lines for a in (str(line.init), line.address)}
                        addresses.setdefault(track, set()).update(found)
                    else:
                        assert answer.status_code == 404
                    for address in addresses[track]:
                        client.get(urljoin(watcher.base(running.stream, track), address))
        every = searched.picture | searched.sound
        for way, medium in ((both, PICTURE), (both, SOUND), (sees, PICTURE), (hears, SOUND)):
            assert len(searched.of(medium) & way.found(every)) > len(searched.of(medium)) // 2
        assert not searched.sound & sees.found(every)
        assert not searched.picture & hears.found(every)

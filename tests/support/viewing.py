"""A room with cameras, sessions that claim its footage, and somebody who watches over HTTP."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import httpx
from support.api import RunningApi
from support.clock import FakeClock
from support.factories import a_room, streams_of
from support.footage import Reel, numbers_in, seconds_of_sound
from support.places import a_claim, a_session

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Grant, Room
from bidwitness.words import (
    Action,
    GrantKind,
    Medium,
    Role,
    RoomKind,
    SessionKind,
    SessionState,
    StreamRole,
)

SECOND = 1_000_000
BOTH = (Medium.PICTURE, Medium.SOUND)


@dataclass
class Scene:
    """One room. ``reel`` records its first camera's main stream, and moves the clock with it."""

    index: Database
    spool: Path
    clock: FakeClock
    kind: RoomKind = RoomKind.EVALUATION
    cameras: int = 1
    streams: list[str] = field(default_factory=list)
    start: int = 0

    def __post_init__(self) -> None:
        with self.index.write() as orm:
            room: Room = a_room(orm, f"room {self.kind}", self.kind, cameras=self.cameras)
            self.room_id = room.id
            self.streams = streams_of(orm, room, role=StreamRole.MAIN)
        self.start = self.clock.utc_us()

    @property
    def stream(self) -> str:
        return self.streams[0]

    def reel(self, number: int = 0, *, gop: int = 25, sound: bool = True) -> Reel:
        return Reel(self.index, self.spool, self.streams[number], self.start, gop=gop, sound=sound)

    def at(self, seconds: float) -> int:
        return self.start + round(seconds * SECOND)

    def session(
        self,
        from_s: float,
        to_s: float | None,
        *,
        state: SessionState = SessionState.SEALED,
        streams: list[str] | None = None,
        kind: SessionKind = SessionKind.EVALUATION,
    ) -> str:
        """Add a session that claims the streams between two seconds after the start."""
        session = a_session(self.index, state=state, kind=kind)
        for stream in streams or self.streams:
            end = None if to_s is None else self.at(to_s)
            a_claim(self.index, session, stream, self.at(from_s), end)
        return session

    def grant(
        self,
        user_id: str,
        session: str,
        *,
        media: tuple[Medium, ...] = BOTH,
        actions: tuple[Action, ...] = (Action.REPLAY,),
        from_s: float | None = None,
        to_s: float | None = None,
        expires_s: float | None = None,
    ) -> str:
        with self.index.write() as orm:
            row = Grant(
                kind=GrantKind.REQUEST,
                user_id=user_id,
                session_id=session,
                from_us=None if from_s is None else self.at(from_s),
                to_us=None if to_s is None else self.at(to_s),
                media=list(media),
                actions=list(actions),
                reason="test",
                made_us=self.start,
                made_by="test",
                department_us=self.start,
                department_by="department",
                expires_us=None if expires_s is None else self.at(expires_s),
            )
            orm.add(row)
            orm.flush()
            return row.id


@dataclass(frozen=True)
class Line:
    """One entry or hole of a playlist."""

    address: str
    from_us: int
    seconds: float
    gap: bool
    init: str | None

    @property
    def to_us(self) -> int:
        return self.from_us + round(self.seconds * SECOND)


@dataclass(frozen=True)
class Playlist:
    text: str
    lines: tuple[Line, ...]

    @property
    def ended(self) -> bool:
        return "#EXT-X-ENDLIST" in self.text

    @property
    def entries(self) -> list[Line]:
        return [line for line in self.lines if not line.gap]

    @property
    def holes(self) -> list[Line]:
        return [line for line in self.lines if line.gap]


def parse_playlist(text: str) -> Playlist:
    """Read a playlist as a player would."""
    lines: list[Line] = []
    init: str | None = None
    at, seconds, gap = 0, 0.0, False
    for row in text.splitlines():
        if row.startswith("#EXT-X-MAP"):
            init = re.findall(r'URI="([^"]+)"', row)[0]
        elif row.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            when = datetime.fromisoformat(row.split(":", 1)[1])
            at = (when - datetime.fromisoformat("1970-01-01T00:00:00+00:00")) // timedelta(
                microseconds=1
            )
        elif row.startswith("#EXTINF:"):
            seconds = float(row[8:].rstrip(","))
        elif row == "#EXT-X-GAP":
            gap = True
        elif row and not row.startswith("#"):
            lines.append(Line(row, at, seconds, gap, init))
            gap = False
    return Playlist(text, tuple(lines))


@dataclass
class Watcher:
    """A signed-in client that plays one playback as a player does: by playlist and address."""

    client: httpx.Client
    playback: dict[str, object] = field(default_factory=dict)

    def open(self, session: str | None = None, **more: object) -> httpx.Response:
        body = {"session_id": session, **more} if session else more
        answer = self.client.post("/api/v1/playbacks", json=body)
        if answer.status_code == 201:
            self.playback = answer.json()
        return answer

    def base(self, stream: str, track: str = "picture") -> str:
        return f"/play/{self.playback['id']}/{stream}/{track}/"

    def get(self, stream: str, address: str, track: str = "picture") -> httpx.Response:
        return self.client.get(urljoin(self.base(stream, track), address))

    def playlist(self, stream: str, track: str = "picture") -> Playlist:
        answer = self.get(stream, "index.m3u8", track)
        assert answer.status_code == 200, answer.text
        return parse_playlist(answer.text)

    def bytes_of(self, stream: str, line: Line, track: str = "picture") -> bytes:
        """Give an entry behind its init, as a file that can be opened."""
        assert line.init is not None
        parts = [self.get(stream, address, track) for address in (line.init, line.address)]
        for part in parts:
            assert part.status_code == 200, part.text
        return b"".join(part.content for part in parts)

    def frames(self, stream: str) -> list[int]:
        """Fetch all there is to see and give the numbers of the pictures, in order."""
        entries = self.playlist(stream).entries
        return [n for line in entries for n in numbers_in(self.bytes_of(stream, line))]

    def heard(self, stream: str) -> float:
        """Fetch all there is to hear and say how many seconds it is."""
        entries = self.playlist(stream, "sound").entries
        return sum(seconds_of_sound(self.bytes_of(stream, line, "sound")) for line in entries)


@contextmanager
def watching(api: RunningApi, scene: Scene, session: str, **grant: object) -> Iterator[Watcher]:
    """Somebody with a grant for a session (``auditor.SESSION``), signed in, who has opened it."""
    name = f"auditor.{session}"
    scene.grant(api.add_user(name, Role.AUDITOR), session, **grant)  # type: ignore[arg-type]  # as given
    with api.as_user(name) as client:
        watcher = Watcher(client)
        answer = watcher.open(session)
        assert answer.status_code == 201, answer.text
        yield watcher

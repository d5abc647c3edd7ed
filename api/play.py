"""What players fetch: playlists, inits and cut entries. Every request is checked anew."""

import gzip
import threading
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Header, Path, Response
from sqlalchemy import select
from starlette.requests import HTTPConnection

from bidwitness.api.deps import CurrentUser, Me, Parts, TheDatabase, ThePartsOf
from bidwitness.api.limits import Tries
from bidwitness.api.openapi import gives
from bidwitness.api.schemas import IdPath
from bidwitness.errors import Forbidden, NotFound
from bidwitness.intervals import Interval
from bidwitness.player.cache import Lru
from bidwitness.player.master import render_master, rendition
from bidwitness.player.pieces import Pieces
from bidwitness.player.playbacks import Scope, check_may_be_linked, recheck
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import PlaybackStream
from bidwitness.storage.watched import SEEN
from bidwitness.words import Medium

router = APIRouter(prefix="/play", tags=["play"])

PLAYLIST = "application/vnd.apple.mpegurl"
TYPES = ("video/mp4", "audio/mp4")
# Small playlists gain nothing; one of eight hours shrinks to a tenth.
GZIP_FROM = 2048
# A player goes on asking after it was refused: one entry a viewing and minute says it all.
REFUSAL_US = 60_000_000
STILLS = 2
MINUTE_US = 60_000_000
_making = threading.Lock()


class Viewer:
    """Checks a request of a viewing and cuts what it asks for. One for the whole process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: Lru[str, int] = Lru(1000)
        self._seen: Lru[tuple[str, str, Medium, str, int, int], bool] = Lru(50_000)
        footage = open_footage(parts.settings, parts.clock)
        # Full-size decoding is dear: a few at once, and whoever comes then is told to wait.
        self.stills = Tries(STILLS, "Other pictures are being made. Try again in a moment.")
        self.pieces = Pieces(parts.settings.spool, parts.database, parts.clock, footage)

    def scope(
        self,
        user: CurrentUser,
        playback: str,
        stream: str,
        medium: Medium,
        *,
        linked: bool = False,
    ) -> Scope:
        """Say what the viewing may show now; ``linked``: to a player without a login.

        Raises ``NotFound``, and ``Forbidden`` (audited).
        """
        now = self._parts.clock.utc_us()
        try:
            with self._parts.database.read() as orm:
                if linked:
                    check_may_be_linked(orm, playback)
                return recheck(orm, playback, user.id, stream, medium, now, user.whence)
        except Forbidden as error:
            self._note(user, playback, stream, error, now)
            raise

    def seen(
        self, user: CurrentUser, scope: Scope, run: str, run_seq: int, interval: Interval
    ) -> None:
        """Write down what is about to be sent: one entry a viewing, track, file and minute of
        footage. It names the file, so that a record of the viewing can say of which bytes it is."""
        for minute in range(interval.start // MINUTE_US, (interval.end - 1) // MINUTE_US + 1):
            key = (scope.playback_id, scope.stream_id, scope.medium, run, run_seq, minute)
            if self._seen.get(key):
                continue
            begin = max(minute * MINUTE_US, scope.window.start)
            end = min((minute + 1) * MINUTE_US, scope.window.end)
            with self._parts.database.write() as orm:
                leave_audit_entry(
                    orm,
                    user.who,
                    SEEN,
                    f"playback:{scope.playback_id}",
                    self._parts.clock.utc_us(),
                    facts={
                        "stream": scope.stream_id,
                        "medium": scope.medium,
                        "from_us": begin,
                        "to_us": max(end, begin + 1),
                        "run": run,
                        "run_seq": run_seq,
                    },
                )
            self._seen.put(key, True)

    def _note(
        self, user: CurrentUser, playback: str, stream: str, error: Forbidden, now: int
    ) -> None:
        if now - (self._refused.get(playback) or 0) < REFUSAL_US:
            return
        self._refused.put(playback, now)
        with self._parts.database.write() as orm:
            leave_audit_entry(
                orm,
                user.who,
                "playback.refused",
                f"playback:{playback}",
                now,
                allowed=False,
                facts={"stream": stream, "why": error.detail},
            )


def viewer_of(connection: HTTPConnection, parts: ThePartsOf) -> Viewer:
    state = connection.app.state
    with _making:
        if not hasattr(state, "viewer"):
            state.viewer = Viewer(parts)
    viewer = state.viewer
    assert isinstance(viewer, Viewer)
    return viewer


TheViewer = Annotated[Viewer, Depends(viewer_of)]
InitPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
RunPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9_]{1,32}$")]
Counted = Annotated[int, Path(ge=0, le=2**31)]


class Place(NamedTuple):
    """The fragments ``first`` to ``last`` of a track in segment ``run_seq`` of ``run``."""

    run: str
    run_seq: int
    first: int
    last: int


def place_of(run: RunPath, run_seq: Counted, first: Counted, last: Counted) -> Place:
    return Place(run, run_seq, first, last)


ThePlace = Annotated[Place, Depends(place_of)]


@router.get("/{playback}/{stream}/master.m3u8", response_class=Response, responses=gives(PLAYLIST))
def master(
    playback: IdPath, stream: IdPath, user: Me, database: TheDatabase, viewer: TheViewer
) -> Response:
    """What a player outside the browser opens of a stream: its picture, with its sound."""
    media = held_media(database, playback, stream)
    return master_answer(viewer, [viewer.scope(user, playback, stream, one) for one in media])


def held_media(database: Database, playback: str, stream: str) -> list[Medium]:
    """Give which media of a stream a playback holds, the sound last. Raises ``NotFound``."""
    query = select(PlaybackStream.medium).where(
        PlaybackStream.playback_id == playback, PlaybackStream.stream_id == stream
    )
    with database.read() as orm:
        found = sorted(orm.scalars(query), key=list(Medium).index)
    if not found:
        raise NotFound("The playback does not hold this.")
    return [m for m in found if m is not Medium.SOUND] + [m for m in found if m is Medium.SOUND]


def master_answer(viewer: Viewer, scopes: Sequence[Scope]) -> Response:
    text = render_master([rendition(viewer.pieces, scope) for scope in scopes])
    return Response(text, media_type=PLAYLIST)


@router.get(
    "/{playback}/{stream}/{track}/index.m3u8", response_class=Response, responses=gives(PLAYLIST)
)
def playlist(
    playback: IdPath,
    stream: IdPath,
    track: Medium,
    user: Me,
    viewer: TheViewer,
    accept_encoding: Annotated[str, Header()] = "",
) -> Response:
    """The playlist of one track, as far as the viewing may show it now."""
    return playlist_answer(viewer, viewer.scope(user, playback, stream, track), accept_encoding)


def playlist_answer(viewer: Viewer, scope: Scope, accept_encoding: str) -> Response:
    text = viewer.pieces.playlist(scope).encode()
    headers = {"Vary": "Accept-Encoding"}
    if "gzip" in accept_encoding and len(text) >= GZIP_FROM:
        text = gzip.compress(text, compresslevel=4, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(text, media_type=PLAYLIST, headers=headers)


@router.get(
    "/{playback}/{stream}/{track}/init/{init}.mp4",
    response_class=Response,
    responses=gives(*TYPES),
)
def init(
    playback: IdPath, stream: IdPath, track: Medium, init: InitPath, user: Me, viewer: TheViewer
) -> Response:
    """What a player needs before the entries that name it."""
    return init_answer(viewer, viewer.scope(user, playback, stream, track), init)


def init_answer(viewer: Viewer, scope: Scope, init: str) -> Response:
    data, medium = viewer.pieces.init(scope, init), scope.medium
    return Response(data, media_type=_type(medium), headers={"ETag": f'"{init}-{medium}"'})


@router.get(
    "/{playback}/{stream}/{track}/{run}-{run_seq}/{first}-{last}.m4s",
    response_class=Response,
    responses=gives(*TYPES),
)
def entry(
    playback: IdPath,
    stream: IdPath,
    track: Medium,
    place: ThePlace,
    user: Me,
    viewer: TheViewer,
) -> Response:
    """The fragments ``first`` to ``last`` of the track in a segment, as they were recorded."""
    scope = viewer.scope(user, playback, stream, track)
    return entry_answer(viewer, user, scope, place)


def entry_answer(viewer: Viewer, user: CurrentUser, scope: Scope, place: Place) -> Response:
    cut = viewer.pieces.entry(scope, *place)
    viewer.seen(user, scope, place.run, place.run_seq, cut.interval)
    return Response(cut.data, media_type=_type(scope.medium), headers={"ETag": cut.etag})


def _type(medium: Medium) -> str:
    return TYPES[medium is Medium.SOUND]

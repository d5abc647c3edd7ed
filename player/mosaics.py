"""A copy that shows all cameras at once: one film, marked, with one sound or all of them mixed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from bidwitness import __version__
from bidwitness.errors import InvalidInput, NotFound
from bidwitness.intervals import Interval, subtract
from bidwitness.player.bundle import Made, pack, sources_of, workshop
from bidwitness.player.burning import ENCODER, OPTIONS
from bidwitness.player.export import Share, StreamShare
from bidwitness.player.film import write_film
from bidwitness.player.film_plan import FilmPlan, Hole, holes_of
from bidwitness.player.film_text import notice
from bidwitness.player.films import Archive, Reel, instants, spans_of, without
from bidwitness.player.mosaic import (
    MAX_TILES,
    RATE,
    Absence,
    Film,
    MosaicOrder,
    Tile,
    put_together,
)
from bidwitness.player.session_clips import init_reader
from bidwitness.player.tables import Reader
from bidwitness.player.timeline import Timeline
from bidwitness.player.timeline_files import (
    CSV_FILE,
    JSON_FILE,
    TimelineFile,
    as_csv,
    as_json,
    narrowed,
)
from bidwitness.player.watermarked import Recipient
from bidwitness.storage.index.database import Database
from bidwitness.words import Medium, StreamRole

SCHEMA = "bidwitness.mosaic/1"
KIND = "derivative: decoded, put side by side, watermarked, encoded as H.264; sound mixed as AAC"
RECORD, FILM = "mosaic.json", "mosaic.mp4"
_WORDS = """多画面视频。画面经解码、缩放、拼接、加注水印并重新编码，声音经混合并重新编码；不是原始录像，也不能代替证据包。
来源、摘要、制作人和工具见 mosaic.json。
All cameras in one film. Pictures were decoded, made smaller, put side by side, marked and encoded
again, sound was mixed; they are not what was recorded and do not stand in for an evidence package.
mosaic.json says what they were made from, with digests, for whom and by which tool.
"""


def tiled(share: Share, sound: str | None) -> list[StreamShare]:
    """Give the streams whose pictures may go into a mosaic, sub-streams of a camera first.

    ``sound``: the stream whose sound alone is wanted. Raises ``InvalidInput`` if no picture may be
    copied, of more than sixteen cameras, or if that sound may not be copied.
    """
    seen = [s for s in share.streams if Medium.PICTURE in s.permissions]
    cameras = {s.view.camera_id for s in seen}
    if not seen:
        raise InvalidInput(
            "A mosaic needs a picture, and none of this may be copied.",
            fields={"form": "needs the picture of a camera"},
        )
    if len(cameras) > MAX_TILES:
        raise InvalidInput(
            f"A mosaic shows {MAX_TILES} cameras at most, and these are {len(cameras)}: "
            "name some of them.",
            fields={"stream_ids": f"more than {MAX_TILES} cameras"},
        )
    heard = {s.view.stream_id for s in share.streams if Medium.SOUND in s.permissions}
    if sound is not None and sound not in heard:
        raise InvalidInput(
            "No copy of that sound may be made for you, or there is none.",
            fields={"sound": "no sound of this copy"},
        )
    # A tile is small: what a camera sends in small loses nothing there, and is soon decoded.
    wanted = StreamRole.SUB if len(cameras) > 1 else StreamRole.MAIN
    return sorted(seen, key=lambda stream: stream.view.role != wanted)


@dataclass(frozen=True, slots=True)
class _Track:
    """One camera's pictures, or its sound, as plain films, with what they were made from."""

    reel: Reel
    plans: tuple[FilmPlan, ...]
    films: tuple[Film, ...]


@dataclass
class MosaicMaker:
    """Makes one mosaic. ``on_pictures`` hears how many are done, of how many."""

    database: Database
    footage: Reader
    folder: Path
    recipient: Recipient
    timeline: Timeline
    sound: str | None
    on_pictures: Callable[[int, int], None]
    check: Callable[[], None]

    def make(self, share: Share, target: Path) -> Made:
        """Write film, timeline and record as one zip.

        Raises ``InvalidInput``, ``NotFound``, ``DamageFound``, ``StorageFull``, and whatever
        ``on_pictures`` and ``check`` raise.
        """
        archive = Archive(self.database, self.footage, self.timeline)
        streams = tiled(share, self.sound)
        seen = archive.reels(share, streams, {Medium.PICTURE})
        main = [s for s in share.streams if Medium.SOUND in s.permissions]
        main = [s for s in main if self.sound in (None, s.view.stream_id)]
        main.sort(key=lambda stream: stream.view.role != StreamRole.MAIN)
        heard = archive.reels(share, main, {Medium.SOUND})
        with workshop(self.folder):
            shown = [self._plain(archive, reel, f"p{n}") for n, reel in enumerate(seen)]
            shown = [track for track in shown if track.plans]
            if not shown:
                raise NotFound("Nothing of this was recorded with a picture.")
            sounds = [self._plain(archive, reel, f"s{n}") for n, reel in enumerate(heard)]
            whole = Interval(
                min(track.plans[0].whole.start for track in shown),
                max(track.plans[-1].whole.end for track in shown),
            )
            dark = without(streams, [track.reel.stream.view.stream_id for track in shown])
            tiles = [self._tile(track, whole) for track in shown]
            tiles += [self._dark(archive, stream, share, whole) for stream in dark]
            tiles.sort(key=lambda tile: tile.label)
            order = self._order(tiles, sounds, whole)
            self.on_pictures(0, order.pictures)
            put_together(order, lambda done: self.on_pictures(done, order.pictures))
            return self._packed(share, order, [*shown, *sounds], target)

    def _plain(self, archive: Archive, reel: Reel, name: str) -> _Track:
        """Write what was recorded of a camera's medium as films, to be decoded apart."""
        plans = archive.plans(reel, stated=True)
        films: list[Film] = []
        for number, plan in enumerate(plans):
            path = self.folder / f"{name}-{number}.mp4"
            write_film(
                *(self.footage, plan, init_reader(self.database), path, name),
                lambda count: self.check(),
            )
            films.append(Film(str(path), plan.whole.start))
        return _Track(reel, tuple(plans), tuple(films))

    def _tile(self, track: _Track, whole: Interval) -> Tile:
        holes = [hole for plan in track.plans for hole in plan.holes]
        # Of one camera the copy may hold less time than of another.
        outside = subtract([whole], [plan.whole for plan in track.plans])
        holes += [Hole(interval, None) for interval in outside]
        return Tile(_label(track.reel.stream), track.films, _absences(holes))

    def _dark(self, archive: Archive, stream: StreamShare, share: Share, whole: Interval) -> Tile:
        """Give the tile of a camera of which there is nothing: it says so, and why."""
        spans = spans_of(share)[stream.view.stream_id][Medium.PICTURE]
        known = archive.known(stream.view.stream_id)
        return Tile(
            _label(stream), (), _absences(holes_of(whole, (), spans, known, Medium.PICTURE))
        )

    def _order(
        self, tiles: Sequence[Tile], sounds: Sequence[_Track], whole: Interval
    ) -> MosaicOrder:
        heard = tuple(track.films for track in sounds if track.films)
        return MosaicOrder(
            *(str(self.folder / FILM), whole.start, whole.end, tuple(tiles), heard),
            *(self.recipient.mark, self.recipient.caption(f"多画面 {len(tiles)}")),
        )

    def _packed(self, share: Share, order: MosaicOrder, tracks: list[_Track], target: Path) -> Made:
        who, film = self.recipient, Path(order.target)
        with film.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": KIND,
            "id": who.id,
            "session": who.session,
            **instants(Interval(order.start_us, order.end_us)),
            **who.as_facts(),
            "mark": who.mark,
            "tool": {
                "bidwitness": __version__,
                "pyav": av.__version__,
                "encoder": f"{ENCODER} {' '.join(f'{k}={v}' for k, v in OPTIONS.items())}",
                "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
            },
            "name": FILM,
            "bytes": film.stat().st_size,
            "sha256": digest,
            "pictures": order.pictures,
            "pictures_a_second": str(RATE),
            "files": [_facts(track) for track in tracks],
        }
        said = TimelineFile(who.session, who.at_us, narrowed(self.timeline, spans_of(share)))
        tables = {CSV_FILE: as_csv(said), JSON_FILE: as_json(said)}
        return pack(target, [film], (RECORD, record), _WORDS, tables)


def _label(stream: StreamShare) -> str:
    return f"{stream.view.room} {stream.view.camera}"


def _absences(holes: Sequence[Hole]) -> tuple[Absence, ...]:
    return tuple(Absence(h.interval.start, h.interval.end, notice(h)) for h in holes)


def _facts(track: _Track) -> dict[str, Any]:
    view = track.reel.stream.view
    return {
        "stream": view.stream_id,
        "role": view.role,
        "camera": view.camera,
        "room": view.room,
        "media": sorted({medium for plan in track.plans for medium in plan.media}),
        "holes": [
            {**instants(hole.interval), "cause": hole.cause}
            for plan in track.plans
            for hole in plan.holes
        ],
        "made_from": {"segments": [one for plan in track.plans for one in sources_of(plan.parts)]},
    }

"""Convenience films: an ordinary MP4 of each camera with the wall clock in it, and subtitles beside.

Nothing of a picture or a sound is coded anew. They are for looking at in any player; what proves
something is the evidence package.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from bidwitness import __version__
from bidwitness.errors import NotFound
from bidwitness.intervals import Interval, intersect
from bidwitness.player.bundle import Made, pack, sources_of, workshop
from bidwitness.player.export import Share, StreamShare
from bidwitness.player.film import InitReader, room_needed, states_gaps, write_film
from bidwitness.player.film_plan import Configs, FilmPlan, Hole, KnownGap, divide, plan_film
from bidwitness.player.film_text import srt, subtitles
from bidwitness.player.selection import Selected, select_stream
from bidwitness.player.session_clips import file_name, init_reader
from bidwitness.player.snapshot import iso
from bidwitness.player.tables import Reader, Tables
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
from bidwitness.storage.media.entries import sample_entries
from bidwitness.words import Medium, StreamRole

SCHEMA = "bidwitness.films/1"
KIND = "derivative: pictures and sound as recorded, in one file; notices and silence where none was"
RECORD = "films.json"
_WORDS = """便捷视频。每台摄像机一个 MP4，画面和声音原样封装，未重新编码；缺口处为说明画面和静音。
章节和字幕为北京时间（UTC+8）。不能代替证据包，不能证明录像未被改动。来源和摘要见 films.json。
Convenience films: one MP4 of each camera, pictures and sound copied as they were recorded; a notice
and silence stand where nothing was. Chapters and subtitles give the time in UTC+8. They prove
nothing and do not stand in for an evidence package. films.json says what they were made from.
"""


@dataclass(frozen=True, slots=True)
class Reel:
    """What of a stream goes into films, and the gaps that the timeline states of it."""

    stream: StreamShare
    chosen: tuple[Selected, ...]
    known: tuple[KnownGap, ...]
    spans: Mapping[Medium, tuple[Interval, ...]]


def spans_of(share: Share) -> dict[str, dict[Medium, tuple[Interval, ...]]]:
    """Give the times that may be had of each stream and medium. Pure."""
    return {
        stream.view.stream_id: {
            medium: tuple(intersect(permission.spans, [share.window]))
            for medium, permission in stream.permissions.items()
        }
        for stream in share.streams
    }


def by_camera(streams: Sequence[StreamShare]) -> list[StreamShare]:
    """Give streams in the order in which a camera's film is sought: with a picture, main first."""
    return sorted(
        streams,
        key=lambda s: (Medium.PICTURE not in s.permissions, s.view.role != StreamRole.MAIN),
    )


def without(streams: Iterable[StreamShare], filmed: Collection[str]) -> list[StreamShare]:
    """Give one stream of each camera of which no stream was filmed. Pure."""
    every = list(streams)
    seen = {stream.view.camera_id for stream in every if stream.view.stream_id in filmed}
    left = {s.view.camera_id: s for s in reversed(every) if s.view.camera_id not in seen}
    return sorted(left.values(), key=lambda s: (s.view.room, s.view.camera))


@dataclass(frozen=True)
class Archive:
    """Where the footage of a copy is, and what the timeline says of it."""

    database: Database
    footage: Reader
    timeline: Timeline

    def reels(
        self,
        share: Share,
        streams: Iterable[StreamShare],
        media: Collection[Medium] = tuple(Medium),
    ) -> list[Reel]:
        """Give one stream of each camera: the first of these with footage that may be had.

        Sorted by room and camera. Of each only the ``media`` that are named.
        """
        tables = Tables(self.database, self.footage)
        spans = spans_of(share)
        found: dict[str, Reel] = {}
        for stream in streams:
            view = stream.view
            allowed = {m: p for m, p in stream.permissions.items() if m in media}
            if view.camera_id in found or not allowed:
                continue
            chosen = select_stream(*(self.database, tables, view.stream_id), share.window, allowed)
            if not any(part.pieces for part in chosen):
                continue
            known = self.known(view.stream_id)
            hers = {m: some for m, some in spans[view.stream_id].items() if m in allowed}
            found[view.camera_id] = Reel(stream, tuple(chosen), known, hers)
        return sorted(found.values(), key=lambda r: (r.stream.view.room, r.stream.view.camera))

    def known(self, stream_id: str) -> tuple[KnownGap, ...]:
        """Give the gaps of a stream as the timeline states them."""
        return tuple(
            KnownGap(gap.interval, gap.cause, gap.medium)
            for lane in self.timeline.lanes
            if lane.stream_id == stream_id
            for gap in lane.gaps
        )

    def plans(self, reel: Reel, *, stated: bool = False) -> list[FilmPlan]:
        """Plan the films of one camera, one after another: the next begins where settings change.

        ``stated``: they last for all that was wanted even where no notice can stand in them.
        """
        init_of = init_reader(self.database)
        live = self.timeline.live_until_us is not None
        return plans_of(reel, init_of, live=live, stated=stated)


def plans_of(
    reel: Reel, init_of: InitReader, *, live: bool, stated: bool = False
) -> list[FilmPlan]:
    """Plan the films of one camera, one after another: a second begins where its settings change.

    ``live``: the session still records, so that what is missing at the end may yet come.
    """
    groups = divide(reel.chosen, lambda init: _configs(init_of(init)))
    every = [span for some in reel.spans.values() for span in some]
    start, end = min(s.start for s in every), max(s.end for s in every)
    begins = [min(p.start for part in group for p in part.pieces) for group in groups]
    plans: list[FilmPlan] = []
    for place, group in enumerate(groups):
        last = max(piece.end for part in group for piece in part.pieces)
        until = begins[place + 1] if place + 1 < len(groups) else (last if live else end)
        since = start if place == 0 else begins[place]
        wanted = Interval(since, max(until, last, since + 1))
        says = stated or states_gaps(init_of(group[0].held.init))
        plan = plan_film(group, wanted, reel.spans, reel.known, stated=says)
        if plan is not None:
            plans.append(plan)
    return plans


def _configs(init: bytes) -> Configs:
    return {entry.medium: entry.body for entry in sample_entries(init).values()}


@dataclass
class ConvenienceFilms:
    """Makes the films of one copy. ``on_bytes`` hears how much is done, of how much."""

    database: Database
    footage: Reader
    folder: Path
    recipient: Recipient
    timeline: Timeline
    on_bytes: Callable[[int, int], None]
    _films: list[dict[str, Any]] = field(default_factory=list)

    def make(self, share: Share, target: Path) -> Made:
        """Write films, subtitles, timeline and record as one zip.

        Raises ``NotFound``, ``DamageFound``, ``StorageFull``, and whatever ``on_bytes`` raises.
        """
        init_of = init_reader(self.database)
        archive = Archive(self.database, self.footage, self.timeline)
        reels = archive.reels(share, by_camera(share.streams))
        planned = [(reel, plan) for reel in reels for plan in archive.plans(reel)]
        if not planned:
            raise NotFound("Nothing of this was recorded.")
        total = sum(plan.size for _, plan in planned)
        done = 0

        def count(more: int) -> None:
            nonlocal done
            done += more
            self.on_bytes(done, total)

        with workshop(self.folder):
            for (reel, plan), name in zip(planned, _names(planned), strict=True):
                self._film(reel, plan, name, init_of, count)
            return self._packed(share, target)

    def _film(
        self,
        reel: Reel,
        plan: FilmPlan,
        name: str,
        init_of: InitReader,
        count: Callable[[int], None],
    ) -> None:
        view = reel.stream.view
        title = f"{view.room} {view.camera} {view.role.zh}  {iso(plan.whole.start)}"
        film = write_film(self.footage, plan, init_of, self.folder / f"{name}.mp4", title, count)
        with room_needed("The subtitles"):
            text = "".join(srt(subtitles(plan)))
            (self.folder / f"{name}.srt").write_text(text, encoding="utf-8")
        self._films.append(
            {
                "name": f"{name}.mp4",
                "subtitles": f"{name}.srt",
                "bytes": film.bytes,
                "sha256": film.sha256,
                **instants(plan.whole),
                "pictures": film.pictures,
                "sounds": film.sounds,
                "notices": film.notices,
                "holes": [_hole(hole, plan.leading) for hole in plan.holes]
                + [_hole(hole, Medium.SOUND) for hole in plan.silences],
                "stream": view.stream_id,
                "role": view.role,
                "camera": view.camera,
                "room": view.room,
                "media": sorted(plan.media),
                "made_from": {"segments": sources_of(plan.parts)},
            }
        )

    def _packed(self, share: Share, target: Path) -> Made:
        who = self.recipient
        said = TimelineFile(who.session, who.at_us, narrowed(self.timeline, spans_of(share)))
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": KIND,
            "id": who.id,
            "session": who.session,
            **instants(share.window),
            **who.as_facts(),
            "tool": {"bidwitness": __version__, "pyav": av.__version__},
            "files": self._films,
            "without_footage": [
                {"camera": stream.view.camera, "room": stream.view.room}
                for stream in without(share.streams, [film["stream"] for film in self._films])
            ],
        }
        files = [self.folder / film[kind] for film in self._films for kind in ("name", "subtitles")]
        tables = {CSV_FILE: as_csv(said), JSON_FILE: as_json(said)}
        return pack(target, files, (RECORD, record), _WORDS, tables)


def _names(planned: Sequence[tuple[Reel, FilmPlan]]) -> Iterator[str]:
    """Name each film by its camera; what follows a change of settings has a number."""
    cameras: dict[str, int] = {}
    for reel, _ in planned:
        view = reel.stream.view
        number = cameras[view.camera_id] = cameras.get(view.camera_id, 0) + 1
        again = f" ({number})" if number > 1 else ""
        yield f"{len(cameras):02d} {file_name(f'{view.room} {view.camera}')}{again}"


def instants(interval: Interval) -> dict[str, Any]:
    """Give an interval as the records of copies name it."""
    return {
        "from": iso(interval.start),
        "to": iso(interval.end),
        "from_us": interval.start,
        "to_us": interval.end,
    }


def _hole(hole: Hole, medium: Medium) -> dict[str, Any]:
    return {**instants(hole.interval), "medium": medium, "cause": hole.cause}

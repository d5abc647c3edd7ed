"""Watermarked copies: a film of each camera with who has it burned in, and a record of its making.

Such a film is a derivative and says so. What was recorded, and packages of it, stay as they are.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from bidwitness import __version__
from bidwitness.errors import InvalidInput, NotFound
from bidwitness.player.bundle import Made, pack, sources_of, workshop
from bidwitness.player.burning import ENCODER, OPTIONS, BurnOrder, burn_in
from bidwitness.player.clip import ClipReport, write_clip
from bidwitness.player.export import Share, StreamShare
from bidwitness.player.selection import Selected, select_stream
from bidwitness.player.session_clips import file_name, init_reader
from bidwitness.player.snapshot import iso
from bidwitness.player.tables import Reader, Tables
from bidwitness.storage.index.database import Database
from bidwitness.words import Medium, StreamRole

SCHEMA = "bidwitness.watermarked/1"
KIND = "derivative: decoded, watermarked, encoded as H.264; sound as recorded"
RECORD = "watermark.json"
_WORDS = """水印复制件。画面经解码、加注水印并重新编码，声音未改动；不是原始录像，也不能代替证据包。
来源、摘要、制作人和工具见 watermark.json。
Watermarked copies. Pictures were decoded, marked and encoded again; sound is as it was recorded.
They are not what was recorded and do not stand in for an evidence package. watermark.json says
what they were made from, with digests, for whom and by which tool.
"""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who is to have the copy, as it is burned in. ``id``: of the copy, by which it is found."""

    id: str
    name: str
    username: str
    department: str
    address: str
    at_us: int
    session: str
    grants: tuple[str, ...]
    reason: str

    def as_facts(self) -> dict[str, Any]:
        """Give what the record of a copy says of its making."""
        return {
            "made_at": iso(self.at_us),
            "made_for": {
                "name": self.name,
                "username": self.username,
                "department": self.department,
                "address": self.address,
            },
            "reason": self.reason,
            "grants": list(self.grants),
        }

    @property
    def mark(self) -> str:
        """What is repeated over the picture."""
        who = " ".join(filter(None, (self.name, self.department, self.address)))
        return f"{who}  {iso(self.at_us)[:19]}  {self.id}"

    def caption(self, label: str) -> tuple[str, ...]:
        """What stands below the picture of one camera."""
        grants = " ".join(self.grants) or "-"
        person = f"{self.name} ({self.username})"
        at = f"{iso(self.at_us)[:19]}+08:00"
        who = (person, self.department or "-", self.address or "-", at)
        return (
            f"水印复制件 {self.id}   调阅登记 {grants}   场次 {self.session}   {label}",
            "   ".join(who),
        )


def filmed(share: Share) -> list[StreamShare]:
    """Give the streams of which films can be made, main ones first: of a camera the first that has
    footage will do.

    Raises ``InvalidInput`` if there is none: sound alone bears no watermark.
    """
    seen = [s for s in share.streams if Medium.PICTURE in s.permissions]
    if not seen:
        raise InvalidInput(
            "A watermarked copy needs a picture, and none of this may be copied.",
            fields={"form": "needs the picture of a camera"},
        )
    return sorted(seen, key=lambda stream: stream.view.role != StreamRole.MAIN)


@dataclass(frozen=True, slots=True)
class _Plain:
    """A camera's footage as one film, before it is marked."""

    stream: StreamShare
    chosen: Sequence[Selected]
    clip: ClipReport


@dataclass
class FilmMaker:
    """Makes the films of one copy. ``on_pictures`` hears how many are done, of how many."""

    database: Database
    footage: Reader
    folder: Path
    recipient: Recipient
    on_pictures: Callable[[int, int], None]
    _films: list[dict[str, Any]] = field(default_factory=list)

    def make(self, share: Share, target: Path) -> Made:
        """Write the films and their record as one zip.

        Raises ``NotFound`` and ``DamageFound`` as clips do, ``StorageFull``, and whatever
        ``on_pictures`` raises.
        """
        with workshop(self.folder):
            plain = list(self._plain(share))
            if not plain:
                raise NotFound("Nothing of this was recorded with a picture.")
            total = sum(one.clip.frames for one in plain)
            done = 0
            for one in plain:
                self._film(one, done, total)
                done += one.clip.frames
            return self._packed(share, target)

    def _plain(self, share: Share) -> Iterator[_Plain]:
        """Write each camera's film without a mark: what was recorded, in one file."""
        tables = Tables(self.database, self.footage)
        cameras: set[str] = set()
        for stream in filmed(share):
            view = stream.view
            chosen = select_stream(
                *(self.database, tables, view.stream_id), share.window, stream.permissions
            )
            if view.camera_id in cameras or not any(part.pieces for part in chosen):
                continue
            cameras.add(view.camera_id)
            name = f"{len(cameras):02d} {file_name(f'{view.room} {view.camera}')}.plain.mp4"
            init = init_reader(self.database)
            clip = write_clip(self.footage, chosen, init, self.folder / name)
            yield _Plain(stream, chosen, clip)

    def _film(self, plain: _Plain, before: int, total: int) -> None:
        view, clip = plain.stream.view, plain.clip
        name = clip.path.name.replace(".plain.mp4", ".mp4")
        label = f"{view.room} {view.camera} {view.role.zh}"
        order = BurnOrder(
            *(str(clip.path), str(self.folder / name)),
            *(self.recipient.mark, self.recipient.caption(label)),
        )
        self.on_pictures(before, total)
        burn_in(order, lambda done: self.on_pictures(before + done, total))
        clip.path.unlink()
        film = self.folder / name
        with film.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._films.append(
            {
                "name": name,
                "bytes": film.stat().st_size,
                "sha256": digest,
                "pictures": clip.frames,
                "stream": view.stream_id,
                "role": view.role,
                "camera": view.camera,
                "room": view.room,
                "media": sorted(str(medium) for medium in plain.stream.permissions),
                "made_from": {
                    "copied_sha256": clip.sha256,
                    "segments": sources_of(plain.chosen),
                },
            }
        )

    def _packed(self, share: Share, target: Path) -> Made:
        who = self.recipient
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "kind": KIND,
            "id": who.id,
            "session": who.session,
            "from": iso(share.window.start),
            "to": iso(share.window.end),
            **who.as_facts(),
            "mark": who.mark,
            "tool": {
                "bidwitness": __version__,
                "pyav": av.__version__,
                "encoder": f"{ENCODER} {' '.join(f'{k}={v}' for k, v in OPTIONS.items())}",
                "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
            },
            "files": self._films,
        }
        files = [self.folder / film["name"] for film in self._films]
        return pack(target, files, (RECORD, record), _WORDS)

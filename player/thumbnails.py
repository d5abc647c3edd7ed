"""Thumbnails: small pictures of key frames on sheets, made once, shown as far as a viewing may.

A sheet shows a session's own footage only. A viewing may be narrower, so the sheet that leaves
holds those pictures alone that the same viewing would get as entries; the others are blank.
Cells are whole coding blocks of unsubsampled JPEG: nothing of a blank one bleeds into the next.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bidwitness.access import Ground
from bidwitness.errors import DamageFound, NotFound
from bidwitness.intervals import Interval, union
from bidwitness.player.pictures import Image, as_image, decode_picture
from bidwitness.player.pieces import Permitted
from bidwitness.player.playbacks import claimed_window, view_of
from bidwitness.player.rights import Permission, claimed_by
from bidwitness.player.segments import SeenPiece
from bidwitness.player.selection import Selected, select_stream
from bidwitness.player.tables import Reader, Tables
from bidwitness.storage.derivatives import THUMBNAILS
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Derivative, Init
from bidwitness.storage.media.boxes import one_track_init
from bidwitness.words import ClaimClass, Medium

WIDTH, MAX_HEIGHT, BLOCK = 160, 160, 8
COLUMNS, PER_SHEET = 10, 100
# Steps that people count in; the smallest that keeps a session's pictures few enough.
STEPS_S = (1, 2, 5, 10, 20, 30, 60)
MOST = 2880
SECOND = 1_000_000
QUALITY = 70
EXPIRY_US = 90 * 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a sheet: its instant (µs UTC) and the fragment it was made from."""

    at_us: int
    run: str
    run_seq: int
    ordinal: int

    def as_list(self) -> list[int | str]:
        return [self.at_us, self.run, self.run_seq, self.ordinal]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet as it was made, row by row from the upper left."""

    interval: Interval
    tiles: tuple[Tile, ...]
    width: int
    height: int
    data: bytes


def tiles_of(row: Derivative) -> tuple[Tile, ...]:
    """Read a sheet's tiles from its row."""
    return tuple(Tile(*item) for item in row.recipe["tiles"])


def step_us(length_us: int) -> int:
    """Give the distance of a session's thumbnails in µs. Pure."""
    seconds = next((s for s in STEPS_S if length_us <= s * SECOND * MOST), STEPS_S[-1])
    return seconds * SECOND


def own_footage(database: Database, session_id: str, stream_id: str) -> tuple[Interval, Permission]:
    """Give the time a session claims of a stream, and what of it is nobody else's.

    Raises ``NotFound`` if it claims nothing of it, or claims without an end.
    """
    with database.read() as orm:
        window, streams = claimed_window(orm, session_id, None, None)
        if stream_id not in streams:
            raise NotFound("The session claims nothing of this stream.")
        view = view_of(orm, stream_id, window)
    spans = claimed_by(view, session_id)
    others = union(
        concern.interval
        for concern in view.concerns
        if concern.klass == ClaimClass.OWN and concern.session_id != session_id
    )
    whole = Interval(spans[0].start, spans[-1].end)
    return whole, Permission(tuple(spans), tuple(others), Ground.ROLE, True)


class SheetMaker:
    """Makes the sheets of one stream of a session, one after another."""

    def __init__(
        self, database: Database, footage: Reader, stream_id: str, permission: Permission
    ) -> None:
        self._database = database
        self._footage = footage
        self._stream_id = stream_id
        self._permission = permission
        self._tables = Tables(database, footage)
        self._inits: dict[str, bytes] = {}
        self._height = 0

    def sheet(self, interval: Interval, step: int) -> Sheet | None:
        """Make the sheet of a time; nothing if there is no picture in it.

        A picture that cannot be read or decoded is left out. Raises ``StoreError``.
        """
        chosen = select_stream(
            self._database,
            self._tables,
            self._stream_id,
            interval,
            {Medium.PICTURE: self._permission},
        )
        tiles: list[Tile] = []
        images: list[Image] = []
        for part, piece in _one_a_step(chosen, interval, step):
            try:
                images.append(self._picture(part, piece))
            except (DamageFound, NotFound):
                continue
            place = piece.fragment.ordinal
            tiles.append(Tile(piece.start, part.held.run, part.held.run_seq, place))
        if not tiles:
            return None
        data = _encode(_laid_out(images, self._height))
        return Sheet(interval, tuple(tiles), WIDTH, self._height, data)

    def _picture(self, part: Selected, piece: SeenPiece) -> Image:
        data = self._footage.read(part.row, piece.fragment.offset, piece.fragment.size)
        frame = decode_picture(self._init(part) + data, lambda frame: bool(frame.key_frame))
        if not self._height:
            rows = round(WIDTH * frame.height / frame.width / BLOCK)
            self._height = min(MAX_HEIGHT, max(BLOCK, rows * BLOCK))
        return as_image(frame, WIDTH, self._height)

    def _init(self, part: Selected) -> bytes:
        held = part.held
        if held.init not in self._inits:
            with self._database.read() as orm:
                row = orm.get(Init, held.init)
            track = held.track(Medium.PICTURE)
            if row is None or track is None:
                raise DamageFound(f"The init {held.init} is not in the index.")
            self._inits[held.init] = one_track_init(row.body, track)
        return self._inits[held.init]


def _one_a_step(
    chosen: Sequence[Selected], interval: Interval, step: int
) -> Iterator[tuple[Selected, SeenPiece]]:
    """Give the first key frame of each step of the interval."""
    last = -1
    for part in chosen:
        for piece in part.pieces:
            slot = (piece.start - interval.start) // step
            if piece.key and interval.contains(piece.start) and slot > last:
                last = slot
                yield part, piece


def _laid_out(images: Sequence[Image], height: int) -> Image:
    rows = -(-len(images) // COLUMNS)
    sheet = np.zeros((rows * height, min(COLUMNS, len(images)) * WIDTH, 3), np.uint8)
    for place, image in enumerate(images):
        y, x = place // COLUMNS * height, place % COLUMNS * WIDTH
        sheet[y : y + height, x : x + WIDTH] = image
    return sheet


def _encode(sheet: Image) -> bytes:
    options = (cv2.IMWRITE_JPEG_QUALITY, QUALITY)
    whole = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    done, data = cv2.imencode(".jpg", sheet, [*options, *whole])
    assert done, "an array of bytes is always a picture"
    return data.tobytes()


def write_sheet(folder: Path, name: str, sheet: Sheet) -> None:
    """Write a sheet's file whole or not at all. Raises ``OSError``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f"{name}.part"
    try:
        partial.write_bytes(sheet.data)
        partial.replace(folder / name)
    finally:
        partial.unlink(missing_ok=True)


def row_of(sheet: Sheet, name: str, step: int, now_us: int) -> Derivative:
    """Give a sheet's row; session, stream and maker are the job's to add."""
    return Derivative(
        kind=THUMBNAILS,
        from_us=sheet.interval.start,
        to_us=sheet.interval.end,
        recipe={
            "cell": [sheet.width, sheet.height],
            "columns": COLUMNS,
            "step_us": step,
            "tiles": [tile.as_list() for tile in sheet.tiles],
        },
        path=name,
        bytes=len(sheet.data),
        sha256=hashlib.sha256(sheet.data).hexdigest(),
        made_us=now_us,
        expires_us=now_us + EXPIRY_US,
    )


def shown_tiles(row: Derivative, permitted: Permitted) -> list[Tile | None]:
    """Give a sheet's tiles in their places; nothing in place of one that may not be shown."""
    return [
        tile if permitted.allows(tile.run, tile.run_seq, tile.ordinal) else None
        for tile in tiles_of(row)
    ]


def shown_sheet(folder: Path, row: Derivative, tiles: Sequence[Tile | None]) -> bytes:
    """Give a sheet's JPEG with the given tiles alone.

    Raises ``NotFound`` if none is left or the file is gone, ``DamageFound`` if it was changed.
    """
    if not any(tiles):
        raise NotFound("There is no such sheet.")
    try:
        data = (folder / str(row.path)).read_bytes()
    except FileNotFoundError:
        raise NotFound("There is no such sheet.") from None
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise DamageFound(f"The sheet {row.id} is not what was made.")
    if all(tiles):
        return data
    return _blanked(data, row.recipe, tiles)


def _blanked(data: bytes, recipe: dict[str, Any], tiles: Sequence[Tile | None]) -> bytes:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None, "its digest is right"
    sheet = np.array(decoded, np.uint8)
    width, height = recipe["cell"]
    for place, tile in enumerate(tiles):
        if tile is None:
            y, x = place // recipe["columns"] * height, place % recipe["columns"] * width
            sheet[y : y + height, x : x + width] = 0
    return _encode(sheet)

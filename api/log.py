"""The site's log as files for everybody, as C2SP's tlog-tiles wants them read."""

import re
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response

from bidwitness.api.deps import TheSettings
from bidwitness.api.openapi import gives
from bidwitness.errors import NotFound
from bidwitness.storage.ledger.shard import COSIGNED, COSIGNING
from bidwitness.storage.ledger.tiles import CHECKPOINT, is_tile_path

router = APIRouter(prefix="/log", tags=["log"])

_SHARD = re.compile(r"[0-9]{4}(?:-[0-9]{1,10}){0,2}", re.ASCII)


@router.get("/{shard}/checkpoint", response_class=Response, responses=gives("text/plain"))
def checkpoint(shard: str, settings: TheSettings) -> Response:
    """The signed head of a shard of the log, which is named by its year, with the cosignatures of
    witnesses that it has by now."""
    data = _read(settings.log, shard, CHECKPOINT)
    try:
        more = _read(settings.log, shard, COSIGNING)
    except NotFound:
        return _note(data)
    # Both are the same note, or the cosignatures are of one before.
    return _note(more if more.startswith(data) else data)


@router.get("/{shard}/cosigned", response_class=Response, responses=gives("text/plain"))
def cosigned(shard: str, settings: TheSettings) -> Response:
    """The newest head of a shard that enough witnesses have cosigned."""
    return _note(_read(settings.log, shard, COSIGNED))


@router.get(
    "/{shard}/tile/{path:path}",
    response_class=Response,
    responses=gives("application/octet-stream"),
)
def tile(shard: str, path: str, settings: TheSettings) -> Response:
    """A tile of hashes, or a bundle of entries (``entries/…``)."""
    if not is_tile_path(f"tile/{path}"):
        raise NotFound("There is no such tile.")
    data = _read(settings.log, shard, f"tile/{path}")
    return Response(data, media_type="application/octet-stream")


def _note(data: bytes) -> Response:
    # It is another one a second later.
    return Response(
        data, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-store"}
    )


def _read(log: Path, shard: str, name: str) -> bytes:
    if not _SHARD.fullmatch(shard):
        raise NotFound("There is no such log.")
    try:
        return (log / shard / name).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise NotFound("The log has nothing of this name.") from None

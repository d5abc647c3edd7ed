"""The wanted state as JSON: saved on disk for when the index is away, and sent to workers.

Passwords stay sealed in it.
"""

import json
import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bidwitness.errors import DamageFound
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import StreamRole

log = logging.getLogger(__name__)

_VERSION = 1


def encode_wanted(streams: Sequence[WantedStream]) -> str:
    """Give one line (without its end)."""
    items = []
    for stream in streams:
        item = asdict(stream)
        item["secret"] = None if stream.secret is None else b64encode(stream.secret).decode()
        items.append(item)
    return json.dumps({"v": _VERSION, "streams": items}, ensure_ascii=False)


def decode_wanted(text: str) -> tuple[WantedStream, ...]:
    """Read what ``encode_wanted`` gave. Raises ``DamageFound`` for anything else."""
    try:
        found = json.loads(text)
        if found["v"] != _VERSION:
            raise DamageFound(
                "The copy of the wanted state has a version this program cannot read."
            )
        return tuple(_stream(item) for item in found["streams"])
    except (ValueError, TypeError, KeyError) as error:
        raise DamageFound(f"The copy of the wanted state is broken: {error}") from None


def _stream(item: dict[str, object]) -> WantedStream:
    facts = dict(item)
    secret, cuts, classified = (facts.pop(name) for name in ("secret", "cuts", "classified"))
    if not isinstance(cuts, list) or not isinstance(classified, list):
        raise TypeError("cuts and classified are lists")
    return WantedStream(
        secret=None if secret is None else b64decode(str(secret), validate=True),
        cuts=tuple(int(cut) for cut in cuts),
        classified=tuple((int(start), int(end)) for start, end in classified),
        role=StreamRole(str(facts.pop("role"))),
        **facts,  # type: ignore[arg-type]  # a name that does not fit raises TypeError
    )


def save_wanted(path: Path, streams: Sequence[WantedStream]) -> None:
    """Replace the copy on disk, durably. A disk that takes none is logged: what is wanted now
    counts for more than its copy."""
    try:
        _save(path, encode_wanted(streams))
    except OSError as error:
        log.error("the wanted state has no copy on disk", extra={"facts": {"error": str(error)}})


def _save(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_wanted(path: Path) -> tuple[WantedStream, ...] | None:
    """Give the copy on disk; None if there is none. Raises ``DamageFound`` if it is broken."""
    try:
        return decode_wanted(path.read_text())
    except FileNotFoundError:
        return None

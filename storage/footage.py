"""The one seam to the bytes of closed segments: the spool of this machine first, then the store.

What is still being written is read from the spool alone (``storage.spool.reading``).
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import DamageFound, FootageLost, NotFound
from bidwitness.storage.index.models import Segment
from bidwitness.storage.spool.reading import read_range
from bidwitness.storage.store import Retrying, Store, open_store
from bidwitness.storage.store.base import digest_of

log = logging.getLogger(__name__)

CHUNK = 1 << 20


class Footage:
    """Reads segments. ``spool`` is this machine's volume, ``store`` where they are kept for good."""

    def __init__(self, spool: Path, store: Store) -> None:
        self._spool = spool
        self._store = store

    def read(self, segment: Segment, offset: int, length: int) -> bytes:
        """Give exactly ``length`` bytes of a segment's file from ``offset``.

        Raises ``NotFound`` if the footage has been removed or lies on another recorder only,
        ``DamageFound`` if it is not whole, ``StoreError`` if the store does not answer.
        """
        if length == 0:
            return b""
        found = self._from_spool(segment, offset, length)
        if found is not None:
            return found
        key, version = self._stored_at(segment)
        try:
            data = self._store.read(key, version, offset, length)
        except NotFound:
            raise _lost(segment) from None
        if len(data) != length:
            raise _short(segment)
        return data

    def open_stream(self, segment: Segment) -> Iterator[bytes]:
        """Give the whole file of a segment in pieces. Raises as ``read`` does, at any piece."""
        offset = 0
        while offset < segment.bytes:
            piece = self._from_spool(segment, offset, min(CHUNK, segment.bytes - offset))
            if piece is None:
                yield from self._from_store(segment, offset)
                return
            yield piece
            offset += len(piece)

    def verify(self, segment: Segment) -> None:
        """Read all of a segment's file and compare its SHA-256. Raises as ``read`` does."""
        if digest_of(self.open_stream(segment)) != (segment.sha256, segment.bytes):
            raise _differs(segment)

    def verify_stored(self, segment: Segment) -> None:
        """Read the store's version, whatever the spool has, and compare its SHA-256.

        Raises ``NotFound`` if it was never stored, ``DamageFound`` if the store lost or changed it.
        """
        if digest_of(self._from_store(segment, 0)) != (segment.sha256, segment.bytes):
            raise _differs(segment)

    def _from_spool(self, segment: Segment, offset: int, length: int) -> bytes | None:
        """Give the bytes, or nothing if the store has to be asked.

        Raises ``DamageFound`` if the spool's file is not whole and the store has no copy.
        """
        if segment.spool_path is None or segment.removed_us is not None:
            return None
        try:
            return read_range(self._spool, segment.spool_path, offset, length)
        except NotFound:
            return None
        except (DamageFound, OSError) as error:
            facts = {"segment": segment.id, "why": str(error)}
            log.error("a segment in the spool cannot be read", extra={"facts": facts})
            if segment.store_version is None:
                raise DamageFound(
                    f"Segment {segment.id} cannot be read from the spool and is not stored yet."
                ) from error
            return None

    def _from_store(self, segment: Segment, offset: int) -> Iterator[bytes]:
        key, version = self._stored_at(segment)
        left = segment.bytes - offset
        try:
            for piece in self._store.stream(key, version, offset):
                left -= len(piece)
                yield piece
        except NotFound:
            raise _lost(segment) from None
        if left != 0:
            raise _short(segment)

    def _stored_at(self, segment: Segment) -> tuple[str, str]:
        if segment.removed_us is not None:
            raise NotFound(f"The footage of segment {segment.id} has been removed.")
        if segment.store_key is None or segment.store_version is None:
            raise NotFound(
                f"Segment {segment.id} is not stored yet and not in the spool of this machine: "
                f"it lies on {segment.recorder}."
            )
        return segment.store_key, segment.store_version


def open_footage(settings: Settings, clock: Clock) -> Footage:
    """Give the footage of this installation. Connects at first use."""
    return Footage(settings.spool, Retrying(open_store(settings), clock))


def _lost(segment: Segment) -> FootageLost:
    return FootageLost(f"The store no longer holds segment {segment.id} ({segment.store_key}).")


def _short(segment: Segment) -> DamageFound:
    return DamageFound(f"The store's copy of segment {segment.id} is not as long as it was.")


def _differs(segment: Segment) -> DamageFound:
    return DamageFound(f"The bytes of segment {segment.id} are not those that were recorded.")

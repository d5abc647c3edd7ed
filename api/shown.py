"""What displays showed, written down: one entry a display and minute, for all of its pictures."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bidwitness.api.deps import Parts, ThePartsOf
from bidwitness.storage.displays import who_of
from bidwitness.storage.index.audit import leave_audit_entry
from bidwitness.storage.index.models import Display
from bidwitness.words import Medium

SHOWED = "display.showed"
MINUTE_US = 60_000_000
_making = threading.Lock()


@dataclass
class _Minute:
    """What one display has shown since its last entry. Names are user names."""

    from_us: int
    to_us: int
    streams: dict[str, set[str]] = field(default_factory=dict)
    on_duty: set[str] = field(default_factory=set)
    signed_in: set[str] = field(default_factory=set)

    @property
    def facts(self) -> dict[str, object]:
        return {
            "medium": Medium.PICTURE,
            "from_us": self.from_us,
            "to_us": self.to_us,
            # By stream: who of those on duty was on duty for it.
            "streams": {stream: sorted(names) for stream, names in sorted(self.streams.items())},
            "on_duty": sorted(self.on_duty),
            "signed_in": sorted(self.signed_in),
        }


class Shown:
    """Gathers what displays show. One for the whole process."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.Lock()
        self._minutes: dict[str, _Minute] = {}
        self._open: dict[str, int] = {}

    def opened(self, display_id: str) -> None:
        """Another of a display's pictures has begun."""
        with self._lock:
            self._open[display_id] = self._open.get(display_id, 0) + 1

    def note(
        self,
        row: Display,
        stream_id: str,
        for_it: Iterable[str],
        on_duty: Iterable[str],
        signed_in: Iterable[str],
    ) -> None:
        """Note that a picture is shown now: who is on duty for it, who at all, who is signed in.

        Writes the entry of the minute before, once there is one.
        """
        now = self._parts.clock.utc_us()
        done: _Minute | None = None
        with self._lock:
            minute = self._minutes.get(row.id)
            if minute is not None and now // MINUTE_US != minute.from_us // MINUTE_US:
                done, minute = minute, None
            if minute is None:
                minute = self._minutes[row.id] = _Minute(now, now)
            minute.to_us = max(minute.to_us, now)
            minute.streams.setdefault(stream_id, set()).update(for_it)
            minute.on_duty.update(on_duty)
            minute.signed_in.update(signed_in)
        self._write(row, done)

    def closed(self, row: Display) -> None:
        """One of a display's pictures has ended; with the last one, what is left is written."""
        with self._lock:
            left = self._open.get(row.id, 1) - 1
            self._open[row.id] = left
            done = None
            if left <= 0:
                del self._open[row.id]
                done = self._minutes.pop(row.id, None)
        self._write(row, done)

    def _write(self, row: Display, minute: _Minute | None) -> None:
        if minute is None:
            return
        with self._parts.database.write() as orm:
            leave_audit_entry(
                orm,
                who_of(row, row.seen_from),
                SHOWED,
                f"display:{row.id}",
                self._parts.clock.utc_us(),
                facts=minute.facts,
            )


def shown_of(connection: HTTPConnection, parts: ThePartsOf) -> Shown:
    state = connection.app.state
    with _making:
        if not hasattr(state, "shown"):
            state.shown = Shown(parts)
    shown = state.shown
    assert isinstance(shown, Shown)
    return shown


TheShown = Annotated[Shown, Depends(shown_of)]

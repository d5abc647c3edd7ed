"""Intervals without footage, from where it ends to where it goes on. Pure."""

from bidwitness.recorder.values import ALL, SOUND, GapNote
from bidwitness.storage.spool.blob import US
from bidwitness.words import GapCause

# A long gap is stated in pieces, so that a crash of the recorder does not swallow its cause.
SLICE_US = 600 * US
# What a failed attempt to connect does not explain away: the interval before it keeps its cause.
_OWN = (
    *(GapCause.RECORDER_DOWN, GapCause.DISK, GapCause.WRITER, GapCause.CLOCK),
    GapCause.CLASSIFIED,
)

# Sound that comes this much late is not missing.
SILENCE_US = 2 * US


class Silence:
    """Knows since when sound that is wanted has not come. ``silent``: it has been stated."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._until_us = 0
        self.silent = False

    def begin(self, at_us: int) -> None:
        """Before ``at_us`` nothing was to be heard."""
        self._until_us = max(self._until_us, at_us)

    def heard(self, until_us: int) -> None:
        """Sound has come up to an instant."""
        self._until_us = max(self._until_us, until_us)
        self.silent = False

    def before(self, at_us: int) -> GapNote | None:
        """State what is missing up to ``at_us``: at the sound's return, and at a segment's end."""
        since = self._until_us
        if not self._wanted or at_us - since <= (0 if self.silent else SILENCE_US):
            return None
        self._until_us = at_us
        self.silent = True
        return GapNote(GapCause.NO_AUDIO, SOUND, since, at_us)


class GapKeeper:
    """Knows whether footage is missing at present, since when and why."""

    def __init__(self) -> None:
        self.cause: GapCause | None = None
        self.since_us = 0
        self.detail: str | None = None

    def ended(self, at_us: int, cause: GapCause, detail: str | None = None) -> None:
        """Footage has ended at ``at_us``. What was already missing keeps its beginning."""
        if self.cause is None:
            self.since_us = at_us
            self.cause, self.detail = cause, detail

    def reaches_back(self, kept_until_us: int | None) -> None:
        """What was written after that lies where it cannot be read: it is missing too."""
        if self.cause is not None and kept_until_us is not None:
            self.since_us = min(self.since_us, kept_until_us)

    def turned(self, at_us: int, cause: GapCause) -> GapNote | None:
        """From ``at_us`` on it is missing for another cause; give what was missing before."""
        if self.cause in (None, cause):
            self.ended(at_us, cause)
            return None
        note = self._note(at_us)
        self.since_us = max(self.since_us, at_us)
        self.cause, self.detail = cause, None
        return note

    def explained(self, cause: GapCause) -> None:
        """The new connection shows why the old one ended."""
        if self.cause in (GapCause.NETWORK, GapCause.STALL):
            self.cause = cause

    def stepped_back(self, by_us: int) -> None:
        """The clock was set back: what is missing now began so much earlier by the new clock."""
        self.since_us -= by_us

    def not_connected(self, now_us: int, detail: str) -> GapNote | None:
        """An attempt has failed. From now on, or from where it broke off, it is ``offline``."""
        note = None
        if self.cause is None:
            self.since_us = now_us
        elif self.cause in _OWN:
            note = self._note(now_us)
            self.since_us = max(now_us, self.since_us)
        self.cause, self.detail = GapCause.OFFLINE, detail
        return note

    def tick(self, now_us: int) -> GapNote | None:
        """State what a long gap has come to so far."""
        if self.cause is None or now_us - self.since_us < SLICE_US:
            return None
        note = self._note(now_us)
        self.since_us = now_us
        return note

    def resumed(self, at_us: int) -> GapNote | None:
        """Footage goes on at ``at_us``; give the gap, if anything was missing."""
        note = self._note(at_us)
        self.cause = self.detail = None
        return note

    def _note(self, until_us: int) -> GapNote | None:
        if self.cause is None or until_us <= self.since_us:
            return None
        return GapNote(self.cause, ALL, self.since_us, until_us, self.detail)

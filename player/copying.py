"""While a copy is made: how far it is, whether it was cancelled, whether it may still be had."""

from collections.abc import Callable

from bidwitness.errors import Forbidden
from bidwitness.player.export import ExportWish, Share, share_of, still_covers
from bidwitness.storage.jobs import JobRun

PROGRESS_BYTES = 32 * 1024 * 1024
# Its right is asked for as often as that of a live picture, its progress as often as a page asks.
RECHECK_US = 3_000_000
SAID_US = 1_000_000


class Watch:
    """Watches over one copy that is being made. What it raises ends the work."""

    def __init__(self, run: JobRun, wish: ExportWish, share: Share) -> None:
        self._run, self._wish = run, wish
        self._spans = {stream.view.stream_id: stream.spans() for stream in share.streams}
        self._asked = self._said = run.clock.monotonic_us()

    def check(self) -> None:
        """Raise ``Conflict`` if the job was cancelled, ``Forbidden`` if the right has ended."""
        self._run.check()
        with self._run.database.read() as orm:
            now = self._run.clock.utc_us()
            share = share_of(orm, str(self._run.payload["user_id"]), self._wish, now)
        if not still_covers(share, self._spans):
            raise Forbidden("The right to what is in this copy has ended while it was made.")

    def glance(self) -> None:
        """Do as ``check``, but every few seconds only, for who asks at every fragment."""
        now = self._run.clock.monotonic_us()
        if now - self._asked >= RECHECK_US:
            self._asked = now
            self.check()

    def progress(self, done: int, total: int) -> None:
        """Say how much is done. Raises as ``check`` does, which is asked every few seconds."""
        self.glance()
        self._run.progress(done, total)

    def seldom(self, done: int, total: int) -> None:
        """Do as ``progress``, once a second and in the end, for who tells it of every fragment."""
        now = self._run.clock.monotonic_us()
        if done >= total or now - self._said >= SAID_US:
            self._said = now
            self.progress(done, total)

    def counting(self, total: int) -> Callable[[int], None]:
        """Give what hears of each piece of bytes that was written."""
        done = said = 0

        def heard(count: int) -> None:
            nonlocal done, said
            done += count
            if done - said >= PROGRESS_BYTES:
                said = done
                self.progress(min(done, total), total)

        return heard

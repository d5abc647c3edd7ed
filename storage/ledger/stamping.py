"""Has time-stamping authorities stamp the log's checkpoints: hourly, and after each session's close.

Like the witnesses, beside the log: nothing waits for a stamp.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import BidWitnessError, IndexUnavailable, StorageFull, Unavailable
from bidwitness.storage.evidence.note import Note, write_note
from bidwitness.storage.evidence.policy import Policy
from bidwitness.storage.evidence.session_records import CloseFacts
from bidwitness.storage.evidence.stamps import TOKEN_SUFFIX
from bidwitness.storage.evidence.token import BadToken, read_token
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Outbox
from bidwitness.storage.ledger.authority import Authority
from bidwitness.storage.ledger.giving_up import shards_in_use
from bidwitness.storage.ledger.lacking import LackAlarm
from bidwitness.storage.ledger.shard import origin_of, read_head
from bidwitness.storage.ledger.stamped import stamp_folder, stamped_sizes
from bidwitness.storage.ledger.tiles import CHECKPOINT
from bidwitness.storage.ledger.trusted import read_trusted
from bidwitness.storage.ledger.witnessing import wait_s
from bidwitness.storage.spool.files import Files, replace_file

log = logging.getLogger(__name__)

MISSING = "stamps_missing"
HOUR_US = 3_600_000_000
MINUTE_US = 60_000_000
_SECOND = 1_000_000


def _asked(policy: Policy) -> list[str]:
    """Name the authorities that have an address."""
    return [name for name in policy.timestamps if name in policy.urls]


@dataclass
class _Last:
    """What an authority has stamped last of a shard, and how it goes with it."""

    size: int = 0
    at_us: int = 0
    failures: int = 0
    ask_after_us: int = 0
    why: str = ""


class Stamper:
    """Asks the authorities of the settings; one for a `keep`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        files: Files,
        authority: Authority | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._files = files
        self._authority = authority or Authority(clock)
        self._last: dict[tuple[str, str], _Last] = {}
        allowed_us = settings.timestamp_alarm_minutes * MINUTE_US
        self._alarm = LackAlarm(database, clock, MISSING, allowed_us)

    def stamp_due(self) -> int:
        """Have stamped what is due; give how many stamps there are more.

        Raises ``IndexUnavailable``, and ``StorageFull`` if the disk takes nothing; what else is
        wrong, the alarm says.
        """
        try:
            policy = read_trusted(self._settings.witnesses)
            shards = shards_in_use(self._database)
            done = sum(self._stamp(shard, policy) for shard in shards)
            self._alarm.tell(self._lack(policy, shards))
        except IndexUnavailable:
            raise
        except OSError as error:
            raise StorageFull(f"Time stamps cannot be written: {error.strerror}.") from error
        except BidWitnessError as error:
            self._alarm.say(error.detail)
            return 0
        return done

    def _stamp(self, shard: str, policy: Policy) -> int:
        found = read_head(self._folder(shard), origin_of(self._settings.site, shard))
        if found is None or found[0].size == 0:
            return 0
        now, done = self._clock.monotonic_us(), 0
        for name in _asked(policy):
            last = self._knows(shard, name)
            if last.ask_after_us <= now and self._is_due(shard, last, found[0].size):
                done += self._ask(shard, name, policy, found[0].size, found[1])
        return done

    def _is_due(self, shard: str, last: _Last, size: int) -> bool:
        """Say whether the log has grown for an hour, or has a session's close, since the last."""
        if size <= last.size:
            return False
        return self._clock.utc_us() - last.at_us >= HOUR_US or self._has_close(shard, last.size)

    def _has_close(self, shard: str, first: int) -> bool:
        query = select(Outbox.body).where(
            Outbox.shard == shard, Outbox.position >= first, Outbox.kind == "session"
        )
        with self._database.read() as orm:
            return any(body.get("record") == CloseFacts.T for body in orm.scalars(query))

    def _ask(self, shard: str, name: str, policy: Policy, size: int, note: Note) -> int:
        last = self._knows(shard, name)
        # The log's own signature and no more, so that it is the same bytes for every authority.
        message = write_note(note.text, note.signatures[:1])
        try:
            answer, token = self._authority.stamp(
                policy.urls[name], message, policy.timestamps[name]
            )
        except Unavailable as error:
            last.failures += 1
            last.ask_after_us = self._clock.monotonic_us() + wait_s(last.failures) * _SECOND
            last.why = error.detail
            if last.failures == 1:
                facts = {"authority": name, "why": error.detail}
                log.warning("a time stamp was not given", extra={"facts": facts})
            return 0
        folder = stamp_folder(self._folder(shard), size)
        self._files.make_dirs(folder)
        if not (folder / CHECKPOINT).exists():
            replace_file(self._files, folder / CHECKPOINT, message)
        replace_file(self._files, folder / f"{name}{TOKEN_SUFFIX}", answer)
        self._last[shard, name] = _Last(size, token.at)
        return 1

    def _knows(self, shard: str, name: str) -> _Last:
        if (shard, name) not in self._last:
            self._last[shard, name] = self._newest(shard, name)
        return self._last[shard, name]

    def _newest(self, shard: str, name: str) -> _Last:
        """Find the last stamp on the disk, for a process that has just begun."""
        for size in reversed(stamped_sizes(self._folder(shard))):
            path = stamp_folder(self._folder(shard), size) / f"{name}{TOKEN_SUFFIX}"
            try:
                return _Last(size, read_token(path.read_bytes()).at)
            except (FileNotFoundError, BadToken):
                continue
        return _Last()

    def _lack(self, policy: Policy, shards: Sequence[str]) -> str | None:
        """Say why nobody has stamped, if nobody has what is due."""
        why: list[str] = []
        for shard in shards:
            asked = {name: self._knows(shard, name) for name in _asked(policy)}
            if asked and all(last.failures for last in asked.values()):
                why = [f"{name} {last.why}" for name, last in asked.items()]
        return f"The log has had no time stamp: {'; '.join(why)}." if why else None

    def _folder(self, shard: str) -> Path:
        return self._settings.log / shard

"""Collects the cosignatures of other organisations for each checkpoint of the site's log.

Beside the log, never before it: a witness that is slow or away delays nothing. Only one that has
seen more of the log than there is here stops it, because to go on would be to sign two histories.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.config import Settings
from bidwitness.errors import (
    BidWitnessError,
    ConfigError,
    DamageFound,
    IndexUnavailable,
    StorageFull,
)
from bidwitness.storage.evidence.merkle import consistency_ranges
from bidwitness.storage.evidence.note import BadNote, Checkpoint, Note, NoteSignature, write_note
from bidwitness.storage.evidence.policy import NO_QUORUM, Policy
from bidwitness.storage.index.database import Database
from bidwitness.storage.ledger.asking import Answer, Asked, Asker, Cosigned, Failed, Refused, Stale
from bidwitness.storage.ledger.giving_up import shards_in_use
from bidwitness.storage.ledger.lacking import LackAlarm
from bidwitness.storage.ledger.roster import note_roster
from bidwitness.storage.ledger.shard import COSIGNED, COSIGNING, origin_of, read_head
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.ledger.trusted import read_trusted
from bidwitness.storage.spool.files import Files, replace_file

log = logging.getLogger(__name__)

MISSING = "witnesses_missing"
AT_ONCE = 8
FIRST_WAIT_S, LONGEST_WAIT_S = 5, 300
MINUTE_US = 60_000_000
WITNESS_WAY_OUT = (
    "Put the newest copy of the log's folder back, or begin a new one with `bidwitness "
    "new-log-shard`; if it is the witness that errs, take it out of BIDWITNESS_WITNESSES "
    "(docs/ledger.md)."
)


def wait_s(failures: int) -> int:
    """Give the seconds to leave a witness alone after so many failures: 5, 10, 20 … 300. Pure."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S << min(failures - 1, 10))


@dataclass
class _Known:
    """What is known of a witness about a shard. ``size``: what it cosigned last, as far as known."""

    size: int = 0
    failures: int = 0
    ask_after_us: int = 0
    why: str = ""
    refused: bool = False


@dataclass
class _Gathered:
    """The cosignatures of one checkpoint, by the witness's name in the settings."""

    text: str = ""
    found: dict[str, NoteSignature] = field(default_factory=dict)


class Witnesses:
    """Asks the witnesses of the settings; one for a `keep`."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        files: Files,
        asker: Asker | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock
        self._files = files
        self._asker = asker or Asker(clock)
        # Two threads come here: the log's before its first entry, and the witnesses' own.
        self._guard = threading.Lock()
        self._known: dict[tuple[str, str], _Known] = {}
        self._gathered: dict[str, _Gathered] = {}
        self._asked: set[str] = set()
        allowed_us = settings.witness_alarm_minutes * MINUTE_US
        self._alarm = LackAlarm(database, clock, MISSING, allowed_us)
        self._noted: Policy | None = None

    def ask_all(self) -> int:
        """Ask whoever is to be asked about every shard; give how many have answered.

        Raises ``IndexUnavailable``, and ``StorageFull`` if the disk takes nothing; what else is
        wrong, the alarm says.
        """
        try:
            policy = read_trusted(self._settings.witnesses)
            self._note_roster(policy)
            shards = shards_in_use(self._database)
            done = sum(self._ask_about(shard, policy) for shard in shards)
            lacking = [shard for shard in shards if not self._enough(shard, policy)]
            self._alarm.tell(self._lack(policy, lacking))
        except IndexUnavailable:
            raise
        except OSError as error:
            raise StorageFull(f"Cosignatures cannot be written: {error.strerror}.") from error
        except (BidWitnessError, BadNote) as error:
            self._alarm.say(str(error))
            return 0
        return done

    def _note_roster(self, policy: Policy) -> None:
        """Have a change of the settings logged, once."""
        if policy != self._noted:
            with self._database.write() as orm:
                note_roster(orm, policy, self._clock.utc_us())
            self._noted = policy

    def confirm(self, shard: str) -> None:
        """Ask before the first entry whether anybody has seen more of the log than is here.

        Later it only remembers. Raises ``DamageFound`` if so.
        """
        try:
            policy = read_trusted(self._settings.witnesses)
        except ConfigError:
            return  # told by the alarm; a slip in that file must not stop the log
        if shard not in self._asked:
            self._ask_about(shard, policy, anew=True)
            self._asked.add(shard)
        self._heed(shard, policy)

    def survey(self, shard: str) -> dict[str, str]:
        """Ask every witness about a shard; give what came of each: nothing where it cosigned.

        Raises ``DamageFound`` if one has seen more, ``ConfigError`` if the settings are wrong.
        """
        policy = read_trusted(self._settings.witnesses)
        self._ask_about(shard, policy, anew=True)
        self._heed(shard, policy)
        return {
            name: known.why if (known := self._knows(shard, name)).failures else ""
            for name in policy.witnesses
        }

    def _heed(self, shard: str, policy: Policy) -> None:
        for name in policy.witnesses:
            known = self._known.get((shard, name))
            if known is not None and known.refused:
                raise DamageFound(f"The witness {name} {known.why}. {WITNESS_WAY_OUT}")

    def _ask_about(self, shard: str, policy: Policy, *, anew: bool = False) -> int:
        """Ask about a shard's present checkpoint whoever has not cosigned it yet.

        ``anew``: whoever has, too: what was gathered may come from the same old copy as the log.
        """
        if not policy.witnesses:
            return 0
        with self._guard:
            found = read_head(self._folder(shard), origin_of(self._settings.site, shard))
            if found is None or found[0].size == 0:
                return 0
            checkpoint, note = found
            gathered = self._of(shard, note, policy)
            now = self._clock.monotonic_us()
            due = [
                Asked(name, key, policy.urls[name])
                for name, key in policy.witnesses.items()
                if (anew or name not in gathered.found)
                and self._knows(shard, name).ask_after_us <= now
            ]
            if not due:
                return 0
            tiles = Tiles(self._folder(shard), checkpoint.size)
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="witness") as pool:
                asked = {
                    pool.submit(self._ask, shard, w, checkpoint, note, tiles): w.name for w in due
                }
                for future in as_completed(asked):
                    self._take(shard, asked[future], future.result(), checkpoint, gathered)
            return self._keep(shard, note, gathered, policy)

    def _ask(
        self, shard: str, witness: Asked, head: Checkpoint, note: Note, tiles: Tiles
    ) -> Answer:
        """Ask a witness, a second time if it has cosigned another size than was thought."""
        old = min(self._knows(shard, witness.name).size, head.size)
        answer = self._asker.ask(witness, old, _proof(tiles, old, head.size), note)
        if isinstance(answer, Stale) and answer.size <= head.size:
            old = answer.size
            answer = self._asker.ask(witness, old, _proof(tiles, old, head.size), note)
        return answer

    def _take(
        self, shard: str, name: str, answer: Answer, head: Checkpoint, gathered: _Gathered
    ) -> None:
        known = self._knows(shard, name)
        if isinstance(answer, Cosigned):
            gathered.found[name] = answer.signature
            self._known[shard, name] = _Known(size=head.size)
            return
        known.failures += 1
        known.ask_after_us = self._clock.monotonic_us() + wait_s(known.failures) * 1_000_000
        if known.refused and isinstance(answer, Failed):
            return  # it has said what it has said, until it cosigns again
        known.refused = isinstance(answer, Refused)
        if isinstance(answer, Stale) and answer.size > head.size:
            known.refused = True
            known.why = (
                f"has cosigned {answer.size} entries of the log {shard}, and {head.size} are here: "
                "it is an old copy, and to go on would contradict what was signed"
            )
        elif isinstance(answer, Refused | Failed):
            known.why = answer.why
        else:
            known.why = "changes its mind about what it has cosigned"
        if known.refused:
            gathered.found.pop(name, None)  # so that it is asked again
        if known.failures == 1 or known.refused:
            facts = {"witness": name, "why": known.why}
            log.warning("a witness has not cosigned", extra={"facts": facts})

    def _of(self, shard: str, note: Note, policy: Policy) -> _Gathered:
        """Give what is gathered for a checkpoint, from the disk if this process has just begun."""
        present = self._gathered.get(shard)
        if present is None:
            kept = self._kept(shard, COSIGNING)
            present = _Gathered()
            if kept is not None:
                present = _Gathered(kept[1].text, _cosignatures(kept[1], policy))
        if present.text != note.text:
            present = _Gathered(note.text)
        present.found = {n: s for n, s in present.found.items() if n in policy.witnesses}
        self._gathered[shard] = present
        return present

    def _kept(self, shard: str, name: str) -> tuple[Checkpoint, Note] | None:
        """Read what was gathered. A file that is damaged is gathered anew: it is only a copy."""
        try:
            return read_head(self._folder(shard), origin_of(self._settings.site, shard), name)
        except DamageFound:
            return None

    def _keep(self, shard: str, note: Note, gathered: _Gathered, policy: Policy) -> int:
        """Write down what was gathered; what is enough, under the name that packages read."""
        if not gathered.found:
            return 0
        data = write_note(note.text, [*note.signatures, *gathered.found.values()])
        names = [COSIGNING, COSIGNED] if policy.enough(gathered.found) else [COSIGNING]
        for name in names:
            replace_file(self._files, self._folder(shard) / name, data)
        return len(gathered.found)

    def _enough(self, shard: str, policy: Policy) -> bool:
        """Say whether a shard's present checkpoint is cosigned by a quorum."""
        origin = origin_of(self._settings.site, shard)
        head = read_head(self._folder(shard), origin)
        if head is None or policy.quorum == NO_QUORUM:
            return True
        kept = self._kept(shard, COSIGNED)
        return kept is not None and kept[1].text == head[1].text and policy.quorum_met(kept[1])

    def _lack(self, policy: Policy, lacking: list[str]) -> str | None:
        """Say who has not cosigned, if that leaves a shard without a quorum."""
        if not lacking:
            return None
        said = [
            f"{name} {why}"
            for name in policy.witnesses
            if (why := next((self._knows(s, name).why for s in lacking), ""))
        ]
        return f"The log {lacking[-1]} is not cosigned: {'; '.join(said)}."

    def _knows(self, shard: str, name: str) -> _Known:
        return self._known.setdefault((shard, name), _Known())

    def _folder(self, shard: str) -> Path:
        return self._settings.log / shard


def _proof(tiles: Tiles, old: int, size: int) -> list[bytes]:
    """Prove that the first ``old`` entries are a prefix; of none there is nothing to prove."""
    if old in (0, size):
        return []
    return [tiles.range_root(low, high) for low, high in consistency_ranges(old, size)]


def _cosignatures(note: Note, policy: Policy) -> dict[str, NoteSignature]:
    keys = {(key.name, key.id): name for name, key in policy.witnesses.items()}
    return {
        keys[item.name, item.key_id]: item
        for item in note.signatures
        if (item.name, item.key_id) in keys
    }

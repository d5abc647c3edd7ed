"""One walk: every commitment of the log has its row, and every row is what was committed to.

The log is read first, place by place, and the index is asked what it has there; then each row is
hashed anew and held against the log. What the index says of itself proves nothing here: whoever
owns it can change rows, outbox and places alike, and not the log.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.canonical import BadRecord
from bidwitness.storage.evidence.entries import AuditCommitment, ShardEntry, read_entry
from bidwitness.storage.evidence.merkle import Tree
from bidwitness.storage.index.commitments import row_key, row_of
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Outbox
from bidwitness.storage.ledger.shard import origin_of
from bidwitness.storage.ledger.tiles import WIDTH
from bidwitness.storage.ledger.whole import signed_by_itself
from bidwitness.storage.trail.exchanged import Wrong, name_wrong, salted
from bidwitness.storage.trail.findings import Finding, merged
from bidwitness.storage.trail.logged import LoggedCommitments, commitment_in
from bidwitness.storage.trail.runs import Runs, Stray, name_run
from bidwitness.storage.trail.tables import TABLES, Committed
from bidwitness.words import TrailFault

BATCH = 500
CONFIRM = "log.confirm"


class Walk:
    """Goes once through log and tables. ``run`` is called once.

    ``late_before_us``: what was entered before this and waits to be logged still is told.
    """

    def __init__(
        self,
        database: Database,
        log: LoggedCommitments,
        site: str,
        *,
        late_before_us: int,
        tables: Sequence[Committed] = TABLES,
    ) -> None:
        self._database = database
        self._log = log
        self._site = site
        self._late_before_us = late_before_us
        self._tables = {table.name: table for table in tables}
        self._signet = database.signet
        self._runs = Runs()
        self._wrong: list[Wrong] = []
        self._found: list[Finding] = []
        # Why a log ended before its year, by the origin of that log, as its follower says.
        self._given_up: dict[str, str] = {}
        self._unreadable: set[str] = set()

    def run(self) -> Iterator[Finding | None]:
        """Give nothing for each entry and row that was looked at; at the end all that is wrong.

        Raises ``IndexUnavailable``, ``ConfigError`` for the key file of the signet.
        """
        if self._signet is not None and not self._signet.is_there:
            self._signet = None
            if self._has_rows():
                why = "the key audit.key is not here: who has added rows cannot be told"
                self._found.append(Finding(TrailFault.LOG, why=why))
        shards = self._log.shards()
        for shard in shards:
            self._hear_why(shard)
        for shard in shards:
            yield from self._read_shard(shard)
        for table in self._tables.values():
            yield from self._read_table(table)
        yield from self._read_waiting()
        yield from self._settle()

    def _has_rows(self) -> bool:
        with self._database.read() as orm:
            return any(
                orm.scalar(select(table.model.id).limit(1)) is not None
                for table in self._tables.values()
            )

    def _hear_why(self, shard: str) -> None:
        """Remember what the first entry of a shard says of the one before."""
        try:
            tiles = self._log.open(shard).tiles
            first = read_entry(tiles.entry(0)) if tiles.size else None
        except (DamageFound, BadRecord):
            return
        if isinstance(first, ShardEntry) and first.previous is not None and first.reason:
            self._given_up[first.previous.origin] = first.reason

    def _read_shard(self, shard: str) -> Iterator[None]:
        """Read all entries of a shard, make its tree anew, and ask the index for each commitment."""
        try:
            head = self._log.open(shard)
            tree = Tree()
            for number in range((head.tiles.size + WIDTH - 1) // WIDTH):
                entries = head.tiles.bundle(number)
                places: dict[int, str] = {}
                for place, entry in enumerate(entries, number * WIDTH):
                    tree.append(entry)
                    commitment = commitment_in(entry)
                    if commitment is not None:
                        places[place] = commitment
                    yield None
                if places:
                    self._hold_places(shard, places)
            if tree.root() != head.checkpoint.root:
                self._damaged(shard, "its entries are not those of its checkpoint")
            elif head.tiles.size and not signed_by_itself(head.tiles, head.note):
                self._damaged(shard, "its checkpoint is not signed with its key")
        except DamageFound as error:
            self._damaged(shard, error.detail)

    def _damaged(self, shard: str, why: str) -> None:
        """Say once of a shard that it cannot be read, or is not what was signed."""
        if shard in self._unreadable:
            return
        self._unreadable.add(shard)
        reason = self._given_up.get(origin_of(self._site, shard))
        fault = TrailFault.LOG if reason is None else TrailFault.STATED
        said = why if reason is None else f"the log was given up: {reason}"
        self._found.append(Finding(fault, shard=shard, why=said))

    def _hold_places(self, shard: str, places: Mapping[int, str]) -> None:
        query = select(Outbox).where(
            Outbox.shard == shard, Outbox.position.between(min(places), max(places))
        )
        with self._database.read() as orm:
            rows = {row.position: row for row in readable(orm, Outbox, query)[0]}
            there = self._rows_of(orm, list(rows.values()))
        for place, commitment in places.items():
            row = rows.get(place)
            name = row_of(row.key) if row is not None else None
            if row is None or name is None or _commitment(row) != commitment:
                self._runs.stray(Stray(shard, place, commitment))
                continue
            self._runs.known(*name, row.at_us)
            if name not in there:
                self._gone(name, shard, place, row.at_us)

    def _gone(
        self, name: tuple[str, int], shard: str | None, place: int | None, at_us: int
    ) -> None:
        table, number = name
        self._found.append(
            Finding(
                TrailFault.REMOVED,
                table=table,
                first=number,
                last=number,
                shard=shard,
                first_place=place,
                last_place=place,
                rows=1,
                after_us=at_us,
                before_us=at_us,
            )
        )

    def _rows_of(self, orm: Orm, rows: Sequence[Outbox]) -> set[tuple[str, int]]:
        """Give those rows of the tables that rows of the outbox are about and that are there."""
        wanted: dict[str, list[int]] = {}
        for row in rows:
            name = row_of(row.key)
            if name is not None and name[0] in self._tables:
                wanted.setdefault(name[0], []).append(name[1])
        return {
            (table, number)
            for table, numbers in wanted.items()
            for number in orm.scalars(
                select(self._tables[table].model.id).where(
                    self._tables[table].model.id.in_(numbers)
                )
            )
        }

    def _read_table(self, table: Committed) -> Iterator[None]:
        """Hash each row of a table anew."""
        after = 0
        while True:
            query = select(table.model).where(table.model.id > after)
            query = query.order_by(table.model.id).limit(BATCH)
            with self._database.read() as orm:
                rows, unreadable = readable(orm, table.model, query)
                keys = [row_key(table.name, row.id) for row in rows]
                asked = select(Outbox).where(Outbox.key.in_(keys))
                answers = {row.key: row for row in readable(orm, Outbox, asked)[0]}
            for row in rows:
                self._judge(table, row, answers.get(row_key(table.name, row.id)))
                yield None
            for number in unreadable:
                self._say(TrailFault.EDITED, table, number, "it cannot be read")
            if len(rows) + len(unreadable) < BATCH:
                return
            after = max([*(row.id for row in rows), *unreadable])

    def _judge(self, table: Committed, row: Any, answer: Outbox | None) -> None:
        if answer is None:
            self._say(TrailFault.INSERTED, table, row.id, "nothing was ever to be logged of it")
            return
        salt, said = _salt(answer), _commitment(answer)
        event = table.event(row)
        own = salted(salt, event)
        if answer.shard is None:
            if own != said:
                self._say(TrailFault.EDITED, table, row.id)
            elif not self._is_ours(own, answer):
                self._say(TrailFault.INSERTED, table, row.id, "it waits without this site's mark")
            elif row.at_us < self._late_before_us:
                self._say(TrailFault.WAITING, table, row.id)
            return
        place = int(answer.position or 0)
        try:
            logged = self._log.at(answer.shard, place)
        except DamageFound as error:
            self._damaged(answer.shard, error.detail)
            return
        if own is None or own != logged:
            self._wrong.append(
                Wrong(table.name, row.id, event, salt, answer.shard, place, logged, own)
            )
        elif not self._is_ours(own, answer):
            why = "it was logged without this site's mark"
            self._say(TrailFault.INSERTED, table, row.id, why)

    def _is_ours(self, commitment: str | None, answer: Outbox) -> bool:
        return self._signet is None or (
            commitment is not None and self._signet.made(commitment, answer.body.get("signet"))
        )

    def _say(self, fault: TrailFault, table: Committed, number: int, why: str = "") -> None:
        self._found.append(Finding(fault, table=table.name, first=number, last=number, why=why))

    def _read_waiting(self) -> Iterator[None]:
        """Find rows that were removed before they were logged."""
        for rows in self._outbox(waiting=True):
            with self._database.read() as orm:
                there = self._rows_of(orm, rows)
            for row in rows:
                name = row_of(row.key)
                if name is not None and name[0] in self._tables and name not in there:
                    self._gone(name, None, None, row.at_us)
                yield None

    def _outbox(self, *, waiting: bool) -> Iterator[list[Outbox]]:
        after = 0
        while True:
            query = select(Outbox).where(Outbox.kind == AuditCommitment.T, Outbox.id > after)
            if waiting:
                query = query.where(Outbox.shard.is_(None))
            with self._database.read() as orm:
                rows, bad = readable(orm, Outbox, query.order_by(Outbox.id).limit(BATCH))
            yield rows
            if len(rows) + len(bad) < BATCH:
                return
            after = max([*(row.id for row in rows), *bad])

    def _settle(self) -> Iterator[Finding | None]:
        """Name what is wrong when all is known."""
        strays = {stray.commitment: stray for run in self._runs.all for stray in run.strays}
        explained: set[str] = set()
        if strays:
            for rows in self._outbox(waiting=False):
                explained |= self._explained_by(rows, strays)
                yield from (None for _ in rows)
        own = {item.own for item in self._wrong}
        explained |= strays.keys() & own
        elsewhere = {c: strays[c].place for c in strays.keys() & own}
        taken = {(item.shard, item.place) for item in self._wrong}
        self._found.extend(name_wrong(self._wrong, elsewhere))
        confirmed = self._confirmed()

        def is_explained(stray: Stray) -> bool:
            return stray.commitment in explained or (stray.shard, stray.place) in taken

        order = {shard: at for at, shard in enumerate(self._log.shards())}

        def stated(stray: Stray) -> str | None:
            """Say why it is gone: it stood in the log when somebody answered for that."""
            for shard, size, why in confirmed:
                place = (order[stray.shard], stray.place)
                if shard in order and place < (order[shard], size):
                    return why
            return None

        for run in self._runs.all:
            self._found.extend(name_run(run, is_explained, stated, tuple(self._tables)))
        yield from merged(self._found)

    def _explained_by(self, rows: Sequence[Outbox], strays: Mapping[str, Stray]) -> set[str]:
        """Give the commitments that the index knows without a place, or at another one.

        What is logged and not told to the index yet is one of them; what another hand moved, too:
        then its row is not what stands at its new place, or is gone.
        """
        found = {str(_commitment(row)): row for row in rows if _commitment(row) in strays}
        with self._database.read() as orm:
            there = self._rows_of(orm, list(found.values()))
        for commitment, row in found.items():
            name = row_of(row.key)
            if name is not None and name not in there and row.shard is not None:
                stray = strays[commitment]
                self._gone(name, stray.shard, stray.place, row.at_us)
        return set(found)

    def _confirmed(self) -> list[tuple[str, int, str]]:
        """Give what was said when the index was restored: shard, its size then, and the reason."""
        accused = {item.number for item in self._wrong} | {f.first for f in self._found}
        query = select(AuditEntry).where(AuditEntry.action == CONFIRM).order_by(AuditEntry.id)
        with self._database.read() as orm:
            rows = [row for row in orm.scalars(query) if row.id not in accused]
        return [
            (row.subject.partition(":")[2], int((row.facts or {}).get("size", 0)), row.reason or "")
            for row in rows
        ]


def readable(orm: Orm, model: Any, query: Any) -> tuple[list[Any], list[int]]:
    """Give the rows of a query, and the numbers of those that another hand made unreadable."""
    try:
        return list(orm.scalars(query)), []
    except (ValueError, TypeError):
        pass
    rows: list[Any] = []
    lost: list[int] = []
    for number in orm.scalars(query.with_only_columns(model.id)).all():
        try:
            rows.append(orm.scalars(select(model).where(model.id == number)).one())
        except (ValueError, TypeError):
            lost.append(int(number))
    return rows, lost


def _commitment(row: Outbox) -> str | None:
    entry = row.body.get("entry") if isinstance(row.body, dict) else None
    found = entry.get("commitment") if isinstance(entry, dict) else None
    return found if isinstance(found, str) else None


def _salt(row: Outbox) -> bytes:
    try:
        return bytes.fromhex(str(row.body["salt"]))
    except (KeyError, TypeError, ValueError):
        return b""

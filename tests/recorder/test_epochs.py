"""Epochs: signed in time over what the journals hold, chained, and through a kill each once."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update
from support.clock import FakeClock
from support.footage import Reel
from support.places import DAY, RECORDER, a_stream

from bidwitness.config import Settings, load_settings
from bidwitness.errors import Conflict, DamageFound
from bidwitness.recorder.epochs import ChainReader, EpochMaker
from bidwitness.storage.check.epochs import check_epochs
from bidwitness.storage.check.problems import Fault, Problem
from bidwitness.storage.evidence.ed25519 import ed25519_verifies
from bidwitness.storage.evidence.entries import (
    EpochEntry,
    EpochHead,
    RosterEntry,
    entry_bytes,
    entry_of,
    epoch_genesis,
    epoch_message,
    head_leaf,
    read_entry,
)
from bidwitness.storage.evidence.merkle import hash_leaf, root
from bidwitness.storage.evidence.note import read_key
from bidwitness.storage.evidence.records import utc_day
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import LogShard, Outbox
from bidwitness.storage.index.outbox import epoch_key
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.ledger.shard import origin_of, read_head
from bidwitness.storage.ledger.tiles import Tiles
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.spool.journal import journal_days, read_journal
from bidwitness.storage.spool.layout import journal_path

MIDNIGHT = 1_700_006_400_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data", recorder=RECORDER)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(MIDNIGHT - 30_000_000)


@pytest.fixture
def reels(sqlite_index: Database, settings: Settings, clock: FakeClock) -> list[Reel]:
    streams = [a_stream(sqlite_index) for _ in range(2)]
    return [Reel(sqlite_index, settings.spool, s, clock.utc_us()) for s in streams]


def epochs(index: Database, settings: Settings) -> list[tuple[EpochEntry, list[EpochHead]]]:
    """What was handed over, with the heads as they follow from the journals."""
    with index.read() as orm:
        rows = orm.scalars(select(Outbox).where(Outbox.kind == "epoch").order_by(Outbox.id)).all()
    found = []
    for row in rows:
        entry = entry_of(row.body["entry"])
        assert isinstance(entry, EpochEntry)
        found.append((entry, [head_of(settings, *head) for head in row.body["heads"]]))
    return found


def head_of(settings: Settings, stream: str, day: str, count: int) -> EpochHead:
    there = leaves(settings, stream, day)[:count]
    return EpochHead(stream, day, count, there[-1].hex(), root(there).hex())


def leaves(settings: Settings, stream: str, day: str) -> list[bytes]:
    return [entry.leaf for entry in read_journal(journal_path(settings.spool, stream, day))]


def test_epochs_are_signed_chained_and_cover_the_journals(
    sqlite_index: Database, settings: Settings, clock: FakeClock, reels: list[Reel]
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    for reel in reels:
        reel.segment(4)
    assert maker.make_due()
    clock.sleep(59)
    assert not maker.make_due()
    reels[0].segment(4)
    clock.sleep(1)
    assert maker.make_due()
    (first, heads), (second, later) = epochs(sqlite_index, settings)
    with sqlite_index.read() as orm:
        roster = orm.scalars(select(Outbox).where(Outbox.kind == "roster")).one()
    entry = entry_of(roster.body["entry"])
    assert isinstance(entry, RosterEntry)
    key = read_key(entry.key)
    assert key.name == f"{settings.site}/recorder/{RECORDER}"
    for epoch, over in ((first, heads), (second, later)):
        assert ed25519_verifies(key.public, epoch_message(epoch), bytes.fromhex(epoch.signature))
        assert (epoch.size, epoch.root) == (len(over), root(map(head_leaf, over)).hex())
    assert (first.seq, first.prev) == (0, epoch_genesis(RECORDER))
    assert (second.seq, second.prev) == (1, hash_leaf(entry_bytes(first)).hex())
    for head in later:
        assert head.count == len(leaves(settings, head.stream, head.day))
    assert [head.count for head in sorted(later, key=lambda h: h.stream != reels[0].stream_id)] == [
        2,
        1,
    ]


def test_the_end_of_a_day_is_covered_after_midnight(
    sqlite_index: Database, settings: Settings, clock: FakeClock, reels: list[Reel]
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    reel = reels[0]
    reel.segment(10)
    assert maker.make_due()
    reel.segments(40, each=10)
    clock.sleep(70)
    # A restart in between knows what was signed for from its file.
    maker = EpochMaker(settings, sqlite_index, clock)
    assert maker.make_due()
    heads = {(h.stream, h.day): h.count for h in epochs(sqlite_index, settings)[-1][1]}
    days = journal_days(settings.spool, reel.stream_id)
    assert len(days) == 2
    assert heads == {
        (reel.stream_id, day): len(leaves(settings, reel.stream_id, day)) for day in days
    }
    clock.sleep(70)
    assert maker.make_due()
    assert {h.day for h in epochs(sqlite_index, settings)[-1][1]} == {days[-1]}


def test_a_kill_between_file_and_index_loses_no_epoch(
    sqlite_index: Database,
    settings: Settings,
    clock: FakeClock,
    reels: list[Reel],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reels[0].segment(4)

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(EpochMaker, "_hand_over", die)
        EpochMaker(settings, sqlite_index, clock).make_due()
    assert epochs(sqlite_index, settings) == []
    for _ in range(2):
        assert not EpochMaker(settings, sqlite_index, clock).make_due()
        assert [entry.seq for entry, _ in epochs(sqlite_index, settings)] == [0]
    clock.sleep(60)
    assert EpochMaker(settings, sqlite_index, clock).make_due()
    first, second = (entry for entry, _ in epochs(sqlite_index, settings))
    assert second.prev == hash_leaf(entry_bytes(first)).hex()


def logged(index: Database, settings: Settings, clock: FakeClock) -> list[EpochEntry]:
    """What the site's log holds of epochs, after all that waits was logged."""
    ledger = Ledger(index, settings, clock, SystemFiles())
    while ledger.log_some():
        pass
    ledger.close()
    name = utc_day(clock.utc_us())[:4]
    found = read_head(settings.log / name, origin_of(settings.site, name))
    assert found is not None
    tiles = Tiles(settings.log / name, found[0].size)
    entries = [read_entry(tiles.entry(n)) for n in range(tiles.size)]
    return [entry for entry in entries if isinstance(entry, EpochEntry)]


def chained(entries: list[EpochEntry]) -> bool:
    pairs = itertools.pairwise(entries)
    return [entry.seq for entry in entries] == list(range(len(entries))) and all(
        after.prev == hash_leaf(entry_bytes(before)).hex() for before, after in pairs
    )


def lose(path: Path, _old: bytes) -> None:
    path.unlink()


def put_old_back(path: Path, old: bytes) -> None:
    path.write_bytes(old)


@pytest.mark.parametrize("lost", [lose, put_old_back], ids=lambda f: f.__name__)
def test_a_recorder_whose_file_is_lost_goes_on_and_all_is_logged(
    sqlite_index: Database,
    settings: Settings,
    clock: FakeClock,
    reels: list[Reel],
    lost: Callable[[Path, bytes], None],
) -> None:
    path = settings.data / "recorder" / "epoch.json"
    maker, old = EpochMaker(settings, sqlite_index, clock), b""
    for _ in range(4):
        reels[0].segment(4)
        assert maker.make_due()
        old = old or path.read_bytes()
        clock.sleep(60)
    assert len(logged(sqlite_index, settings, clock)) == 4
    lost(path, old)
    maker = EpochMaker(settings, sqlite_index, clock)
    for _ in range(6):
        reels[0].segment(4)
        assert maker.make_due()
        clock.sleep(60)
    found = logged(sqlite_index, settings, clock)
    assert len(found) == 10
    assert chained(found)
    for head in epochs(sqlite_index, settings)[-1][1]:
        assert head.count == len(leaves(settings, head.stream, head.day))
    assert problems(sqlite_index) == []


def test_a_recorder_goes_on_from_its_own_file_when_the_index_is_older(
    sqlite_index: Database, settings: Settings, clock: FakeClock, reels: list[Reel]
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    for _ in range(5):
        reels[0].segment(4)
        assert maker.make_due()
        clock.sleep(60)
    with sqlite_index.write() as orm:
        for seq in (2, 3, 4):
            orm.execute(delete(Outbox).where(Outbox.key == epoch_key(RECORDER, seq)))
    maker = EpochMaker(settings, sqlite_index, clock)
    assert maker.make_due()
    assert [entry.seq for entry, _ in epochs(sqlite_index, settings)] == [0, 1, 4, 5]
    # Said, but no damage: nothing contradicts anything.
    (said,) = problems(sqlite_index)
    assert (said.fault, said.subject) == (Fault.UNKNOWN, f"epoch {RECORDER}#4")
    assert "2 to 3" in said.detail


def test_the_highest_number_counts_also_after_the_clock_was_set_back(
    sqlite_index: Database, settings: Settings, clock: FakeClock
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    for _ in range(3):
        assert maker.make_due()
        clock.sleep(60)
    clock.step(-DAY)
    for _ in range(12):
        assert maker.make_due()
        clock.sleep(60)
    (settings.data / "recorder" / "epoch.json").unlink()
    assert EpochMaker(settings, sqlite_index, clock).make_due()
    assert [entry.seq for entry, _ in epochs(sqlite_index, settings)] == list(range(16))


def test_two_recorders_of_one_name_are_told(
    sqlite_index: Database, settings: Settings, clock: FakeClock, tmp_path: Path
) -> None:
    other = load_settings(data=tmp_path / "other", recorder=RECORDER)
    first, second = (EpochMaker(s, sqlite_index, clock) for s in (settings, other))
    assert first.make_due()
    clock.sleep(60)
    assert second.make_due()
    with pytest.raises(Conflict, match="a second recorder has this name"):
        first.make_due()
    # Nothing is lost silently: it goes on after what the index has.
    clock.sleep(60)
    assert first.make_due()
    assert chained([entry for entry, _ in epochs(sqlite_index, settings)])


def test_none_is_signed_while_a_restored_log_waits(
    sqlite_index: Database, settings: Settings, clock: FakeClock
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    assert maker.make_due()
    clock.sleep(60)
    logged(sqlite_index, settings, clock)
    with sqlite_index.write() as orm:
        orm.execute(update(LogShard).values(restored_us=clock.utc_us()))
    for late in (maker, EpochMaker(settings, sqlite_index, clock)):
        with pytest.raises(Conflict, match="restored from a backup"):
            late.make_due()
    with sqlite_index.write() as orm:
        orm.execute(update(LogShard).values(restored_us=None))
    assert maker.make_due()
    assert chained(logged(sqlite_index, settings, clock))


def test_an_epoch_that_does_not_continue_the_one_before_is_named(
    sqlite_index: Database, settings: Settings, clock: FakeClock
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    for _ in range(3):
        assert maker.make_due()
        clock.sleep(60)
    with sqlite_index.write() as orm:
        row = orm.scalars(select(Outbox).where(Outbox.key == epoch_key(RECORDER, 1))).one()
        row.body = {**row.body, "entry": {**row.body["entry"], "root": "0" * 64}}
    assert [(p.fault, p.subject) for p in problems(sqlite_index)] == [
        (Fault.CHAIN, f"epoch {RECORDER}#2")
    ]


def problems(index: Database) -> list[Problem]:
    return [problem for problem in check_epochs(index) if problem is not None]


def test_a_clock_set_back_does_not_silence_it(
    sqlite_index: Database, settings: Settings, clock: FakeClock
) -> None:
    maker = EpochMaker(settings, sqlite_index, clock)
    assert maker.make_due()
    clock.step(-DAY)
    assert maker.make_due()


def test_a_damaged_file_says_what_to_do(
    sqlite_index: Database, settings: Settings, clock: FakeClock
) -> None:
    EpochMaker(settings, sqlite_index, clock).make_due()
    path = settings.data / "recorder" / "epoch.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamageFound, match="Remove it"):
        EpochMaker(settings, sqlite_index, clock).make_due()


def test_only_what_is_new_is_read(settings: Settings, reels: list[Reel]) -> None:
    reader = ChainReader(settings.spool)
    reels[0].segment(4)
    (before,) = reader.heads(())
    path = journal_path(settings.spool, reels[0].stream_id, before.day)
    reels[0].segment(4)
    data = path.read_bytes()
    # What was read once does not count any more, even if it is overwritten on the disk.
    path.write_bytes(b" " * data.index(b"\n") + data[data.index(b"\n") :])
    (after,) = reader.heads([(before.stream, before.day, before.count)])
    assert after.count == 2

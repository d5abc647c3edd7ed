"""Epochs: signed in time over what the journals hold, chained, and through a kill each once."""

from pathlib import Path

import pytest
from sqlalchemy import select
from support.clock import FakeClock
from support.footage import Reel
from support.places import DAY, RECORDER, a_stream

from bidwitness.config import Settings, load_settings
from bidwitness.errors import DamageFound
from bidwitness.recorder.epochs import ChainReader, EpochMaker
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
)
from bidwitness.storage.evidence.merkle import hash_leaf, root
from bidwitness.storage.evidence.note import read_key
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Outbox
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
    (after,) = reader.heads([before])
    assert after.count == 2

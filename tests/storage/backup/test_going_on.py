"""After yesterday's backup: no tree of one size is ever signed twice, and there is a way on."""

import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.ledger_site import Site
from support.witnesses import Neighbours

from bidwitness.errors import ConfigError, Conflict, DamageFound, InvalidInput, NotFound
from bidwitness.storage.evidence.entries import (
    AuditCommitment,
    EpochEntry,
    ShardBefore,
    ShardEntry,
    epoch_genesis,
)
from bidwitness.storage.index.models import AuditEntry, LogShard
from bidwitness.storage.index.outbox import epoch_key, put_in_outbox
from bidwitness.storage.ledger.opening import name_of_next
from bidwitness.storage.ledger.shard import COSIGNED
from bidwitness.storage.ledger.witnessing import Witnesses

Place = Any
DAY_S = 86_400
YEAR_S = 366 * DAY_S
AT = 1_700_000_000_000_000


def yesterday(here: Place, tmp_path: Path) -> Path:
    """A site with a backup of yesterday, that went on for a day."""
    here.work(4)
    made = here.save(tmp_path / "backups")
    here.clock.sleep(DAY_S)
    here.work(5)
    folder: Path = made.folder
    return folder


def restored(here: Place, there: Place, folder: Path) -> None:
    there.takes_over(here)
    there.restore(folder)


def files_of(place: Place) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in place.settings.log.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def commitments(place: Place, *shards: str) -> list[str]:
    entries = [entry for shard in shards for entry in place.entries(shard)]
    return [entry.commitment for entry in entries if isinstance(entry, AuditCommitment)]


def wanted(place: Place) -> set[str]:
    return {r.body["entry"]["commitment"] for r in place.rows() if r.kind == "audit"}


def test_the_log_stands_still_and_says_what_helps(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    here, there = sqlite_here, sqlite_there
    restored(here, there, yesterday(here, tmp_path))
    before = files_of(there)
    there.act(3)
    for _ in range(2):
        assert there.ledger.log_some() == 0
        there.restart()
    assert files_of(there) == before
    said = str(there.alarm())
    assert "restored from a backup on 2023-11-15" in said
    assert "bidwitness confirm-log" in said
    assert "bidwitness new-log-shard" in said


def test_all_is_lost_but_the_backup(here: Place, there: Place, tmp_path: Path) -> None:
    """Index and log are of yesterday: a new shard begins, under a name and key never used."""
    restored(here, there, yesterday(here, tmp_path))
    there.act(2)
    assert there.begin_anew() == ("2023", 0)
    there.work(3)
    assert there.alarm() is None
    name = "2023-1115221320"
    assert [row.shard for row in there.shards()] == ["2023", name]
    begins = there.entries(name)[0]
    assert isinstance(begins, ShardEntry)
    assert isinstance(begins.previous, ShardBefore)
    assert (begins.previous.size, begins.reason) == (6, "restored from a backup")
    keys = {path.name for path in there.settings.keys.iterdir()}
    assert keys == {"log-2023.key", f"log-{name}.key"}
    assert set(commitments(there, "2023", name)) == wanted(there)
    assert there.problems() == []
    # The strangers who saw what the lost log signed meanwhile see no other tree of those sizes.
    there.look()
    there.clock.sleep(YEAR_S)
    there.work()
    assert there.shards()[-1].shard == "2024"


def test_the_newest_log_is_there(here: Place, there: Place, tmp_path: Path) -> None:
    """The index is of yesterday, the log and the keys lived: it goes on where it was."""
    folder = yesterday(here, tmp_path)
    there.copy_log(here)
    restored(here, there, folder)
    there.act(2)
    assert there.ledger.log_some() == 0
    done = there.confirm()
    assert (done.shard, done.size, done.epochs) == ("2023", 12, 0)
    # Of six acts in the log the index has nothing left: five, and that of the backup.
    assert done.others == {"audit": 6}
    there.restart()
    there.work(3)
    assert there.alarm() is None
    assert there.tiles().size > 12
    assert there.tiles().range_root(0, 12) == here.tiles().root()
    assert wanted(there) <= set(commitments(there, "2023"))
    assert len(commitments(there, "2023")) == len(set(commitments(there, "2023")))
    assert there.damage() == []
    with there.index.read() as orm:
        entry = orm.scalars(select(AuditEntry).where(AuditEntry.action == "log.confirm")).one()
    assert (entry.reason, (entry.facts or {})["size"]) == ("it is", 12)


def test_a_log_that_is_not_the_newest_is_confirmed_by_nobody_who_looks(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    """What can be checked is checked: whole, of our key, and not behind the index."""
    here, there = sqlite_here, sqlite_there
    folder = yesterday(here, tmp_path)
    restored(here, there, folder)
    shutil.rmtree(there.folder)
    with pytest.raises(NotFound, match="There is no log 2023"):
        there.confirm()
    there.copy_log(here)
    bundle = there.folder / "tile/entries/000.p/12"
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")
    with pytest.raises(DamageFound):
        there.confirm()
    (there.settings.keys / "log-2023.key").unlink()
    with pytest.raises(ConfigError, match="put it back"):
        there.confirm()
    with pytest.raises(InvalidInput):
        there.confirm(reason=" ")
    there.restart()
    assert there.ledger.log_some() == 0
    assert "restored from a backup" in str(there.alarm())


def test_nothing_waits_for_a_confirmation(sqlite_here: Place) -> None:
    here = sqlite_here
    with pytest.raises(NotFound):
        here.confirm()
    here.work()
    with pytest.raises(NotFound, match="not restored"):
        here.confirm()
    lock = here.new_ledger()
    here.act()
    assert lock.log_some() == 1
    with pytest.raises(Conflict, match="Another process"):
        here.confirm()


def test_epochs_that_the_backup_did_not_have_come_back_from_the_log(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    here, there = sqlite_here, sqlite_there

    def sign(place: Place, seq: int) -> None:
        epoch = EpochEntry(
            "site-1", "recorder-1", seq, epoch_genesis("recorder-1"), AT, 0, "0" * 64, "0" * 128
        )
        with place.index.write() as orm:
            put_in_outbox(orm, epoch_key("recorder-1", seq), epoch, AT, {"heads": []})

    sign(here, 0)
    here.work()
    sign(here, 1)  # in the backup, and logged only after it
    folder = here.save(tmp_path / "backups").folder
    for seq in (2, 3):
        sign(here, seq)
        here.work()
    there.copy_log(here)
    restored(here, there, folder)
    assert there.confirm().epochs == 2
    rows = {row.key: row for row in there.rows() if row.kind == "epoch"}
    assert list(rows) == [epoch_key("recorder-1", seq) for seq in range(4)]
    assert all(row.shard == "2023" for row in rows.values())
    there.restart()
    there.work()
    epochs = [entry for entry in there.entries() if isinstance(entry, EpochEntry)]
    assert [entry.seq for entry in epochs] == [0, 1, 2, 3]


def test_shards_that_began_after_the_backup_are_found(
    here: Place, there: Place, tmp_path: Path
) -> None:
    """A year ended and a log was given up since: the restored index learns of both."""
    here.work(2)
    folder = here.save(tmp_path / "backups").folder
    here.work()
    here.begin_anew()
    here.restart()
    here.work(2)
    here.clock.sleep(YEAR_S)
    here.work(2)
    assert [row.shard for row in here.shards()] == ["2023", "2023-2", "2024"]
    there.copy_log(here)
    restored(here, there, folder)
    there.act()
    assert there.ledger.log_some() == 0
    done = there.confirm()
    assert done.shard == "2024"
    assert [(row.shard, row.given_up is None, row.restored_us) for row in there.shards()] == [
        ("2023", False, None),
        ("2023-2", True, None),
        ("2024", True, None),
    ]
    there.restart()
    there.work(2)
    assert there.alarm() is None
    assert there.shards()[-1].shard == "2024"
    assert there.damage() == []


def test_a_backup_from_before_there_was_a_log(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    here, there = sqlite_here, sqlite_there
    here.act(2)
    folder = here.save(tmp_path / "backups").folder
    here.work(2)
    restored(here, there, folder)
    assert there.ledger.log_some() == 0
    assert "restored" in str(there.alarm())
    with pytest.raises(NotFound, match="There is no log 2023"):
        there.confirm()
    there.begin_anew()
    there.restart()
    there.work()
    # Not under the name of the one that was lost.
    assert there.shards()[-1].shard == "2023-1114221320"
    there.look()


def test_two_restores_of_one_backup(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    """The way out of the first is lost too: its shard's name does not come again."""
    here, there = sqlite_here, sqlite_there
    folder = yesterday(here, tmp_path)
    names = []
    for count in (1, 2):
        here.clock.sleep(3600)
        restored(here, there, folder)
        there.begin_anew()
        there.restart()
        there.work(count)
        names.append(there.shards()[-1].shard)
        there.ledger.close()
        for name in ("log", "keys"):
            shutil.rmtree(there.settings.data / name)
        _drop(there)
    assert len(set(names)) == 2


def _drop(place: Place) -> None:
    """Lose an index."""
    place.index.close()
    Path(str(place.index.engine.url.database)).unlink()


@pytest.fixture
def near(sqlite_here: Place, tmp_path: Path) -> Neighbours:
    """A log with two witnesses that know all of it."""
    found = Neighbours(
        sqlite_here, tmp_path / "near", ("a", "b"), "group both all a b\nquorum both"
    )
    sqlite_here.act(3)
    sqlite_here.log()
    found.introduce()
    sqlite_here.clock.sleep(10)  # they did not know the log when it began
    found.asking.ask_all()
    return found


def survey_of(near: Neighbours, place: Site) -> Any:
    near.site = place
    place.settings = place.settings.model_copy(update={"witnesses": near.path})
    near.begin()
    asking: Witnesses = near.asking
    return asking.survey


def test_a_witness_that_has_seen_more_forbids_it(
    near: Neighbours, sqlite_here: Place, sqlite_there: Place, tmp_path: Path
) -> None:
    here, there = sqlite_here, sqlite_there
    folder = here.save(tmp_path / "backups").folder
    here.act(5)
    here.log()
    near.asking.ask_all()
    restored(here, there, folder)
    survey = survey_of(near, there)
    with pytest.raises(
        DamageFound, match=r"has cosigned [0-9]+ entries of the log 2023, and 5 are"
    ):
        there.confirm(survey)
    assert there.shards()[0].restored_us is not None
    # With the newest log it is content, and says so.
    there.copy_log(here)
    near.behave["b"] = lambda _: httpx.Response(500)
    survey = survey_of(near, there)
    with pytest.raises(Conflict, match="--without-witnesses"):
        there.confirm(survey)
    done = there.confirm(survey_of(near, there), unwitnessed=True)
    assert (done.witnesses["a"], done.witnesses["b"] != "") == ("", True)
    near.behave.clear()
    near.begin()
    there.act()
    there.log()
    assert there.alarm() is None
    near.asking.ask_all()
    assert near.size(COSIGNED) == there.tiles().size


def test_names_of_shards() -> None:
    def row(shard: str, given_up: str | None = None, restored: int | None = None) -> LogShard:
        return LogShard(shard=shard, given_up=given_up, restored_us=restored)

    assert name_of_next("2023", []) == "2023"
    assert name_of_next("2023", [row("2022")]) == "2023"
    assert name_of_next("2023", [row("2023", "x")]) == "2023-2"
    assert name_of_next("2023", [row("2023", "x"), row("2023-2", "x")]) == "2023-3"
    lost = [row("2023", "x", AT)]
    assert name_of_next("2023", lost) == "2023-1114221320"
    again = [*lost, row("2023-1114221320", "y")]
    assert name_of_next("2023", again) == "2023-1114221320-2"
    assert name_of_next("2024", again) == "2024"
    # Of the year before, restored in this one.
    assert name_of_next("2023", [row("2022", "x", AT)]) == "2023-1114221320"

"""The site and its witnesses: enough cosignatures, an alarm without, and no second history."""

import hashlib
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from support.ledger_site import Site
from support.witnesses import Neighbours, opened_witness

from bidwitness.config import load_settings
from bidwitness.storage.evidence.entries import RosterEntry, ShardBefore, ShardEntry
from bidwitness.storage.evidence.note import read_note, write_note
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.ledger.giving_up import give_up
from bidwitness.storage.ledger.proving import _shard_files
from bidwitness.storage.ledger.shard import COSIGNED, COSIGNING
from bidwitness.storage.ledger.trusted import read_trusted
from bidwitness.storage.ledger.witnessing import MISSING, wait_s

TWO_OF_THREE = "group enough 2 a b c\nquorum enough"
SECOND = 1_000_000


@pytest.fixture
def near(site: Site, tmp_path: Path) -> Neighbours:
    """A log of three entries, and three witnesses that know it; two are enough."""
    found = Neighbours(site, tmp_path / "near", ("a", "b", "c"), TWO_OF_THREE)
    site.act(3)
    site.log()
    found.introduce()
    site.clock.advance(10 * SECOND)
    # So that the counts below are of what the tests log.
    found.asking._noted = read_trusted(found.path)
    found.asking.ask_all()
    return found


def alarm(site: Site) -> str | None:
    with site.index.read() as orm:
        found = open_alarm(orm, MISSING, "ledger")
        return found.cause if found is not None else None


def away(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody is there")


def test_each_checkpoint_is_cosigned(near: Neighbours) -> None:
    assert near.size(COSIGNED) == 5
    near.site.act(20)
    near.site.log()
    assert near.asking.ask_all() == 3
    assert near.size(COSIGNED) == 25
    note = read_note(near.note(COSIGNED) or b"")
    head = read_note(near.note("checkpoint") or b"")
    assert note.text == head.text
    assert note.signatures[:1] == head.signatures
    for witness in near.witnesses.values():
        assert note.verified_by(witness.key) == near.site.clock.utc_us() // SECOND
    # Nothing new: nobody is asked.
    near.asked.clear()
    assert near.asking.ask_all() == 0
    assert near.asked == []


def test_nobody_is_asked_without_the_setting(site: Site, near: Neighbours) -> None:
    site.settings = site.settings.model_copy(update={"witnesses": None})
    near.begin()
    site.act()
    site.log()
    near.asked.clear()
    assert near.asking.ask_all() == 0
    assert (near.asked, alarm(site)) == ([], None)


def test_a_witness_that_is_away_delays_nothing_and_is_left_alone_for_a_while(
    near: Neighbours,
) -> None:
    near.behave["c"] = away
    for count in range(4):
        near.site.act()
        near.site.log()
        near.asked.clear()
        assert near.asking.ask_all() == 2
        assert near.size(COSIGNED) == 6 + count
        assert near.asked.count("c") == (1 if count in (0, 2) else 0)
        near.site.clock.advance(3 * SECOND)
    del near.behave["c"]
    near.site.clock.advance(60 * SECOND)
    # It comes late to the same checkpoint, and joins the others.
    near.asking.ask_all()
    assert len(read_note(near.note(COSIGNED) or b"").signatures) == 4


def test_waits_grow_and_end() -> None:
    assert [wait_s(n) for n in (1, 2, 3, 4, 7, 8, 5000)] == [5, 10, 20, 40, 300, 300, 300]


def test_without_a_quorum_the_log_goes_on_and_an_alarm_tells(near: Neighbours) -> None:
    near.behave |= {"a": away, "b": lambda _: httpx.Response(404)}
    site = near.site
    site.act()
    site.log()
    near.asking.ask_all()
    assert (near.size(COSIGNED), near.size(COSIGNING), near.size("checkpoint")) == (5, 6, 6)
    assert alarm(site) is None
    site.clock.advance(16 * 60 * SECOND)
    site.act()
    assert site.ledger.log_some() == 1
    near.asking.ask_all()
    said = str(alarm(site))
    assert "a does not answer" in said
    assert "b does not know this log" in said
    near.behave.clear()
    site.clock.advance(400 * SECOND)
    near.asking.ask_all()
    assert (alarm(site), near.size(COSIGNED)) == (None, 7)


def cosign(other: str) -> Callable[[Neighbours, httpx.Request], httpx.Response]:
    """Answer with what another witness says."""

    def answer(near: Neighbours, request: httpx.Request) -> httpx.Response:
        found = near.witnesses[other].add_checkpoint(request.read())
        return httpx.Response(found.status, content=found.body)

    return answer


def forged(near: Neighbours, request: httpx.Request) -> httpx.Response:
    found = near.witnesses["a"].add_checkpoint(request.read())
    return httpx.Response(found.status, content=found.body[:-9] + b"A" + found.body[-8:])


WRONG: dict[str, Callable[[Neighbours, httpx.Request], httpx.Response]] = {
    "another's": cosign("b"),
    "forged": forged,
    "empty": lambda _, __: httpx.Response(200),
    "noise": lambda _, __: httpx.Response(200, content=bytes(range(256))),
    "endless": lambda _, __: httpx.Response(200, content=b"x" * 100_000),
    "no size": lambda _, __: httpx.Response(409, content=b"nine"),
    "huge size": lambda _, __: httpx.Response(409, content=b"9" * 400),
    "elsewhere": lambda _, __: httpx.Response(302, headers={"Location": "http://b.example/"}),
    "broken": lambda _, __: httpx.Response(500),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer_never_counts(near: Neighbours, what: str) -> None:
    near.behave |= {"a": lambda request: WRONG[what](near, request), "b": away}
    near.site.act()
    near.site.log()
    near.asking.ask_all()
    assert (near.size(COSIGNED), near.size(COSIGNING)) == (5, 6)
    note = read_note(near.note(COSIGNING) or b"")
    assert {item.name for item in note.signatures} == {"site-1/log/2023", "c.example"}
    near.site.act()
    assert near.site.ledger.log_some() == 1


def test_after_a_start_it_goes_on_where_it_was(near: Neighbours) -> None:
    near.begin()
    near.asked.clear()
    near.asking.ask_all()
    # What was gathered lies beside the log: of a checkpoint that is cosigned nobody is asked again.
    assert near.asked == []
    near.site.act(2)
    near.site.log()
    near.asking.ask_all()
    # Each was asked before the first entry, with a size that was only guessed, and after it.
    assert sorted(near.asked) == sorted("aaabbbccc")
    assert near.size(COSIGNED) == near.size("checkpoint")


def test_two_years_have_each_their_last_word(near: Neighbours) -> None:
    near.site.act()
    near.site.log()
    near.site.clock.advance(366 * 86_400 * SECOND)
    near.site.act()
    near.site.log()
    near.introduce("2023", "2024")
    near.site.clock.advance(10 * SECOND)
    near.asking.ask_all()
    assert near.note(COSIGNED, "2024") is not None
    # The old year's end, too, which was never asked about while it was the present one.
    assert near.size(COSIGNED) == 6


def test_an_old_copy_of_index_and_log_together_is_found_by_the_witnesses(
    near: Neighbours, tmp_path: Path
) -> None:
    """Nothing here could tell; to go on would sign a second history of what was cosigned."""
    site, data, copy = near.site, near.site.settings.data, tmp_path / "copy"
    shutil.copytree(data / "log", copy / "log")
    backup(site.index, copy / "index.db")
    site.act(4)
    site.log()
    near.asking.ask_all()
    site.ledger.close()

    shutil.rmtree(data / "log")
    shutil.copytree(copy / "log", data / "log")
    site.index.close()
    site.index = open_database(f"sqlite:///{copy}/index.db")
    before = (data / "log/2023/checkpoint").read_bytes()
    near.begin()
    site.act()
    assert site.ledger.log_some() == 0
    said = str(site.alarm())
    assert "has cosigned 9 entries of the log 2023, and 5 are here" in said
    assert "new-log-shard" in said
    assert (data / "log/2023/checkpoint").read_bytes() == before
    # It goes on saying so, without asking every second.
    near.asked.clear()
    assert [site.ledger.log_some() for _ in range(5)] == [0] * 5
    assert near.asked == []

    site.ledger.close()
    give_up(site.index, site.settings, site.clock, "restored from a backup")
    near.begin()
    site.log()
    assert site.alarm() is None
    first = site.entries("2023-2")[0]
    assert isinstance(first, ShardEntry)
    assert isinstance(first.previous, ShardBefore)
    assert first.reason == "restored from a backup"
    near.introduce("2023", "2023-2")
    site.clock.advance(10 * SECOND)
    near.asking.ask_all()
    assert near.note(COSIGNED, "2023-2") is not None
    site.index.close()


def backup(index: Database, path: Path) -> None:
    with closing(sqlite3.connect(str(index.engine.url.database))) as connection:
        connection.execute("VACUUM INTO ?", (str(path),))


def test_a_fork_of_the_log_is_refused_and_stops_it(near: Neighbours, tmp_path: Path) -> None:
    """Split view: with the log's key, another history is begun elsewhere and shown to a witness."""
    thief_data = tmp_path / "thief"
    shutil.copytree(near.site.settings.keys, thief_data / "keys")
    index = open_database(f"sqlite:///{tmp_path}/thief.db")
    upgrade(index)
    thief = Site(index, load_settings(data=thief_data))
    thief.act(20)
    thief.log()
    thief.settings = thief.settings.model_copy(update={"witnesses": near.path})
    honest, near.site = near.site, thief
    near.begin()
    near.asking.ask_all()
    assert near.note(COSIGNING) is None
    thief.act()
    assert thief.ledger.log_some() == 0
    assert "does not continue what it has cosigned" in str(thief.alarm())
    thief.ledger.close()
    index.close()
    # The honest one goes on.
    near.site = honest
    near.begin()
    honest.act()
    honest.log()
    near.asking.ask_all()
    assert near.size(COSIGNED) == 6


def test_a_refusal_stands_until_that_witness_cosigns_again(near: Neighbours) -> None:
    near.behave["a"] = lambda _: httpx.Response(422)
    near.begin()
    near.site.act()
    assert near.site.ledger.log_some() == 0
    # It cannot be silenced by cutting it off.
    near.behave["a"] = away
    near.site.clock.advance(3600 * SECOND)
    near.asking.ask_all()
    assert near.site.ledger.log_some() == 0
    del near.behave["a"]
    near.site.clock.advance(3600 * SECOND)
    near.asking.ask_all()
    assert near.site.ledger.log_some() > 0
    assert near.site.alarm() is None


@pytest.mark.parametrize("name", [COSIGNED, COSIGNING])
@pytest.mark.parametrize("data", [b"", b"noise", "\xff".encode("latin-1")])
def test_what_was_gathered_is_gathered_anew_if_it_is_damaged(
    near: Neighbours, name: str, data: bytes
) -> None:
    (near.site.folder / name).write_bytes(data)
    assert _shard_files(near.site.settings, "2023", [2])
    near.begin()
    near.asking.ask_all()
    near.site.act()
    near.site.log()
    near.asking.ask_all()
    assert near.size(name) == near.size("checkpoint")
    assert alarm(near.site) is None


def test_a_witness_that_errs_can_be_taken_out(near: Neighbours) -> None:
    near.behave["a"] = lambda _: httpx.Response(409, content=b"999\n")
    near.begin()
    near.site.act()
    assert near.site.ledger.log_some() == 0
    assert "take it out of BIDWITNESS_WITNESSES" in str(near.site.alarm())
    del near.witnesses["a"]
    near.quorum = "group enough 2 b c\nquorum enough"
    near.path.write_text(near.lines())
    assert near.site.ledger.log_some() == 1
    near.asking.ask_all()
    assert near.size(COSIGNED) == 6
    assert near.site.alarm() is None


def test_what_was_cosigned_is_held_against_the_log(near: Neighbours) -> None:
    assert near.site.problems() == []
    path = near.site.folder / COSIGNED
    note = read_note(path.read_bytes())
    for change, said in (
        (("\n5\n", "\n9\n"), "an old copy"),
        (("\n5\n", "\n4\n"), "another log"),
    ):
        path.write_bytes(write_note(note.text.replace(*change), note.signatures))
        (problem,) = near.site.problems()
        assert said in problem.detail


def test_a_wrong_setting_alarms_and_stops_nothing(near: Neighbours) -> None:
    near.path.write_text("witness a what http://a.example/\nquorum a\n")
    near.site.act()
    assert near.site.ledger.log_some() == 1
    assert near.asking.ask_all() == 0
    assert "line 1 of the policy" in str(alarm(near.site))
    near.path.write_text(f"witness a {near.witnesses['a'].key}\nquorum a\n")
    near.begin()
    near.asking.ask_all()
    near.path.write_text(near.lines())
    near.asking.ask_all()
    assert alarm(near.site) is None


def test_a_new_witness_learns_the_log_from_its_start(near: Neighbours, tmp_path: Path) -> None:
    # It is asked as soon as it stands in the settings, and knows the log when it has been told.
    near.witnesses["d"] = opened_witness(tmp_path / "near/d", near.site.clock)
    near.names = (*near.names, "d")
    near.quorum = "group enough all a b c d\nquorum enough"
    near.path.write_text(near.lines())
    near.introduce()
    near.asking.ask_all()
    assert len(read_note(near.note(COSIGNED) or b"").signatures) == 5


def test_who_comes_and_who_goes_stands_in_the_log(near: Neighbours) -> None:
    def rosters() -> list[tuple[str, str]]:
        near.site.log()
        entries = near.site.entries()
        return [(e.role, e.key) for e in entries if isinstance(e, RosterEntry)][1:]

    near.begin()
    near.asking.ask_all()
    keys = {name: str(witness.key) for name, witness in near.witnesses.items()}
    assert rosters() == sorted(("witness", key) for key in keys.values())
    near.quorum = "quorum b"
    near.behave["a"] = away
    del near.witnesses["a"]
    near.path.write_text(near.lines() + "timestamp t QUFB http://t.example\n")
    near.asking.ask_all()
    near.asking.ask_all()
    authority = ("timestamp", f"sha256:{hashlib.sha256(b'AAA').hexdigest()}")
    assert rosters()[3:] == [authority, ("witness_gone", keys["a"])]
    near.begin()
    near.asking.ask_all()
    assert len(rosters()) == 5
    # It comes back.
    near.path.write_text(f"witness a {keys['a']} http://a.example\nquorum a\n")
    near.asking.ask_all()
    assert ("witness", keys["a"]) in rosters()[5:]
    assert ("timestamp_gone", authority[1]) in rosters()[5:]

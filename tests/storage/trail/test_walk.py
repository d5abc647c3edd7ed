"""What the owner of the database does to the trail is found and named; what honest programs do is not."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select
from support.ledger_site import Site
from support.trail import by_sql, copy_of, walk

from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.entries import audit_commitment
from bidwitness.storage.index.audit import Who, audit_facts, leave_audit_entry
from bidwitness.storage.index.commitments import committed_event
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, Outbox
from bidwitness.storage.index.signet import Signet
from bidwitness.words import TrailFault

COUNT = 9


def logged(site: Site, count: int = COUNT) -> Site:
    for number in range(count):
        site.clock.sleep(1)
        site.act(name=f"act.{number + 1}")
    site.log()
    return site


def named(site: Site) -> list[tuple[str, int | None, int | None]]:
    return [(item.fault.value, item.first, item.last) for item in walk(site)]


def test_honest_work_is_found_as_it_is(site: Site) -> None:
    logged(site)
    assert walk(site) == []


def test_what_is_not_logged_yet_is_no_attack(site: Site) -> None:
    """The log may stand still for long: what waits is told as waiting, and nothing is accused."""
    logged(site)
    site.act(3)
    assert walk(site) == []
    site.clock.sleep(601)
    (found,) = walk(site)
    assert (found.fault, found.first, found.last) == (TrailFault.WAITING, COUNT + 1, COUNT + 3)
    assert not found.fault.is_attack


def test_a_crash_before_the_index_was_told_is_no_attack(site: Site) -> None:
    logged(site)
    by_sql(site.index, "UPDATE outbox SET shard = NULL, position = NULL WHERE id > 4")
    assert walk(site) == []
    site.restart()
    site.log()
    assert walk(site) == []


def test_a_new_year_is_no_attack(site: Site) -> None:
    logged(site)
    site.clock.sleep(60 * 86_400)
    logged(site)
    assert {row.shard for row in site.rows()} == {"2023", "2024"}
    assert walk(site) == []


EDITS = (
    "who = 'nobody'",
    "at_us = at_us - 1",
    "action = 'session.look'",
    "subject = 'session:y'",
    "allowed = NOT allowed",
    "address = '10.0.0.1'",
    "reason = 'because'",
    "facts = '{}'",
)
AN_EDIT = "UPDATE audit_entries SET who = 'nobody' WHERE id = 6"


def test_an_edited_row(site: Site) -> None:
    """Whatever is changed in it."""
    logged(site, 2 * len(EDITS))
    for number, edit in enumerate(EDITS, 1):
        by_sql(site.index, f"UPDATE audit_entries SET {edit} WHERE id = {2 * number}")
    assert named(site) == [("edited", 2 * n, 2 * n) for n in range(1, len(EDITS) + 1)]


def test_an_edited_row_whose_commitment_was_made_anew(site: Site) -> None:
    """The owner knows how commitments are made, and knows the salt."""
    logged(site)
    by_sql(site.index, AN_EDIT)
    make_anew(site, 6)
    assert named(site) == [("edited", 6, 6)]


def test_an_edited_row_that_is_to_be_logged_anew(site: Site) -> None:
    logged(site)
    by_sql(site.index, AN_EDIT, "UPDATE outbox SET shard = NULL WHERE key = 'audit:6'")
    make_anew(site, 6)
    for _ in range(2):
        # The row is not what stood there, and what is there now is of another hand.
        assert named(site) == [
            ("inserted", 6, 6),
            ("removed", 6, 6),
        ] or named(site) == [("inserted", 6, 6), ("set_back", None, None)]
        site.restart()
        site.log()


def test_a_row_edited_before_it_was_logged(site: Site) -> None:
    logged(site)
    site.act()
    by_sql(site.index, "UPDATE audit_entries SET who = 'nobody' WHERE id = 10")
    assert named(site) == [("edited", 10, 10)]
    site.log()
    assert named(site) == [("edited", 10, 10)]


def test_a_row_that_cannot_be_read(site: Site) -> None:
    """What would stop the walk is found by it."""
    logged(site)
    # PostgreSQL takes no text that is not JSON, but any JSON.
    facts = "{" if site.index.is_sqlite else "7"
    by_sql(site.index, f"UPDATE audit_entries SET facts = '{facts}' WHERE id = 6")
    assert named(site) == [("edited", 6, 6)]


@pytest.mark.parametrize("first", [1, 6])
def test_a_removed_row(site: Site, first: int) -> None:
    logged(site)
    by_sql(site.index, f"DELETE FROM audit_entries WHERE id BETWEEN {first} AND {first + 1}")
    assert named(site) == [("removed", first, first + 1)]


def test_a_removed_row_with_all_that_spoke_of_it(site: Site) -> None:
    """Nothing is left but the commitment in the log, and the hole in the numbers."""
    logged(site)
    by_sql(
        site.index,
        "DELETE FROM audit_entries WHERE id IN (5, 6)",
        "DELETE FROM outbox WHERE key IN ('audit:5', 'audit:6')",
    )
    (found,) = walk(site)
    assert (found.fault, found.first, found.last) == (TrailFault.REMOVED, 5, 6)
    # Four seconds and seven, by the rows around them.
    start = 1_700_000_000_000_000
    assert found.after_us == start + 4_000_000
    assert found.before_us == start + 7_000_000


def test_a_removed_row_whose_place_in_the_log_was_hidden(site: Site) -> None:
    logged(site)
    by_sql(
        site.index,
        "DELETE FROM audit_entries WHERE id = 6",
        "UPDATE outbox SET position = 999 WHERE key = 'audit:6'",
    )
    assert named(site) == [("removed", 6, 6)]


def test_a_row_removed_before_it_was_logged(site: Site) -> None:
    logged(site)
    site.act()
    by_sql(site.index, "DELETE FROM audit_entries WHERE id = 10")
    assert named(site) == [("removed", 10, 10)]


def test_the_newest_rows_removed(site: Site) -> None:
    logged(site)
    by_sql(
        site.index,
        "DELETE FROM audit_entries WHERE id > 7",
        "DELETE FROM outbox WHERE key IN ('audit:8', 'audit:9')",
    )
    (found,) = walk(site)
    assert (found.fault, found.count) == (TrailFault.SET_BACK, 2)


def test_everything_removed(site: Site) -> None:
    logged(site)
    by_sql(site.index, "DELETE FROM audit_entries", "DELETE FROM outbox")
    (found,) = walk(site)
    assert (found.fault, found.count) == (TrailFault.SET_BACK, COUNT)


INSERT = (
    "INSERT INTO audit_entries (id, at_us, who, action, subject, allowed) "
    "VALUES (:id, :at, 'somebody', 'grant.make', 'session:x', {true})"
)


def insert(site: Site, number: int) -> None:
    truth = "1" if site.index.is_sqlite else "true"
    by_sql(site.index, INSERT.format(true=truth), id=number, at=site.clock.utc_us())


def test_an_inserted_row(site: Site) -> None:
    logged(site)
    insert(site, 50)
    assert named(site) == [("inserted", 50, 50)]


def test_an_inserted_row_with_all_that_will_log_it(site: Site) -> None:
    """The owner makes the commitment, and the keeper logs it: what lacks is the site's mark."""
    logged(site)
    insert(site, 10)
    owner = Database(site.index.engine)
    with owner.write() as orm:
        event = committed_event("audit", 10, audit_facts(orm.get_one(AuditEntry, 10)))
        commitment = audit_commitment(b"salt" * 4, event)
        entry = {"v": 1, "t": "audit", "commitment": commitment}
        body = {"salt": (b"salt" * 4).hex(), "entry": entry, "signet": "0" * 64}
        orm.add(Outbox(kind="audit", key="audit:10", body=body, at_us=site.clock.utc_us()))
    assert named(site) == [("inserted", 10, 10)]
    site.log()
    assert named(site) == [("inserted", 10, 10)]


def test_a_mark_is_of_one_row_alone(site: Site) -> None:
    logged(site)
    insert(site, 10)
    copied = "INSERT INTO outbox (kind, key, body, at_us) SELECT kind, 'audit:10', body, at_us"
    by_sql(site.index, f"{copied} FROM outbox WHERE key = 'audit:9'")
    assert named(site) == [("edited", 10, 10)]


SWAP = (
    "UPDATE audit_entries SET id = 999 WHERE id = 4",
    "UPDATE audit_entries SET id = 4 WHERE id = 7",
    "UPDATE audit_entries SET id = 7 WHERE id = 999",
)
SWAP_OUTBOX = (
    "UPDATE outbox SET key = 'x' WHERE key = 'audit:4'",
    "UPDATE outbox SET key = 'audit:4' WHERE key = 'audit:7'",
    "UPDATE outbox SET key = 'audit:7' WHERE key = 'x'",
)


@pytest.mark.parametrize("statements", [SWAP, SWAP + SWAP_OUTBOX], ids=["rows", "and outbox"])
def test_reordered_rows(site: Site, statements: tuple[str, ...]) -> None:
    logged(site)
    by_sql(site.index, *statements)
    found = walk(site)
    assert [(f.fault, f.first, f.other) for f in found] == [
        (TrailFault.REORDERED, 4, 7),
        (TrailFault.REORDERED, 7, 4),
    ]


def test_places_exchanged(site: Site) -> None:
    logged(site)
    by_sql(
        site.index,
        "UPDATE outbox SET position = 999 WHERE key = 'audit:4'",
        "UPDATE outbox SET position = 5 WHERE key = 'audit:7'",
        "UPDATE outbox SET position = 8 WHERE key = 'audit:4'",
    )
    found = walk(site)
    assert [(f.fault, f.first) for f in found] == [
        (TrailFault.REORDERED, 4),
        (TrailFault.REORDERED, 7),
    ]
    assert "stands at 5" in found[0].why


def test_yesterdays_database(site: Site, tmp_path: Path) -> None:
    """It is found before anything new is written, and when work has gone on and numbers came again."""
    logged(site)
    with copy_of(site.index, tmp_path) as yesterday:
        logged(site, 4)
        assert walk(site) == []
        site.ledger.close()
        later = replace(site, index=yesterday)
        (found,) = walk(later)
        assert (found.fault, found.count) == (TrailFault.SET_BACK, 4)
        logged(later, 6)
        (found,) = walk(later)
        assert (found.fault, found.count) == (TrailFault.SET_BACK, 4)
        assert found.shard == "2023"
        later.ledger.close()


def test_a_restore_that_somebody_answered_for(site: Site, tmp_path: Path) -> None:
    """What a person said with a reason, and the log has committed to, is told and not accused."""
    logged(site)
    with copy_of(site.index, tmp_path) as yesterday:
        logged(site, 4)
        size = site.tiles().size
        site.ledger.close()
        later = replace(site, index=yesterday)
        with later.index.write() as orm:
            leave_audit_entry(
                *(orm, Who("command line"), "log.confirm", "log:2023", later.clock.utc_us()),
                reason="the disk had failed",
                facts={"size": size},
            )
        later.log()
        (found,) = walk(later)
        assert (found.fault, found.count, found.why) == (
            *(TrailFault.STATED, 4, "the disk had failed"),
        )
        later.ledger.close()


def test_a_log_that_was_changed_is_no_witness(site: Site) -> None:
    logged(site)
    for bundle in site.folder.glob("tile/entries/000.p/*"):
        data = bundle.read_bytes()
        bundle.write_bytes(data.replace(b'"t":"audit"', b'"t":"audis"', 1))
    assert named(site)[0][0] == "log"


def test_a_log_that_is_gone(site: Site) -> None:
    logged(site)
    site.ledger.close()
    shutil.rmtree(site.folder)
    assert named(site) == [("log", None, None)]


def test_without_the_key_that_is_said(site: Site) -> None:
    logged(site)
    site.settings.signet_key_file.unlink()
    fresh = replace(site, index=Database(site.index.engine, Signet(site.settings.signet_key_file)))
    (found,) = walk(fresh)
    assert found.fault is TrailFault.LOG
    assert "audit.key" in found.why


def make_anew(site: Site, number: int) -> None:
    """Commit to a row as it is now, with its own salt, as its owner may in the index."""
    with Database(site.index.engine).write() as orm:
        row = orm.scalars(select(Outbox).where(Outbox.key == f"audit:{number}")).one()
        event = committed_event("audit", number, audit_facts(orm.get_one(AuditEntry, number)))
        entry = {
            **row.body["entry"],
            "commitment": audit_commitment(bytes.fromhex(row.body["salt"]), event),
        }
        assert canonical(entry)
        row.body = {**row.body, "entry": entry}

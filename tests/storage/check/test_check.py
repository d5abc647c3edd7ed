"""Every kind of damage is found, and nothing else."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from bidwitness.errors import DamageFound
from bidwitness.storage.check.command import run_check
from bidwitness.storage.check.problems import Fault, Part
from bidwitness.storage.evidence.canonical import canonical, parse
from bidwitness.storage.index.models import FragmentTable, Garbage, Record, RecordObject, Segment

# The fixture's own type is in conftest.py, which cannot be imported.
Site = Any


def test_a_site_as_it_should_be_has_no_problem(site: Site) -> None:
    assert site.check_index() == []
    site.keep()
    assert site.check_index() == []
    assert site.check_store() == []


def overwrite(site: Site) -> None:
    path = site.file_in_store()
    path.chmod(0o640)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


def shorten(site: Site) -> None:
    path = site.file_in_store()
    path.chmod(0o640)
    os.truncate(path, 100)


def lose(site: Site) -> None:
    site.file_in_store().unlink()


@pytest.mark.parametrize("harm", [overwrite, shorten, lose])
def test_damage_in_the_store(site: Site, harm: Callable[[Site], None]) -> None:
    site.keep()
    harm(site)
    (problem,) = site.check_store()
    assert problem.fault == Fault.DIFFERS
    assert site.segments()[0].store_key in problem.subject


@pytest.mark.parametrize("lost", [False, True])
def test_damage_of_the_records_beside_the_media(site: Site, lost: bool) -> None:
    site.keep()
    path = next(site.store.root.rglob("records-*"))
    path.chmod(0o640)
    if lost:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"segment", b"segmemt"))
    (problem,) = site.check_store()
    assert problem.fault == (Fault.MISSING if lost else Fault.DIFFERS)


def test_what_nobody_knows_of_is_said_but_is_no_damage(site: Site) -> None:
    site.keep()
    with site.index.write() as orm:
        segment = site.segments()[0]
        orm.execute(delete(FragmentTable).where(FragmentTable.segment_id == segment.id))
        orm.execute(delete(Segment).where(Segment.id == segment.id))
        orm.execute(delete(RecordObject).where(RecordObject.stream_id == segment.stream_id))
    found = site.check_store()
    assert [problem.fault for problem in found] == [Fault.UNKNOWN, Fault.UNKNOWN]
    assert not any(problem.is_damage for problem in found)


def test_what_waits_for_its_removal_is_no_problem(site: Site) -> None:
    site.keep()
    segment = site.segments()[0]
    with site.index.write() as orm:
        orm.get_one(Segment, segment.id).removed_us = 1
        orm.add(
            Garbage(
                segment_id=segment.id,
                spool_path=segment.spool_path,
                store_key=segment.store_key,
                store_version=segment.store_version,
                reason="its loop is over",
                at_us=1,
            )
        )
    assert site.check_store() == []
    assert site.check_index() == []


def test_a_spool_file_that_is_gone_torn_or_unknown(site: Site) -> None:
    first, second = (site.spool / str(s.spool_path) for s in site.segments()[:2])
    first.unlink()
    os.truncate(second, 10)
    stray = second.with_name(second.name.replace("-000001", "-000009"))
    stray.write_bytes(b"a file that no record speaks of")
    found = {problem.fault: problem for problem in site.check_index()}
    assert set(found) == {Fault.MISSING, Fault.DIFFERS, Fault.UNKNOWN}
    assert str(first) in found[Fault.MISSING].detail
    assert str(stray) in found[Fault.UNKNOWN].subject


def test_a_copy_that_was_evicted_is_no_problem(site: Site) -> None:
    site.keep()
    (site.spool / str(site.segments()[0].spool_path)).unlink()
    assert site.check_index() == []


def test_a_segment_that_lies_nowhere(site: Site) -> None:
    with site.index.write() as orm:
        orm.execute(
            update(Segment).where(Segment.id == site.segments()[0].id).values(spool_path=None)
        )
    found = site.check_index()
    assert Fault.MISSING in {problem.fault for problem in found}


def change(**values: object) -> Callable[[Site], None]:
    def act(site: Site) -> None:
        with site.index.write() as orm:
            orm.execute(update(Segment).where(Segment.id == site.segments()[0].id).values(values))

    return act


def alter_a_body(site: Site) -> None:
    with site.index.write() as orm:
        record = orm.scalars(select(Record).where(Record.seq == 1)).first()
        assert record is not None and record.body is not None
        body = parse(record.body.encode())
        record.body = canonical({**body, "pieces": 99}).decode()


def spoil_a_body(site: Site) -> None:
    with site.index.write() as orm:
        record = orm.scalars(select(Record).where(Record.seq == 1)).first()
        assert record is not None
        record.body = "{not json"


def spoil_a_table(site: Site) -> None:
    with site.index.write() as orm:
        orm.execute(update(FragmentTable).values(body=b"\x07"))


@pytest.mark.parametrize(
    ("harm", "faults"),
    [
        (change(sha256=b"0" * 32), {Fault.DIFFERS}),
        (change(from_us=1), {Fault.DIFFERS}),
        (change(init_id="f" * 64), {Fault.DIFFERS}),
        (alter_a_body, {Fault.DIFFERS}),
        (spoil_a_body, {Fault.UNREADABLE}),
        (spoil_a_table, {Fault.UNREADABLE}),
    ],
)
def test_rows_that_say_another_than_the_records(
    site: Site, harm: Callable[[Site], None], faults: set[Fault]
) -> None:
    harm(site)
    assert {problem.fault for problem in site.check_index()} == faults


def test_a_record_that_is_missing_breaks_the_chain(site: Site) -> None:
    with site.index.write() as orm:
        record = orm.scalars(select(Record).where(Record.seq == 1)).first()
        assert record is not None
        segment = select(Segment.id).where(Segment.record_id == record.id)
        number = orm.scalars(segment).one()
        orm.execute(delete(FragmentTable).where(FragmentTable.segment_id == number))
        orm.execute(delete(Segment).where(Segment.id == number))
        orm.delete(record)
    assert Fault.CHAIN in {problem.fault for problem in site.check_index()}


def test_the_command_says_what_it_found(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    settings = site.settings.model_copy(update={"database": str(site.index.engine.url)})
    site.keep()
    run_check(settings, Part.ALL)
    said = capsys.readouterr().out
    assert "index: 12 looked at, 0 damaged" in said  # six records with a segment each
    assert "store: 8 looked at, 0 damaged" in said  # six segments, two objects of records
    overwrite(site)
    with pytest.raises(DamageFound, match="1 damaged"):
        run_check(settings, Part.STORE)
    assert "differs" in capsys.readouterr().out
    run_check(settings, Part.LEDGER)
    assert "ledger: " in capsys.readouterr().out

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from support.clock import FakeClock
from support.factories import PERSON, a_project

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry, PhaseChange
from bidwitness.storage.sessions.projects import (
    NewLot,
    NewProject,
    change_phase,
    create_project,
    find_lot,
    is_step_back,
    list_projects,
)
from bidwitness.words import LotPhase


def test_a_project_without_lots_has_the_one_lot(index: Database) -> None:
    clock = FakeClock()
    with index.write() as orm:
        project = a_project(orm, clock, "P-1")
        assert [(lot.code, lot.phase) for lot in project.lots] == [("-", LotPhase.REGISTERED)]
    with index.read() as orm:
        assert find_lot(orm, "P-1", None).project.code == "P-1"
        assert orm.scalars(select(AuditEntry.action)).all() == ["project.create"]


def test_what_is_wrong_is_named(index: Database) -> None:
    clock = FakeClock()
    with index.write() as orm:
        a_project(orm, clock, "P-1", "1", "2")
    with pytest.raises(InvalidInput) as caught, index.write() as orm:
        lots = (NewLot("1"), NewLot("1"), NewLot(" "))
        create_project(orm, clock, PERSON, NewProject("  ", "", lots=lots))
    assert set(caught.value.fields) == {"code", "name", "lots.1.code", "lots.2.code"}
    with pytest.raises(Conflict, match="P-1"), index.write() as orm:
        a_project(orm, clock, "P-1")
    with index.read() as orm:
        with pytest.raises(InvalidInput, match="Create the project first") as caught:
            find_lot(orm, "P-9", None, field="items.0.")
        assert caught.value.fields == {"items.0.project_code": "create the project first"}
        with pytest.raises(InvalidInput, match="several lots: 1, 2"):
            find_lot(orm, "P-1", None)
        with pytest.raises(InvalidInput, match="no lot 3"):
            find_lot(orm, "P-1", "3")
        assert find_lot(orm, "P-1", "2").code == "2"


def test_projects_are_found_by_a_part_of_code_or_name(index: Database) -> None:
    clock = FakeClock()
    with index.write() as orm:
        for code in ("A-1", "A_1", "B-1"):
            a_project(orm, clock, code)
            clock.sleep(1)
    with index.read() as orm:

        def found(q: str | None = None) -> list[str]:
            return [project.code for project in list_projects(orm, q)[0]]

        assert found() == ["B-1", "A_1", "A-1"]
        assert found("a-") == ["A-1"]
        assert found("_") == ["A_1"], "a wildcard is only a letter"
        assert found("项目 B") == ["B-1"]
        page, place = list_projects(orm, limit=2)
        rest, end = list_projects(orm, limit=2, after=place)
        assert [p.code for p in page + rest] == ["B-1", "A_1", "A-1"]
        assert end is None


def test_a_phase_goes_on_freely_and_back_by_a_document(index: Database) -> None:
    clock = FakeClock()
    with index.write() as orm:
        lot = a_project(orm, clock).lots[0].id
        change_phase(orm, clock, PERSON, lot, LotPhase.EVALUATING, at_us=clock.utc_us() - 5)
    with pytest.raises(Conflict, match="already"), index.write() as orm:
        change_phase(orm, clock, PERSON, lot, LotPhase.EVALUATING)
    with pytest.raises(Conflict, match="document_no"), index.write() as orm:
        change_phase(orm, clock, PERSON, lot, LotPhase.OPENING)
    with pytest.raises(InvalidInput, match="future"), index.write() as orm:
        change_phase(orm, clock, PERSON, lot, LotPhase.FAILED, at_us=clock.utc_us() + 1)
    with pytest.raises(NotFound), index.write() as orm:
        change_phase(orm, clock, PERSON, "nobody", LotPhase.FAILED)
    with index.write() as orm:
        change_phase(orm, clock, PERSON, lot, LotPhase.OPENING, document_no="文〔2026〕1号")
    with index.read() as orm:
        rows = orm.scalars(select(PhaseChange).order_by(PhaseChange.id)).all()
        assert [(r.phase, r.document_no) for r in rows] == [
            (LotPhase.EVALUATING, None),
            (LotPhase.OPENING, "文〔2026〕1号"),
        ]
        assert rows[0].at_us == clock.utc_us() - 5


@given(st.sampled_from(LotPhase), st.sampled_from(LotPhase))
def test_a_step_is_never_free_both_ways(one: LotPhase, other: LotPhase) -> None:
    if one != other:
        assert is_step_back(one, other) or is_step_back(other, one)

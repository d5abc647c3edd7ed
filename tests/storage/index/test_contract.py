"""One suite for both databases."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bidwitness.errors import ConfigError, Conflict, IndexUnavailable
from bidwitness.storage.evidence.entries import audit_commitment
from bidwitness.storage.index.audit import Who, audit_facts, leave_audit_entry
from bidwitness.storage.index.claims import save_claim
from bidwitness.storage.index.commitments import committed_event
from bidwitness.storage.index.database import Database, open_database, upgrade
from bidwitness.storage.index.models import (
    AuditEntry,
    Base,
    Camera,
    Claim,
    Event,
    Outbox,
    Room,
    Session,
    Site,
    Stream,
)
from bidwitness.words import ClaimClass, Condition, RoomKind, SessionKind, SessionState, StreamRole

HOUR = 3_600_000_000


def a_stream(index: Database) -> str:
    with index.write() as orm:
        site = Site(code="s", name="site")
        orm.add(site)
        orm.flush()
        room = Room(site_id=site.id, name="评标室一", kind=RoomKind.EVALUATION)
        orm.add(room)
        orm.flush()
        camera = Camera(room_id=room.id, name="c", created_us=0)
        orm.add(camera)
        orm.flush()
        stream = Stream(camera_id=camera.id, role=StreamRole.MAIN, address="rtsp://h/m")
        orm.add(stream)
        orm.flush()
        return stream.id


def a_session(index: Database) -> str:
    with index.write() as orm:
        session = Session(
            kind=SessionKind.OPENING,
            state=SessionState.SCHEDULED,
            condition=Condition.RUNNING,
            planned_from_us=0,
            planned_to_us=HOUR,
            created_us=0,
            created_by="test",
        )
        orm.add(session)
        orm.flush()
        return session.id


def a_claim(session: str, stream: str, start: int, end: int | None, **more: object) -> Claim:
    return Claim(
        session_id=session,
        stream_id=stream,
        from_us=start,
        to_us=end,
        klass=more.get("klass", ClaimClass.OWN),
        made_us=0,
        made_by="test",
    )


def test_the_migration_makes_exactly_the_models(index: Database) -> None:
    with index.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
    # Strings of 4000 and more are TEXT in the migration; their length is checked by the API.
    assert [d for d in differences if "modify_type" not in str(d)] == []


def test_upgrading_twice_and_at_once_changes_nothing(index: Database) -> None:
    errors: list[BaseException] = []

    def again() -> None:
        try:
            upgrade(index)
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=again) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_index_of_a_newer_program_is_refused(index: Database) -> None:
    with index.write() as orm:
        orm.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="9999"):
        upgrade(index)


def test_a_block_that_raises_leaves_nothing(index: Database) -> None:
    with pytest.raises(ZeroDivisionError), index.write() as orm:
        orm.add(Event(at_us=1, kind="k", source="s"))
        orm.flush()
        _ = 1 // 0
    with index.read() as orm:
        assert orm.scalar(select(func.count()).select_from(Event)) == 0


def test_foreign_keys_hold(index: Database) -> None:
    with pytest.raises(IntegrityError), index.write() as orm:
        orm.add(Room(site_id="nobody", name="x", kind=RoomKind.DUTY))


def test_words_come_back_as_words(index: Database) -> None:
    stream = a_stream(index)
    with index.read() as orm:
        found = orm.get_one(Stream, stream)
        assert found.role is StreamRole.MAIN
        assert found.camera.room.kind.zh == "评标(评审)室"


def test_six_writers_that_read_first_all_commit(index: Database) -> None:
    """With a plain BEGIN half of these are refused at once on SQLite."""
    a_session(index)
    each = 25
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(each):
                with index.write() as orm:
                    orm.scalar(select(func.count()).select_from(Event))
                    orm.add(Event(at_us=1, kind="k", source="s"))
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with index.read() as orm:
        assert orm.scalar(select(func.count()).select_from(Event)) == 6 * each


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, HOUR), (HOUR // 2, 2 * HOUR), (-HOUR, 1), (HOUR - 1, None), (10, 20)],
)
def test_one_owner(index: Database, start: int, end: int | None) -> None:
    stream, first, second = a_stream(index), a_session(index), a_session(index)
    with index.write() as orm:
        save_claim(orm, a_claim(first, stream, 0, HOUR))
    with pytest.raises(Conflict, match=first), index.write() as orm:
        save_claim(orm, a_claim(second, stream, start, end))


def test_claims_that_touch_or_link_are_fine(index: Database) -> None:
    stream, first, second = a_stream(index), a_session(index), a_session(index)
    with index.write() as orm:
        save_claim(orm, a_claim(first, stream, 0, HOUR))
        save_claim(orm, a_claim(second, stream, HOUR, None))
        save_claim(orm, a_claim(first, stream, 0, None, klass=ClaimClass.LINKED))
    with index.read() as orm:
        assert orm.scalar(select(func.count()).select_from(Claim)) == 3


def test_a_claim_grows_over_itself_but_not_over_another(index: Database) -> None:
    stream, first, second = a_stream(index), a_session(index), a_session(index)
    with index.write() as orm:
        mine = save_claim(orm, a_claim(first, stream, 0, HOUR))
        save_claim(orm, a_claim(second, stream, 2 * HOUR, None))
    with index.write() as orm:
        claim = orm.get_one(Claim, mine.id)
        claim.to_us = 2 * HOUR
        save_claim(orm, claim)
    with pytest.raises(Conflict), index.write() as orm:
        claim = orm.get_one(Claim, mine.id)
        claim.to_us = 3 * HOUR
        save_claim(orm, claim)


def test_two_writers_race_for_one_stream(index: Database) -> None:
    stream, sessions = a_stream(index), [a_session(index) for _ in range(4)]
    barrier = threading.Barrier(len(sessions))
    outcomes: list[str] = []

    def claim(session: str) -> None:
        barrier.wait()
        try:
            with index.write() as orm:
                save_claim(orm, a_claim(session, stream, 0, HOUR))
            outcomes.append("got it")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=claim, args=(s,)) for s in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["got it", "refused", "refused", "refused"]


def test_an_audit_entry_comes_with_its_outbox_row_and_stays(index: Database) -> None:
    with index.write() as orm:
        entry = leave_audit_entry(
            orm, Who("管理员"), "session.start", "session:x", 5, reason="see rtsp://u:p@h/1"
        )
    with index.read() as orm:
        outbox = orm.scalars(select(Outbox)).one()
        salt = bytes.fromhex(outbox.body["salt"])
        row = orm.get_one(AuditEntry, entry.id)
        assert outbox.key == f"audit:{entry.id}"
        # What the log will say can be computed from the row again, and from nothing else.
        event = committed_event("audit", row.id, audit_facts(row))
        assert outbox.body["entry"]["commitment"] == audit_commitment(salt, event)
        assert "u:p" not in str(orm.get_one(AuditEntry, entry.id).reason)
    for statement in ("UPDATE audit_entries SET who = 'x'", "DELETE FROM audit_entries"):
        with pytest.raises(DBAPIError, match="only ever added"), index.write() as orm:
            orm.execute(text(statement))


def test_a_file_that_is_no_index_says_so(tmp_path: Path) -> None:
    broken = tmp_path / "index.db"
    broken.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 64)
    database = open_database(f"sqlite:///{broken}")
    with pytest.raises(IndexUnavailable, match="damaged"):
        upgrade(database)
    database.close()


def test_a_server_that_is_not_there_says_so() -> None:
    database = open_database("postgresql+psycopg://nobody:s3cret@127.0.0.1:1/x")
    with pytest.raises(IndexUnavailable) as refused, database.read() as orm:
        orm.execute(text("SELECT 1"))
    assert "s3cret" not in refused.value.detail
    database.close()

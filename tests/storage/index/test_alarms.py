import threading

from sqlalchemy import select

from bidwitness.storage.index.alarms import clear_alarm, open_alarm, raise_alarm
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Alarm


def test_raising_again_changes_nothing_until_it_is_cleared(index: Database) -> None:
    with index.write() as orm:
        first = raise_alarm(orm, "overlap", "session:a", 1, cause="rtsp://u:p@h/1 is taken")
        again = raise_alarm(orm, "overlap", "session:a", 2, cause="later")
        assert again.id == first.id
        assert again.raised_us == 1
        raise_alarm(orm, "overlap", "session:b", 2, cause="another subject")
    with index.write() as orm:
        assert clear_alarm(orm, "overlap", "session:a", 3)
        assert not clear_alarm(orm, "overlap", "session:a", 4)
        assert raise_alarm(orm, "overlap", "session:a", 5, cause="anew").id != first.id
    with index.read() as orm:
        rows = list(orm.scalars(select(Alarm).where(Alarm.subject == "session:a")))
        assert sorted((a.raised_us, a.cleared_us) for a in rows) == [(1, 3), (5, None)]
        assert "u:p" not in str(rows[0].cause) + str(rows[1].cause)


def test_processes_that_notice_at_once_make_one_alarm(index: Database) -> None:
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def notice() -> None:
        barrier.wait()
        try:
            with index.write() as orm:
                raise_alarm(orm, "disk", "volume:a", 1, cause="full")
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=notice) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with index.read() as orm:
        assert open_alarm(orm, "disk", "volume:a") is not None
        assert len(list(orm.scalars(select(Alarm)))) == 1

"""The journal: what is whole is read, what is torn is left, what is changed is damage."""

from pathlib import Path

import pytest

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.records import GapFacts, first_place, gap_record, next_place
from bidwitness.storage.spool import journal
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.spool.journal import (
    encode_line,
    journal_days,
    last_entries,
    read_journal,
    repair_journal,
)
from bidwitness.storage.spool.layout import journal_path

START = 1_700_000_000_000_000
STREAM = "cam1main"


def lines(count: int) -> list[bytes]:
    out: list[bytes] = []
    place = first_place("site-1", "recorder-1", STREAM, START)
    for number in range(count):
        start = START + number * 1_000_000
        record = gap_record(GapFacts(place, "stall", "all", start, start + 500_000))
        out.append(encode_line(record, {"path": f"名字{number}"}))
        place = next_place(record, start, "recorder-1")
    return out


def written(folder: Path, data: bytes, day: str = "20231114") -> Path:
    path = journal_path(folder, STREAM, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_records_are_read_from_where_one_stopped(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(lines(3)))
    first, *rest = read_journal(path)
    assert first.facts == {"path": "名字0"}
    assert [entry.read().place.seq for entry in read_journal(path, first.end)] == [1, 2]
    assert rest[-1].end == path.stat().st_size
    assert list(read_journal(tmp_path / "none")) == []


def test_a_last_line_without_its_end_is_not_there_yet(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(lines(2))[:-1])
    assert len(list(read_journal(path))) == 1


def test_a_changed_record_is_damage(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(lines(2)).replace(b'"stall"', b'"clock"', 1))
    with pytest.raises(DamageFound, match="not the one"):
        list(read_journal(path))


@pytest.mark.parametrize("torn", [1, 30, 200])
def test_repair_cuts_a_torn_tail_once(tmp_path: Path, torn: int) -> None:
    whole = lines(3)
    path = written(tmp_path, b"".join(whole)[:-torn])
    assert repair_journal(SystemFiles(), path) == len(whole[2]) - torn
    assert path.read_bytes() == b"".join(whole[:2])
    assert repair_journal(SystemFiles(), path) == 0


def test_repair_cuts_zeroes_that_a_power_cut_left(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(lines(2)) + bytes(100))
    assert repair_journal(SystemFiles(), path) == 100


def test_repair_refuses_damage_in_the_middle(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(lines(3)).replace(b'"stall"', b'"clock"', 1))
    with pytest.raises(DamageFound, match="before its end"):
        repair_journal(SystemFiles(), path)


def test_the_newest_record_is_found_across_days(tmp_path: Path) -> None:
    assert last_entries(tmp_path, STREAM) == []
    one, two = lines(2)
    written(tmp_path, one + two, "20231114")
    written(tmp_path, b"", "20231115")
    assert journal_days(tmp_path, STREAM) == ["20231114", "20231115"]
    assert last_entries(tmp_path, STREAM)[-1].read().place.seq == 1


def test_only_the_end_of_a_long_journal_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_TAIL", 400)
    whole = lines(9)
    path = written(tmp_path, b"garbage\n" + b"".join(whole) + b"torn")
    assert repair_journal(SystemFiles(), path) == 4
    last = last_entries(tmp_path, STREAM)[-1]
    assert last.read().place.seq == 8
    assert last.end == path.stat().st_size

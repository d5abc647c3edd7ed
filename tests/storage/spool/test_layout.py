"""Names on a volume."""

from pathlib import Path

import pytest

from bidwitness.errors import InvalidInput
from bidwitness.storage.spool.layout import (
    SegmentName,
    day_dir,
    parse_name,
    segment_path,
    stream_dir,
)


def test_a_name_comes_back() -> None:
    name = SegmentName(1_700_000_000_000_000, "abcdefgh23456789", 12)
    assert parse_name(str(name)) == name
    assert segment_path("cam1", "20231114", name) == f"cam1/20231114/{name}.mp4"


@pytest.mark.parametrize("stem", ["", "journal", "1-2", "x-run-1", "1-run-1-2", "1-../x-1"])
def test_other_files_have_no_segments_name(stem: str) -> None:
    assert parse_name(stem) is None


@pytest.mark.parametrize("stream", ["", "..", "a/b", "a\0", "x" * 65])
def test_an_id_cannot_leave_its_volume(stream: str) -> None:
    with pytest.raises(InvalidInput):
        stream_dir(Path("/v"), stream)
    with pytest.raises(InvalidInput):
        day_dir(Path("/v"), "cam1", "..")

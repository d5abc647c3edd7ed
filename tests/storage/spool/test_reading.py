"""Reading segments, also while they are written."""

from pathlib import Path

import pytest

from bidwitness.errors import DamageFound, InvalidInput, NotFound
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import TrackSpec, flac_config, write_init
from bidwitness.storage.spool.blob import Fragment, WallPoint
from bidwitness.storage.spool.layout import SegmentName
from bidwitness.storage.spool.reading import open_segments, read_range, table_from_file
from bidwitness.storage.spool.table import OpenFragment, OpenHeader, encode_fragment, encode_header
from bidwitness.words import Medium

NAME = SegmentName(1_700_000_000_000_000, "run1", 0)
INIT = write_init([TrackSpec(1, Medium.SOUND, "fLaC", 8000, flac_config(8000, 1, 576), channels=1)])
PIECE = write_fragment(0, 1, 80_000, [Sample(b"sound", 576, True)])
HEADER = OpenHeader(
    *("cam1", "run1", 0, NAME.start_us, "00" * 32, len(INIT)),
    (((1, "sound", "flac", 8000)),),
)
PLACE = Fragment(1, len(INIT), len(PIECE), 80_000, 576, True)


def a_part(volume: Path, day: str = "20231114") -> Path:
    folder = volume / "cam1" / day
    folder.mkdir(parents=True)
    path = folder / f"{NAME}.part"
    path.write_bytes(INIT + PIECE)
    entry = encode_fragment(OpenFragment(PLACE, 1, NAME.start_us, bytes(32)))
    path.with_suffix(".table").write_bytes(encode_header(HEADER) + entry)
    return path


def test_an_open_segment_is_read_by_its_later_path(tmp_path: Path) -> None:
    part = a_part(tmp_path)
    (segment,) = open_segments(tmp_path, "cam1")
    assert segment.table.as_segment_table().fragments == (PLACE,)
    assert read_range(tmp_path, segment.path, PLACE.offset, PLACE.size) == PIECE
    part.rename(part.with_suffix(".mp4"))
    assert read_range(tmp_path, segment.path, PLACE.offset, PLACE.size) == PIECE
    assert open_segments(tmp_path, "cam1") == []
    assert open_segments(tmp_path, "cam2") == []


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    part = a_part(tmp_path)
    (segment,) = open_segments(tmp_path, "cam1")
    with pytest.raises(DamageFound, match="shorter"):
        read_range(tmp_path, segment.path, PLACE.offset, PLACE.size + 1)
    part.unlink()
    with pytest.raises(NotFound):
        read_range(tmp_path, segment.path, 0, 1)


@pytest.mark.parametrize(
    "path", ["../x/1-r-1.mp4", "cam1/20231114/journal.ndjson", "/etc/passwd", "cam1/2/1-r-1.mp4"]
)
def test_only_segments_are_read(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidInput):
        read_range(tmp_path, path, 0, 1)


def test_a_table_is_made_again_from_the_file(tmp_path: Path) -> None:
    table = table_from_file(a_part(tmp_path), [WallPoint(0, 5)])
    assert table.fragments == (PLACE,)
    assert table.timescales == ((1, 8000),)

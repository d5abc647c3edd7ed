"""Cameras are read from JSON over defaults, and wrong ones are refused by name of the field."""

import json
from pathlib import Path

import pytest

from bidwitness.errors import InvalidInput
from bidwitness.simulator.spec import CameraSpec, Codec, Join, Sound, read_specs
from bidwitness.words import StreamRole


def written(tmp_path: Path, value: object) -> Path:
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_fields_left_out_come_from_the_defaults(tmp_path: Path) -> None:
    defaults = CameraSpec("cam-0", user="u", password="p", sound=Sound.ULAW)
    path = written(tmp_path, [{"name": "a", "title": "开标室"}, {"name": "b", "codec": "h265", "join": "now"}])  # fmt: skip
    a, b = read_specs(path, defaults)
    assert (a.title, a.user, a.sound, a.codec) == ("开标室", "u", Sound.ULAW, Codec.H264)
    assert (b.codec, b.join, b.password) == (Codec.H265, Join.NOW, "p")


def test_a_sub_stream_may_be_without_sound() -> None:
    spec = CameraSpec("a", sub_sound=False)
    assert spec.sound_of(StreamRole.MAIN) is Sound.ALAW
    assert spec.sound_of(StreamRole.SUB) is Sound.NONE


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a", "width": 641}, "width"),
        ({"name": "a", "sub_height": 10}, "sub_height"),
        ({"name": "a", "gop_seconds": 17}, "gop_seconds"),
        ({"name": "a", "gop_seconds": "x"}, "gop_seconds"),
        ({"name": "a", "codec": "mpeg2"}, "codec"),
        ({"name": "a", "bitrate": 1}, "bitrate"),
        ({"name": "a", "colour": 1}, "colour"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, item: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_specs(written(tmp_path, [item]), CameraSpec("cam-0"))
    assert field in caught.value.fields


@pytest.mark.parametrize("value", [[], {}, ["a"], None])
def test_a_file_without_cameras_is_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(InvalidInput):
        read_specs(written(tmp_path, value), CameraSpec("cam-0"))
    with pytest.raises(InvalidInput):
        read_specs(tmp_path / "absent.json", CameraSpec("cam-0"))

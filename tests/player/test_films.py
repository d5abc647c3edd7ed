"""Convenience films: each frame at its instant, notices where nothing is, the wall clock in words."""

import errno
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import pytest
from support.clips import make_clip, picture_number
from support.films import Cinema, a_cinema
from support.footage import FRAME_US, SIZE
from support.needs import absent
from support.stored import ffmpeg_words
from support.viewing import SECOND

from bidwitness.errors import Conflict, StorageFull
from bidwitness.player import film as film_module
from bidwitness.player.wallclock import wall
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Gap
from bidwitness.words import GapCause, Medium


@pytest.fixture
def cinema(sqlite_index: Database, tmp_path: Path) -> Cinema:
    return a_cinema(sqlite_index, tmp_path)


def pictures(path: Path) -> list[tuple[int, int]]:
    """Give (µs, number) of each picture."""
    with av.open(str(path)) as film:
        return [
            (
                round(frame.pts * frame.time_base * SECOND),
                picture_number(frame.to_ndarray(format="gray8")[:SIZE]),
            )
            for frame in film.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


def probed(path: Path) -> dict[str, Any]:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        absent("ffprobe")
        raise AssertionError("absent() did not end the test")
    done = subprocess.run(
        [ffprobe, "-v", "error", "-show_streams", "-show_chapters", "-of", "json", path],
        capture_output=True,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def with_a_gap(cinema: Cinema) -> str:
    scene = cinema.scene
    reel = scene.reel()
    reel.segments(10)
    reel.skip(7)
    reel.segments(10)
    with scene.index.write() as orm:
        orm.add(
            Gap(
                stream_id=scene.stream,
                cause=GapCause.NETWORK,
                from_us=scene.at(10),
                to_us=scene.at(17),
            )
        )
    session = scene.session(0, 27)
    scene.clock.advance(60 * SECOND)
    return session


def test_each_frame_at_its_instant_and_a_notice_in_the_gap(cinema: Cinema) -> None:
    session = with_a_gap(cinema)
    scene = cinema.scene
    record, bag = cinema.made(session)
    (film,) = record["files"]
    path = bag / film["name"]
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat") and b"moof" not in data
    assert (film["pictures"], film["notices"]) == (20 * 25, 7)
    assert (film["from_us"], film["to_us"]) == (scene.start, scene.at(27))
    (hole,) = film["holes"]
    assert (hole["from_us"], hole["to_us"]) == (scene.at(10), scene.at(17))
    assert (hole["medium"], hole["cause"]) == ("picture", "network")
    shown = pictures(path)
    own = [(at, number) for at, number in shown if not 10 * SECOND <= at < 17 * SECOND]
    assert own == [(n * FRAME_US, n) for n in [*range(250), *range(17 * 25, 27 * 25)]]
    assert [at for at, _ in shown if (at, _) not in own] == [n * SECOND for n in range(10, 17)]
    # A stranger's decoder has nothing to say of it, from the beginning and from within the gap.
    assert ffmpeg_words(data) == ""
    with av.open(str(path)) as container:
        container.seek(13 * SECOND)
        seen = next(container.decode(video=0))
        assert seen.time == pytest.approx(10, abs=0.01)
        image = seen.to_ndarray(format="gray8")
        assert image.mean() < 90 and image.max() > 120


def test_sound_goes_on_where_it_was_and_is_silent_in_the_gap(cinema: Cinema) -> None:
    _, bag = cinema.made(with_a_gap(cinema))
    (path,) = bag.glob("*.mp4")
    with av.open(str(path)) as film:
        (stream,) = film.streams.audio
        heard = [
            (float(f.pts * f.time_base), float(abs(f.to_ndarray()).max()), f.samples)
            for f in film.decode(stream)
            if f.pts is not None and f.time_base is not None
        ]
    loud = [at for at, level, _ in heard if level > 0.05]
    assert [at for at in loud if 10.2 < at < 16.9] == []
    assert min(at for at in loud if at > 16) == pytest.approx(17, abs=0.1)
    # Players count samples: as many as there is time, to a block.
    assert sum(n for _, _, n in heard) / 16_000 == pytest.approx(27, abs=0.2)


def test_chapters_and_subtitles_tell_the_wall_clock(cinema: Cinema) -> None:
    session = with_a_gap(cinema)
    scene = cinema.scene
    record, bag = cinema.made(session)
    (film,) = record["files"]
    found = probed(bag / film["name"])
    gap = "无录像 no footage: 网络中断 (network)"
    assert [(float(c["start_time"]), c["tags"]["title"]) for c in found["chapters"]] == [
        (0.0, wall(scene.start)),
        (10.0, f"{wall(scene.at(10))} {gap}"),
        (17.0, wall(scene.at(17))),
    ]
    kinds = {s["codec_type"]: s.get("codec_name") for s in found["streams"]}
    kinds.pop("data", None)  # the titles of the chapters
    assert kinds == {"video": "h264", "audio": "aac", "subtitle": "mov_text"}
    text = (bag / film["subtitles"]).read_text(encoding="utf-8")
    cues = re.findall(r"(\d\d:\d\d:\d\d,\d{3}) --> (\S+)\n(.*?)\n\n", text, re.DOTALL)
    assert len(cues) == 27
    assert cues[3] == ("00:00:03,000", "00:00:04,000", wall(scene.at(3)))
    assert cues[12] == ("00:00:12,000", "00:00:13,000", f"{wall(scene.at(12))}\n{gap}")
    with av.open(str(bag / film["name"])) as container:
        packets = [p for p in container.demux(container.streams.subtitles[0]) if p.size > 2]
    assert [bytes(p)[2:].decode() for p in packets] == [words for _, _, words in cues]
    assert [round(p.pts * p.time_base * 1000) for p in packets][:3] == [0, 1000, 2000]  # type: ignore[operator]


def test_never_a_frame_of_the_session_behind_it(cinema: Cinema) -> None:
    scene = cinema.scene
    scene.reel().segments(30)
    first, second = scene.session(0, 12.3), scene.session(12.3, 30)
    scene.clock.advance(60 * SECOND)
    record, bag = cinema.made(first)
    (film,) = record["files"]
    shown = pictures(bag / film["name"])
    assert [n for at, n in shown if at < 12 * SECOND] == list(range(12 * 25))
    # What lies across the edge is nobody's, and is said to be missing.
    assert film["pictures"] == 12 * 25
    assert film["holes"][-1]["cause"] is None
    record, bag = cinema.made(second)
    (film,) = record["files"]
    assert film["from_us"] == scene.at(12.3)
    late = [(at, n) for at, n in pictures(bag / film["name"]) if at >= 700_000]
    assert late == [(n * FRAME_US - 12_300_000, n) for n in range(13 * 25, 30 * 25)]


def test_other_settings_begin_another_film(cinema: Cinema) -> None:
    scene = cinema.scene
    reel = scene.reel()
    reel.segments(4)
    reel.skip(0)
    reel.clip = make_clip(frames=250, gop=25, size=128)
    reel.segments(4)
    session = scene.session(0, 8)
    scene.clock.advance(60 * SECOND)
    record, bag = cinema.made(session)
    assert [film["pictures"] for film in record["files"]] == [100, 100]
    assert [film["from_us"] for film in record["files"]] == [scene.start, scene.at(4)]
    assert record["files"][1]["name"].endswith(" (2).mp4")
    for film in record["files"]:
        assert ffmpeg_words((bag / film["name"]).read_bytes()) == ""


def test_sound_alone_says_it_in_its_words(cinema: Cinema) -> None:
    session = with_a_gap(cinema)
    record, bag = cinema.made(session, Medium.SOUND)
    (film,) = record["files"]
    assert (film["pictures"], film["notices"], film["media"]) == (0, 0, ["sound"])
    titles = [c["tags"]["title"] for c in probed(bag / film["name"])["chapters"]]
    assert len(titles) == 3 and "无声音 no sound: 网络中断" in titles[1]


def test_the_timeline_lies_beside_it(cinema: Cinema) -> None:
    _, bag = cinema.made(with_a_gap(cinema))
    said = json.loads((bag / "timeline.json").read_text(encoding="utf-8"))
    (stream,) = said["streams"]
    assert [gap["cause"] for gap in stream["gaps"]] == ["network"]
    assert (bag / "timeline.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_told_to_end_or_on_a_full_disk_it_leaves_nothing(
    cinema: Cinema, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = with_a_gap(cinema)
    target = cinema.folder / "out.zip"
    maker = cinema.films(session)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise Conflict("cancelled")

    maker.on_bytes = stop
    with pytest.raises(Conflict):
        maker.make(cinema.share(session), target)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(film_module._Film, "_put", full)
    with pytest.raises(StorageFull):
        cinema.films(session).make(cinema.share(session), target)
    assert cinema.left() == []

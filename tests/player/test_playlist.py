import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bidwitness.player.cutting import HOLE_US, LEAST_US, MOST_US, TrackFragment
from bidwitness.player.playlist import (
    HOLE_STEP_US,
    SILENCE_US,
    Entry,
    FragmentSource,
    Hole,
    Line,
    lay_out,
    render,
)

SECOND = 1_000_000
HALF = SECOND // 2
START = 1_700_000_000_000_000


def source(
    run: str, run_seq: int, from_us: int, seconds: int, *, gop: int = 1, finished: bool = True
) -> FragmentSource:
    """A segment of half-second fragments with a key frame every ``gop`` seconds."""
    fragments = [
        TrackFragment(n, from_us + n * HALF, from_us + (n + 1) * HALF, n % (2 * gop) == 0, n, 1)
        for n in range(seconds * 2)
    ]
    return FragmentSource(run, run_seq, "a" * 64, fragments, finished)


def entries(lines: list[Line]) -> list[Entry]:
    return [line for line in lines if isinstance(line, Entry)]


def holes(lines: list[Line]) -> list[Hole]:
    return [line for line in lines if isinstance(line, Hole)]


def lengths(lines: list[Line]) -> list[float]:
    return [(line.to_us - line.from_us) / SECOND for line in lines]


@st.composite
def recordings(draw: st.DrawFn) -> list[FragmentSource]:
    """Segments of several runs of one stream, with holes between the runs."""
    out: list[FragmentSource] = []
    at = START + draw(st.integers(0, 20 * SECOND))
    for run in range(draw(st.integers(1, 4))):
        gop = draw(st.sampled_from([1, 2, 4, 10]))
        for seq in range(draw(st.integers(1, 4))):
            seconds = draw(st.integers(1, 40))
            out.append(source(f"run{run}", seq, at, seconds, gop=gop))
            at += seconds * SECOND
        at += draw(st.integers(0, 60 * SECOND))
    return out


@given(recordings(), st.integers(0, 30 * SECOND))
def test_playlist_time_is_recorder_time(recorded: list[FragmentSource], tail: int) -> None:
    end = recorded[-1].fragments[-1].to_us + tail
    lines = lay_out(recorded, START, end, now_us=end + 3600 * SECOND)
    shown = [
        (line.run, line.run_seq, n)
        for line in entries(lines)
        for n in range(line.first, line.last + 1)
    ]
    wanted = [(s.run, s.run_seq, f.ordinal) for s in recorded for f in s.fragments]
    assert shown == wanted, "every fragment once, in order"
    for left, right in pairwise(lines):
        assert abs(right.from_us - left.to_us) < HOLE_US
    total = sum(line.to_us - line.from_us for line in lines)
    missed = HOLE_US * (len(recorded) + 2)
    assert abs(total - (end - START)) < missed
    for line in holes(lines):
        assert 0 < line.to_us - line.from_us <= HOLE_STEP_US
        assert not any(
            f.from_us < line.to_us and line.from_us < f.to_us for s in recorded for f in s.fragments
        ), "a hole where there is footage"


@given(recordings(), st.integers(1, 30))
def test_a_running_playlist_only_grows(recorded: list[FragmentSource], step: int) -> None:
    """Whatever was given while the recording ran stands, word for word, in what comes later."""
    end = recorded[-1].fragments[-1].to_us
    final = render(lay_out(recorded, START, end, now_us=end), ended=True).splitlines()
    shown: list[str] = []
    for now in range(START, end + SILENCE_US, step * SECOND):
        seen = []
        for part in recorded:
            there = [f for f in part.fragments if f.to_us <= now]
            if there:
                seen.append(
                    FragmentSource(
                        part.run, part.run_seq, part.init, there, part.fragments[-1].to_us <= now
                    )
                )
        text = render(lay_out(seen, START, None, now_us=now), ended=False)
        body = [line for line in text.splitlines() if not line.startswith("#EXT-X-TARGETDURATION")]
        assert body[: len(shown)] == shown
        shown = body
    upto = [line for line in final if not line.startswith("#EXT-X-TARGETDURATION")]
    assert shown[5:] == upto[5 : len(shown)]


def test_the_first_entry_and_the_first_after_a_gap_are_one_gop() -> None:
    recorded = [source("a", 0, START, 20, gop=2), source("b", 0, START + 30 * SECOND, 11, gop=2)]
    lines = lay_out(recorded, START, START + 41 * SECOND, now_us=START + 90 * SECOND)
    assert lengths(lines) == [2, 4, 4, 4, 4, 2, 6, 4, 2, 4, 4, 1]
    assert [type(line) for line in lines[5:9]] == [Entry, Hole, Hole, Entry]


def test_segments_of_a_run_go_on_with_long_entries() -> None:
    recorded = [source("a", 0, START, 10), source("a", 1, START + 10 * SECOND, 10)]
    lines = lay_out(recorded, START, START + 20 * SECOND, now_us=START + 20 * SECOND)
    assert lengths(lines) == [1, 4, 4, 1, 4, 4, 2]


def test_a_gop_longer_than_an_entry_stays_whole() -> None:
    lines = lay_out(
        [source("a", 0, START, 30, gop=10)], START, START + 30 * SECOND, now_us=START + 30 * SECOND
    )
    assert lengths(lines) == [10, 10, 10]
    assert "#EXT-X-TARGETDURATION:10\n" in render(lines, ended=True)


def test_a_camera_that_is_gone_gets_its_hole_while_the_session_runs() -> None:
    recorded = [source("a", 0, START, 10, finished=False)]
    at = START + 10 * SECOND
    waiting = lay_out(recorded, START, None, now_us=at + 5 * SECOND)
    assert not holes(waiting), "it may come back yet"
    assert entries(waiting)[-1].to_us < at, "the last entry may grow yet"
    later = lay_out(recorded, START, None, now_us=at + SILENCE_US + 2 * HOLE_STEP_US)
    assert entries(later)[-1].to_us == at
    assert len(holes(later)) == 2
    never = lay_out([], START, None, now_us=START + SILENCE_US + 3 * HOLE_STEP_US)
    assert len(holes(never)) == 3


def test_what_is_before_the_first_key_frame_is_a_hole() -> None:
    whole = source("a", 0, START, 12, gop=3)
    cut_in = FragmentSource("a", 0, whole.init, whole.fragments[1:])
    lines = lay_out([cut_in], START, START + 12 * SECOND, now_us=START + 12 * SECOND)
    assert [type(line) for line in lines[:2]] == [Hole, Entry]
    assert lines[1].from_us == START + 3 * SECOND


def test_text() -> None:
    recorded = [
        source("runa", 7, START + 123_456, 4),
        FragmentSource("runb", 0, "b" * 64, source("", 0, START + 8 * SECOND, 2).fragments),
    ]
    text = render(
        lay_out(recorded, START, START + 10 * SECOND, now_us=START + 60 * SECOND), ended=True
    )
    assert text == "\n".join(
        [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            "#EXT-X-TARGETDURATION:6",
            "#EXT-X-MEDIA-SEQUENCE:0",
            "#EXT-X-PLAYLIST-TYPE:VOD",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f'#EXT-X-MAP:URI="init/{"a" * 64}.mp4"',
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:20.123456Z",
            "#EXTINF:1.000000,",
            "runa-7/0-1.m4s",
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:21.123456Z",
            "#EXTINF:3.000000,",
            "runa-7/2-7.m4s",
            "#EXT-X-GAP",
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:24.123456Z",
            "#EXTINF:3.876544,",
            f"gap-{START + 4_123_456}.m4s",
            "#EXT-X-DISCONTINUITY",
            f'#EXT-X-MAP:URI="init/{"b" * 64}.mp4"',
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:28.000000Z",
            "#EXTINF:1.000000,",
            "runb-0/0-1.m4s",
            "#EXT-X-PROGRAM-DATE-TIME:2023-11-14T22:13:29.000000Z",
            "#EXTINF:1.000000,",
            "runb-0/2-3.m4s",
            "#EXT-X-ENDLIST",
            "",
        ]
    )


@pytest.mark.parametrize("gop", [1, 2, 4, 10])
def test_target_duration_covers_every_entry(gop: int) -> None:
    lines = lay_out([source("a", 0, START, 60, gop=gop)], START, None, now_us=START + 60 * SECOND)
    text = render(lines, ended=False)
    target = int(re.findall(r"TARGETDURATION:(\d+)", text)[0])
    assert all(round(float(s)) <= target for s in re.findall(r"#EXTINF:([\d.]+)", text))
    assert LEAST_US < MOST_US
    assert "ENDLIST" not in text
    assert "#EXT-X-PLAYLIST-TYPE:EVENT" in text

"""What goes into a film, where it has holes and why, and where chapters begin. Pure."""

from dataclasses import replace
from itertools import pairwise

from bidwitness.intervals import Interval
from bidwitness.player.cutting import TrackFragment
from bidwitness.player.film_plan import FilmPlan, Hole, KnownGap, divide, plan_film
from bidwitness.player.film_text import chapters, subtitles
from bidwitness.player.segments import Held, SeenPiece
from bidwitness.player.selection import Selected
from bidwitness.player.wallclock import CHAPTER_US, SECOND, wall
from bidwitness.storage.spool.blob import SegmentTable
from bidwitness.words import GapCause, Medium

PICTURE, SOUND = Medium.PICTURE, Medium.SOUND
# A whole hour of the wall clock.
START = 1_699_999_200 * SECOND
TABLE = SegmentTable(((1, 90_000),), (), ())


def piece(from_s: float, to_s: float, medium: Medium = PICTURE, *, key: bool = True) -> SeenPiece:
    start, end = START + round(from_s * SECOND), START + round(to_s * SECOND)
    fragment = TrackFragment(0, start, end, key, 0, 10)
    gop = Interval(start, end)
    return SeenPiece(
        medium=medium, start=start, end=end, key=key, gop=gop, place=0, fragment=fragment
    )


def part(*pieces: SeenPiece, run: str = "r", init: str = "i") -> Selected:
    held = Held(run, 0, init, ((PICTURE, 1), (SOUND, 2)), START, START + 1, True)
    return Selected(held, TABLE, pieces)


def span(from_s: float, to_s: float) -> Interval:
    return Interval(START + round(from_s * SECOND), START + round(to_s * SECOND))


def planned(
    *parts: Selected, until: float = 30, gaps: tuple[KnownGap, ...] = (), stated: bool = True
) -> FilmPlan:
    spans = dict.fromkeys(Medium, (span(0, until),))
    plan = plan_film(parts, span(0, until), spans, gaps, stated=stated)
    assert plan is not None
    return plan


def test_a_hole_is_cut_where_its_cause_changes() -> None:
    gaps = (
        KnownGap(span(10, 15), GapCause.OFFLINE, None),
        KnownGap(span(15.1, 20), GapCause.RECORDER_DOWN, PICTURE),
        KnownGap(span(12, 14), GapCause.NO_AUDIO, SOUND),
    )
    plan = planned(part(piece(0, 10)), part(piece(20, 30)), gaps=gaps)
    # A moment without any goes to its neighbour.
    assert plan.holes == (
        Hole(span(10, 15), GapCause.OFFLINE),
        Hole(span(15, 20), GapCause.RECORDER_DOWN),
    )
    assert plan.whole == span(0, 30)


def test_of_what_is_not_hers_no_cause_is_told() -> None:
    spans = {PICTURE: (span(0, 10), span(15, 30))}
    gap = KnownGap(span(10, 20), GapCause.CLASSIFIED, None)
    plan = plan_film([part(piece(0, 10)), part(piece(20, 30))], span(0, 30), spans, [gap])
    assert plan is not None
    assert plan.holes == (
        Hole(span(10, 15), None),
        Hole(span(15, 20), GapCause.CLASSIFIED),
    )


def test_what_cannot_be_decoded_is_left_out() -> None:
    lone = part(piece(12, 13, key=False), piece(13, 14), piece(14, 15, key=False))
    other = part(piece(15, 16, key=False), run="other")
    plan = planned(part(piece(0, 10)), lone, other, until=16)
    kept = [(p.start - START) // SECOND for one in plan.parts for p in one.pieces]
    assert kept == [0, 13, 14]
    assert [hole.interval for hole in plan.holes] == [span(10, 13), span(15, 16)]


def test_without_notices_it_begins_and_ends_with_pictures() -> None:
    plan = planned(part(piece(3, 10)), part(piece(20, 25)), stated=False)
    assert plan.whole == span(3, 25)
    assert [hole.interval for hole in plan.holes] == [span(10, 20)]


def test_sound_that_is_missing_beside_pictures_is_told_with_its_cause() -> None:
    gap = KnownGap(span(5, 10), GapCause.NO_AUDIO, SOUND)
    both = part(piece(0, 10), piece(0, 5, SOUND))
    plan = planned(both, until=10, gaps=(gap,))
    assert (plan.holes, plan.silences) == ((), (Hole(span(5, 10), GapCause.NO_AUDIO),))
    said = [cue.text for cue in subtitles(plan)]
    assert said[4] == wall(START + 4 * SECOND)
    assert said[5] == f"{wall(START + 5 * SECOND)}\n无声音 no sound: 无声音 (no_audio)"


def test_a_film_ends_where_settings_change_and_not_where_a_medium_is_missing() -> None:
    parts = [
        part(piece(0, 1), init="a"),
        part(piece(1, 2), piece(1, 2, SOUND), init="b"),
        part(piece(2, 3), init="a"),
        part(piece(3, 4), init="c"),
    ]
    told = {
        "a": {PICTURE: b"p"},
        "b": {PICTURE: b"p", SOUND: b"s"},
        "c": {PICTURE: b"other"},
    }
    assert divide(parts, told.__getitem__) == [parts[:3], parts[3:]]
    assert divide([part()], told.__getitem__) == []


def test_chapters_begin_by_the_clock_at_gaps_and_connections() -> None:
    late = 20 * 60
    plan = planned(part(piece(0, 700)), part(piece(710, late), run="b"), until=late)
    starts = [(cue.from_us / SECOND, cue.text.split(" UTC+8 ")[-1]) for cue in chapters(plan)]
    assert [at for at, _ in starts] == [0, 600, 700, 710]
    assert starts[2][1] == "不在本复制件内 not in this copy"
    # A connection that begins a moment after another chapter has none of its own.
    near = replace(plan, runs=(START + CHAPTER_US + 400_000,))
    assert [cue.from_us for cue in chapters(near)] == [cue.from_us for cue in chapters(plan)]
    assert chapters(plan)[-1].to_us == plan.whole.duration


def test_subtitles_follow_one_another_without_a_hole() -> None:
    plan = planned(part(piece(0, 2.5)), part(piece(4.25, 6)), until=6.75)
    cues = list(subtitles(plan))
    assert cues[0].from_us == 0 and cues[-1].to_us == plan.whole.duration
    assert all(a.to_us == b.from_us for a, b in pairwise(cues))
    missing = [cue for cue in cues if "\n" in cue.text]
    assert (missing[0].from_us, missing[-1].to_us) == (2_500_000, 6_750_000)

from hypothesis import given
from hypothesis import strategies as st
from support.clock import FakeClock
from support.factories import MINUTE, SECOND, Tape
from support.session_desk import Desk

from bidwitness.intervals import Interval, intersect, subtract, total, union
from bidwitness.player.timeline import Lane, StreamFacts, lane_of, session_timeline
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Event, Marker, StreamStatus
from bidwitness.storage.sessions.report import Footage, NotedGap, camera_media
from bidwitness.words import GapCause, Health, MarkerAudience, Medium, Outcome, Role, StreamRole

BOTH = frozenset({Medium.PICTURE, Medium.SOUND})
SEEN = frozenset({Medium.PICTURE})


def facts(footage: Footage, runs: list[tuple[Interval, str]] | None = None) -> StreamFacts:
    return StreamFacts(
        *("s", StreamRole.MAIN, "c", "camera", "room"), footage=footage, runs=tuple(runs or [])
    )


def missing(lane: Lane, medium: Medium) -> list[Interval]:
    return union(gap.interval for gap in lane.gaps if gap.medium in (None, medium))


def test_gaps_say_their_cause_and_whether_all_is_missing() -> None:
    lane = lane_of(
        facts(
            Footage(
                "s",
                (Interval(0, 100 * SECOND),),
                (
                    (Interval(0, 40 * SECOND), BOTH),
                    (Interval(50 * SECOND, 70 * SECOND), SEEN),
                    (Interval(70 * SECOND, 95 * SECOND), BOTH),
                ),
                (
                    NotedGap(Interval(40 * SECOND, 50 * SECOND), GapCause.NETWORK),
                    NotedGap(Interval(50 * SECOND, 70 * SECOND), GapCause.NO_AUDIO, Medium.SOUND),
                ),
                BOTH,
            )
        )
    )
    seen = [
        (g.interval.start // SECOND, g.interval.end // SECOND, g.cause, g.medium) for g in lane.gaps
    ]
    assert seen == [
        (40, 50, GapCause.NETWORK, None),
        (50, 70, GapCause.NO_AUDIO, Medium.SOUND),
        (95, 100, GapCause.UNKNOWN, None),
    ]
    assert lane.coverage_ppm == {Medium.PICTURE: 850_000, Medium.SOUND: 650_000}


def test_segments_of_a_run_are_one_range_within_the_claims() -> None:
    runs = [(Interval(start, start + 60), "a") for start in range(0, 300, 60)]
    runs += [(Interval(400, 460), "b")]
    footage = Footage("s", (Interval(30, 450),), tuple((i, SEEN) for i, _ in runs), (), SEEN)
    lane = lane_of(facts(footage, runs))
    assert [(r.interval.start, r.interval.end, r.run) for r in lane.ranges] == [
        (30, 300, "a"),
        (400, 450, "b"),
    ]


def test_a_camera_that_never_came_lacks_its_picture() -> None:
    lane = lane_of(facts(Footage("s", (Interval(0, 50),))))
    assert lane.media == (Medium.PICTURE,)
    assert [(gap.interval, gap.cause) for gap in lane.gaps] == [(Interval(0, 50), GapCause.UNKNOWN)]


def test_of_sound_alone_no_picture_is_missing() -> None:
    heard = frozenset({Medium.SOUND})
    gap = NotedGap(Interval(40 * SECOND, 60 * SECOND), GapCause.STALL)
    parts = ((Interval(0, 40 * SECOND), heard), (Interval(60 * SECOND, 100 * SECOND), heard))
    footage = Footage("s", (Interval(0, 100 * SECOND),), parts, (gap,), heard)
    lane = lane_of(facts(footage))
    assert lane.media == (Medium.SOUND,) and lane.coverage_ppm == {Medium.SOUND: 800_000}
    assert [(g.interval, g.cause, g.medium) for g in lane.gaps] == [
        (gap.interval, GapCause.STALL, None)
    ]
    assert camera_media([footage]) == [Medium.SOUND]
    assert camera_media([footage, Footage("t", (), media=SEEN)]) == [Medium.PICTURE, Medium.SOUND]
    assert camera_media([Footage("u", ())]) == [Medium.PICTURE]


def test_sound_that_ends_a_moment_after_its_picture_is_no_gap_of_its_own() -> None:
    down, late = GapCause.RECORDER_DOWN, 40_000
    gaps = (
        NotedGap(Interval(40 * SECOND, 60 * SECOND), down, Medium.PICTURE),
        NotedGap(Interval(40 * SECOND + late, 60 * SECOND - late), down, Medium.SOUND),
        NotedGap(Interval(70 * SECOND, 72 * SECOND), down, Medium.SOUND),
    )
    whole = Interval(0, 100 * SECOND)
    lane = lane_of(facts(Footage("s", (whole,), ((whole, BOTH),), gaps, BOTH)))
    assert [(gap.interval, gap.medium) for gap in lane.gaps] == [
        (gaps[0].interval, None),
        (gaps[2].interval, Medium.SOUND),
    ]
    # What is shown as one is still reckoned apart.
    assert lane.coverage_ppm == {Medium.PICTURE: 800_000, Medium.SOUND: 780_800}


intervals = st.builds(
    lambda start, length: Interval(start * SECOND, (start + length) * SECOND),
    st.integers(0, 100),
    st.integers(1, 40),
)


@given(
    st.lists(intervals, min_size=1, max_size=3),
    st.lists(st.tuples(intervals, st.sampled_from([BOTH, SEEN])), max_size=6),
    st.lists(
        st.builds(
            NotedGap,
            intervals,
            st.sampled_from([GapCause.STALL, GapCause.OFFLINE]),
            st.sampled_from([None, Medium.SOUND]),
        ),
        max_size=4,
    ),
)
def test_footage_and_gaps_together_are_what_was_claimed(
    claims: list[Interval],
    segments: list[tuple[Interval, frozenset[Medium]]],
    gaps: list[NotedGap],
) -> None:
    footage = Footage("s", tuple(union(claims)), tuple(segments), tuple(gaps), BOTH)
    lane = lane_of(facts(footage, [(interval, "r") for interval, _ in segments]))
    for medium in BOTH:
        held = footage.held(medium)
        assert missing(lane, medium) == subtract(union(claims), held)
        assert not intersect(missing(lane, medium), held)
        whole = total(claims)
        assert lane.coverage_ppm[medium] == total(held) * 1_000_000 // whole
    for found in lane.ranges:
        assert subtract([found.interval], claims) == []


def _network_lost_then_one_down(
    index: Database, streams: tuple[str, str, str], session: str, start: int, now: int
) -> None:
    main, sub, other = streams
    with index.write() as orm:
        for stream in (main, sub):
            tape = Tape(orm, stream, sound=stream == main)
            tape.segments(start - MINUTE, start + 4 * MINUTE)
            tape.gap(start + 4 * MINUTE, start + 5 * MINUTE, GapCause.NETWORK)
            tape.segments(start + 5 * MINUTE, start + 11 * MINUTE)
            tape.status(now - SECOND)
            orm.get_one(StreamStatus, stream).since_us = start + 5 * MINUTE
        Tape(orm, other).segments(start - MINUTE, start + 9 * MINUTE)
        Tape(orm, other).status(start + 9 * MINUTE, Health.OFFLINE)
        orm.add(Event(session_id=session, at_us=start + MINUTE, kind="business.opened", source="t"))
        for audience in MarkerAudience:
            orm.add(
                Marker(
                    session_id=session,
                    at_us=start + MINUTE,
                    text=audience,
                    author="someone",
                    audience=audience,
                    made_us=start,
                )
            )


def test_a_session_from_the_index(
    index: Database,
) -> None:
    """Two cameras; one loses its network while the session runs, and is down at the end."""
    clock = FakeClock()
    desk = Desk(index, clock=clock)
    start = desk.now
    session = desk.plan(desk.book(desk.one))
    clock.advance(2 * MINUTE)
    desk.do(lambda commands: commands.start(session))
    clock.advance(10 * MINUTE)
    main, sub, other, _ = desk.streams[desk.one.id]
    _network_lost_then_one_down(index, (main, sub, other), session, start, clock.utc_us())
    with index.read() as orm:
        now = clock.utc_us()
        found = session_timeline(
            orm, desk.settings, session, now, frozenset({Role.SUPERVISOR}), "guard"
        )
    assert found.live_until_us is not None
    assert now - 5 * SECOND <= found.live_until_us <= now
    lanes = {lane.stream_id: lane for lane in found.lanes}
    assert {lane.room for lane in found.lanes} == {"评标室一"}
    minutes = [
        (
            (g.interval.start - start) // MINUTE,
            (g.interval.end - start) // MINUTE,
            g.cause,
            g.medium,
        )
        for g in lanes[main].gaps
    ]
    assert minutes == [(4, 5, GapCause.NETWORK, None)]
    assert lanes[sub].media == (Medium.PICTURE,)
    assert [(r.interval.start - start) // MINUTE for r in lanes[main].ranges] == [0, 5]
    down = lanes[other].gaps[-1]
    assert (down.interval.start, down.cause) == (start + 9 * MINUTE, GapCause.OFFLINE)
    assert down.interval.end >= now - 5 * SECOND
    assert found.due is not None
    assert found.due.start == start
    assert found.coverage_ppm is not None
    assert 0 < found.coverage_ppm < 1_000_000
    assert ("business.opened", start + MINUTE) in {(e.kind, e.at_us) for e in found.events}
    assert {m.text for m in found.markers} == {MarkerAudience.ALL, MarkerAudience.SUPERVISION}
    desk.do(lambda commands: commands.end(session, outcome=Outcome.COMPLETED))
    with index.read() as orm:
        over = session_timeline(
            orm, desk.settings, session, clock.utc_us(), frozenset({Role.VENUE}), "someone"
        )
    assert over.live_until_us is None
    assert len(over.markers) == 3

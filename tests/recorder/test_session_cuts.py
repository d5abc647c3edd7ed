"""Whatever is decided about sessions while the recorder runs: the footage is cut there, frame by
frame nothing is lost, and each claim begins and ends within a GOP of a segment's border."""

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.clips import picture_number
from support.clock import FakeClock
from support.desk import UTC0
from support.desk import Desk as Table
from support.factories import booked
from support.fake_source import START_US, FakeCamera
from support.session_desk import Desk
from support.stored import decode, ffmpeg_words

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Session
from bidwitness.storage.media.boxes import read_fragment, split_pieces
from bidwitness.storage.sessions.commands import Said
from bidwitness.storage.wanted_index import wanted_streams
from bidwitness.words import Outcome

SECOND = 1_000_000
HOUR = 3600 * SECOND
GOP_US = SECOND
# As often as the supervisor asks what is wanted.
LEARN_US = SECOND // 2


def assert_no_frame_is_lost(table: Table, seconds: int) -> None:
    left = table.left()
    data = left.joined()
    assert ffmpeg_words(data) == ""
    numbers = [picture_number(image) for _, image in decode(data).pictures]
    assert numbers == list(range(seconds * 25))
    for before, after in pairwise(left.segments):
        assert before.end == after.start
    assert left.gaps == []
    # Sound too: each fragment begins where the one before it ends, over all borders.
    sound = left.fragments_of(2)
    assert all(a + length == b for (a, length), (b, _) in pairwise(sound))
    for path in left.paths:
        pieces = [piece for piece in split_pieces([path.read_bytes()]) if not piece.is_init]
        first = next(p for p in pieces if read_fragment(p.data).track == 1)
        assert read_fragment(first.data).key


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    segment_s=st.floats(1, 12),
    gop=st.sampled_from([5, 25, 40]),
    cuts=st.lists(st.tuples(st.integers(0, 11_900_000), st.integers(0, 11_900_000)), max_size=12),
)
def test_any_cuts_at_any_time_lose_no_frame(
    tmp_path_factory: pytest.TempPathFactory,
    segment_s: float,
    gop: int,
    cuts: list[tuple[int, int]],
) -> None:
    """``cuts``: the instant of each, and when it is learnt (before or after it)."""
    camera = FakeCamera(seconds=12, gop=gop)
    table = Table.on(tmp_path_factory.mktemp("cuts"))
    segmenter = table.segmenter(camera.tracks, segment_s=segment_s)
    packets = camera.packets()
    for at in range(0, len(packets), 10):
        now = packets[at].arrived_us - START_US
        segmenter.cuts = tuple(UTC0 + cut for cut, known in cuts if known <= now)
        table.play(segmenter, packets[at : at + 10])
    table.finish(segmenter)
    assert_no_frame_is_lost(table, 12)
    starts = [segment.start for segment in table.left().segments]
    gop_us = gop * SECOND // 25
    settled = UTC0 + int(segment_s * SECOND) + 2 * gop_us
    for cut, known in cuts:
        due = UTC0 + max(cut, known)
        if settled < due < UTC0 + 12 * SECOND - 2 * gop_us:
            assert any(UTC0 + cut <= start <= due + 2 * gop_us for start in starts), (cut, known)


@pytest.mark.parametrize("seed", range(2))
def test_commands_given_while_it_records_cut_there_and_lose_nothing(
    sqlite_index: Database, tmp_path: Path, seed: int
) -> None:
    """Two sessions back to back in one room: suspended, extended, at recess, moved away, ended."""
    chance = random.Random(seed)
    camera = FakeCamera(seconds=28)
    table = Table.on(tmp_path)
    desk = Desk(sqlite_index, clock=table.clock)
    stream = desk.streams[desk.one.id][0]
    segmenter = table.segmenter(camera.tracks, segment_s=10)
    first = desk.plan(desk.book(desk.one))
    second = desk.plan(booked(desk.one, desk.now + HOUR, desk.now + 2 * HOUR))
    moved = [booked(desk.two, desk.now, desk.now + 2 * HOUR)]
    acts = [
        lambda: desk.do(lambda c: c.start(first)),
        lambda: desk.do(lambda c: c.suspend(first, Said("停电"))),
        lambda: desk.do(lambda c: c.extend(first, desk.now + HOUR // 2 + HOUR)),
        lambda: desk.do(lambda c: c.resume(first, Said())),
        lambda: desk.do(lambda c: c.recess(first, Said())),
        # The room is left in the instant in which the next session takes it.
        lambda: (
            desk.do(lambda c: c.move(first, moved, reason="换会议室")),
            desk.do(lambda c: c.start(second)),
        ),
        lambda: desk.do(lambda c: c.end(second, Outcome.COMPLETED)),
        lambda: desk.do(lambda c: c.undo_end(second)),
        lambda: desk.do(lambda c: c.end(second, Outcome.COMPLETED)),
    ]
    times = sorted(chance.randrange(12 * SECOND, 26 * SECOND) for _ in acts)
    learn = 0
    for packet in camera.packets():
        at = packet.arrived_us - START_US
        while times and at >= times[0]:
            times.pop(0)
            acts.pop(0)()
        if at >= learn:
            learn += LEARN_US
            with sqlite_index.read() as orm:
                (wanted,) = [w for w in wanted_streams(orm, desk.now) if w.stream_id == stream]
            segmenter.cuts = wanted.cuts
        table.play(segmenter, [packet])
        if packet.key and packet.track == 0:
            table.writer.work()
    table.finish(segmenter)
    assert not acts
    assert_no_frame_is_lost(table, 28)
    claims = [c for s in (first, second) for c in desk.claims(s) if c[0] == stream]
    starts = [segment.start for segment in table.left().segments]
    edges = {edge for _, *span, _ in claims for edge in span if edge is not None}
    assert len(edges) >= 3
    for edge in edges:
        assert any(edge <= start <= edge + GOP_US + LEARN_US for start in starts), edge - UTC0
    # The seam: where one ends, the next begins.
    ends = {end for _, _, end, _ in claims if end is not None}
    assert [c for c in claims if c[1] in ends], "the second began where the first left"
    with sqlite_index.read() as orm:
        assert orm.get_one(Session, second).state == "ended"


def test_the_clock_of_both_desks_is_one() -> None:
    assert FakeClock().utc_us() == UTC0

"""What `keep` has put into a store, and what its scrub finds there."""

from pathlib import Path

from sqlalchemy import select
from support.clock import FakeClock
from support.evidence_facts import segment_facts
from support.places import MINUTE, START, Shelf, a_stream

from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.records import first_place, leaf_hash, next_place, segment_record
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Record, ScrubRound, Segment, StoreFault
from bidwitness.storage.keep.mending import Mender
from bidwitness.storage.keep.scrub import EVERY_US, Scrub
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.store import LockingStore
from bidwitness.words import ScrubKind


def upload(shelf: Shelf, store: LockingStore, clock: FakeClock, count: int = 1) -> list[Segment]:
    """Segments of a stream of their own, in the store."""
    stream = a_stream(shelf.index)
    made = [shelf.segment(stream, START + n * MINUTE) for n in range(count)]
    work = Uploader(shelf.index, store, shelf.spool, clock, store.prepare)
    while work.upload_some():
        pass
    with shelf.index.read() as orm:
        return [orm.get_one(Segment, segment.id) for segment in made]


def chained(index: Database, stream: str, count: int) -> list[Record]:
    """Records as the committer writes them."""
    place = first_place("site-1", "recorder-1", stream, START)
    rows = []
    for number in range(count):
        record = segment_record(segment_facts(place, number))
        rows.append(
            Record(
                stream_id=stream,
                day=int(place.day),
                seq=place.seq,
                kind="segment",
                leaf=leaf_hash(record),
                body=canonical(record).decode(),
            )
        )
        place = next_place(record, START + (number + 1) * MINUTE, "recorder-1")
    with index.write() as orm:
        orm.add_all(rows)
    return rows


def scrub_of(
    index: Database,
    store: LockingStore,
    clock: FakeClock,
    spool: Path,
    reports: Path = Path("none"),
    **how: int,
) -> Scrub:
    """A scrub that mends from these folders."""
    return Scrub(index, store, Mender(index, store, spool, reports), clock, **how)


def go_round(
    index: Database,
    store: LockingStore,
    clock: FakeClock,
    kind: ScrubKind,
    spool: Path,
    reports: Path = Path("none"),
    **how: int,
) -> ScrubRound:
    """One whole round, each step by a process of its own."""
    clock.advance(EVERY_US[kind])
    for _ in range(100):
        scrub = scrub_of(index, store, clock, spool, reports, **how)
        clock.advance(1_000_000)
        if kind is ScrubKind.BYTES:
            scrub.read_some()
        else:
            scrub.look_some()
        with index.read() as orm:
            newest = select(ScrubRound).where(ScrubRound.kind == kind)
            last = orm.scalars(newest.order_by(ScrubRound.id.desc()).limit(1)).one()
        if last.ended_us is not None:
            return last
    raise AssertionError("the round does not end")


def faults(index: Database) -> list[StoreFault]:
    """What the scrub has found wrong, in that order."""
    with index.read() as orm:
        return list(orm.scalars(select(StoreFault).order_by(StoreFault.id)))

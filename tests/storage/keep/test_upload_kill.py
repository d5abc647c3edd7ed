"""A kill at each step of an upload, against a real S3 server: nothing is lost, and every version
that is there besides is accounted for."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from support.clock import FakeClock
from support.memory_store import sha256_of
from support.places import HOUR, MINUTE, START, Shelf, a_stream
from support.seaweed import ACCESS, SECRET, Seaweed

from bidwitness.ids import new_id
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Segment, StoreWalk, SurplusVersion
from bidwitness.storage.keep.surplus import EVERY_US, SurplusWalk
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.store import s3
from bidwitness.storage.store.s3 import S3Store, client_for

PART = 5 << 20
BODIES = {"one request": b"segment " * 1000, "parts": os.urandom(1024) * (PART // 1024 + 1)}


class Killed(BaseException):
    """The process is gone: nothing of it cleans up."""


class Deaths:
    """Counts what has an effect, before and after; dies at the chosen one."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)
        if self.at is not None and len(self.steps) > self.at:
            raise Killed(name)

    def around(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **more: Any) -> Any:
            self.step(f"before {name} {args[0] if args else ''}")
            result = act(*args, **more)
            self.step(f"after {name}")
            return result

        return done


class MortalIndex(Database):
    """The same database, whose transactions are steps."""

    def __init__(self, database: Database, deaths: Deaths) -> None:
        self.__dict__ = dict(database.__dict__)
        self._deaths = deaths

    @contextmanager
    def write(self) -> Iterator[Orm]:
        self._deaths.step("before a transaction")
        with super().write() as orm:
            yield orm
            self._deaths.step("before its commit")
        self._deaths.step("after its commit")


def store_of(seaweed: Seaweed, bucket: str, deaths: Deaths) -> S3Store:
    client = client_for(
        seaweed.endpoint, secure=False, region="us-east-1", access=ACCESS, secret=SECRET
    )
    client._url_open = deaths.around("request", client._url_open)
    return S3Store(client, bucket, "here")


def upload(shelf: Shelf, seaweed: Seaweed, bucket: str, clock: FakeClock, deaths: Deaths) -> None:
    index, store = MortalIndex(shelf.index, deaths), store_of(seaweed, bucket, deaths)
    Uploader(index, store, shelf.spool, clock, lambda: None, threads=1).upload_some()


def walk_through(index: Database, store: S3Store, clock: FakeClock) -> None:
    clock.advance(EVERY_US)
    while True:
        SurplusWalk(index, store, clock).walk_some()
        with index.read() as orm:
            last = orm.scalars(select(StoreWalk).order_by(StoreWalk.id.desc()).limit(1)).one()
        if last.ended_us is not None:
            return


@pytest.mark.parametrize("size", BODIES)
def test_a_kill_at_each_step_loses_nothing_and_leaves_nothing_unexplained(
    sqlite_index: Database,
    tmp_path: Path,
    seaweed: Seaweed,
    monkeypatch: pytest.MonkeyPatch,
    size: str,
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", PART)
    shelf, clock = Shelf(sqlite_index, tmp_path / "spool"), FakeClock(START + HOUR)
    bucket = f"killed-{new_id()}"
    whole = store_of(seaweed, bucket, Deaths(None))
    whole.prepare()
    stream, body, number = a_stream(sqlite_index), BODIES[size], 0
    while True:
        segment = shelf.segment(stream, START + number * MINUTE, body=body)
        deaths = Deaths(number)
        try:
            upload(shelf, seaweed, bucket, clock, deaths)
            break
        except Killed:
            assert (shelf.spool / str(segment.spool_path)).read_bytes() == body
        # Whoever is started next knows nothing of it.
        upload(shelf, seaweed, bucket, clock, Deaths(None))
        with sqlite_index.read() as orm:
            row = orm.get_one(Segment, segment.id)
        assert row.stored_us is not None, deaths.steps
        data = whole.read(str(row.store_key), str(row.store_version))
        assert sha256_of(data) == segment.sha256
        number += 1
    assert number > 10
    walk_through(sqlite_index, whole, clock)
    with sqlite_index.read() as orm:
        named = {(row.store_key, row.store_version) for row in orm.scalars(select(Segment))}
        known = {(row.store_key, row.store_version) for row in orm.scalars(select(SurplusVersion))}
    there = {(v.key, v.version) for v in whole.versions(f"footage/{stream}/").listed}
    assert named <= there
    assert there - named == known
    assert all(row[0].startswith(f"footage/{stream}/") for row in known)


def test_what_crashes_left_unfinished_is_dropped_after_a_day(
    sqlite_index: Database, tmp_path: Path, seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", PART)
    shelf, clock = Shelf(sqlite_index, tmp_path / "spool"), FakeClock(START + HOUR)
    bucket = f"killed-{new_id()}"
    whole = store_of(seaweed, bucket, Deaths(None))
    whole.prepare()
    shelf.segment(a_stream(sqlite_index), START, body=BODIES["parts"])
    deaths = Deaths(None)
    client = client_for(
        seaweed.endpoint, secure=False, region="us-east-1", access=ACCESS, secret=SECRET
    )
    real = client._url_open

    def until_a_part(method: str, *args: Any, **more: Any) -> Any:
        result = real(method, *args, **more)
        if "partNumber" in str(more.get("query_params")):
            raise Killed
        return result

    client._url_open = until_a_part  # type: ignore[method-assign]
    dying = S3Store(client, bucket, "here")
    with pytest.raises(Killed):
        Uploader(
            MortalIndex(sqlite_index, deaths), dying, shelf.spool, clock, lambda: None, threads=1
        ).upload_some()
    left = seaweed.client()._list_multipart_uploads(bucket).uploads
    assert left
    # It may be somebody's who is still at it.
    whole.prepare()
    assert len(seaweed.client()._list_multipart_uploads(bucket).uploads) == len(left)
    monkeypatch.setattr(s3, "UNFINISHED_US", -HOUR)
    whole.prepare()
    assert seaweed.client()._list_multipart_uploads(bucket).uploads == []

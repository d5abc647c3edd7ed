"""Yesterday's index and today's footage: what a session shows is what it showed."""

from pathlib import Path
from typing import Any

import pytest
from support.footage import Reel
from support.session_desk import Desk

from bidwitness.player.timeline import Timeline, session_timeline
from bidwitness.storage.commit import Committer
from bidwitness.storage.keep.records import RecordsWriter
from bidwitness.storage.keep.upload import Uploader
from bidwitness.storage.rebuild import Rebuild
from bidwitness.storage.store.file import FileStore
from bidwitness.words import Role

Place = Any


def timeline(place: Place, session: str) -> Timeline:
    with place.index.read() as orm:
        now = place.clock.utc_us()
        roles = frozenset({Role.VENUE})
        return session_timeline(orm, place.settings, session, now, roles, "somebody")


def film(place: Place, streams: list[str]) -> None:
    """Three stretches of each stream, with a hole, as its recorder left them on the disk."""
    for stream in streams:
        reel = Reel(place.index, place.settings.spool, stream, place.clock.utc_us())
        for _ in range(2):
            reel.write(2)
            reel.close(commit=False)
        reel.skip(1)
        reel.write(1)
        reel.close(commit=False)
    Committer(place.index, place.settings.spool).commit()


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "in the spool"])
def test_rebuilt_after_a_restore_the_timeline_is_equal(
    sqlite_here: Place, sqlite_there: Place, tmp_path: Path, stored: bool
) -> None:
    here, there = sqlite_here, sqlite_there
    desk = Desk(here.index, here.settings, here.clock)
    session = desk.started(desk.one)
    folder = here.save(tmp_path / "backups").folder
    film(here, desk.streams[desk.one.id])
    here.clock.sleep(10)
    before = timeline(here, session)
    assert before.coverage_ppm
    assert any(lane.ranges and lane.gaps for lane in before.lanes)

    store = FileStore(tmp_path / "store")
    if stored:
        args = (here.settings.spool, here.clock, store.prepare)
        uploader = Uploader(here.index, store, *args)
        while uploader.upload_some():
            pass
        here.clock.sleep(86_400)
        RecordsWriter(here.index, store, here.clock, store.prepare).write_due()
        here.clock.step(-86_400_000_000)
    there.takes_over(here)
    there.restore(folder)
    if not stored:
        here.settings.spool.rename(there.settings.spool)
    result = Rebuild(there.index, store, there.settings, there.clock).run()
    assert (result.streams, result.gone, result.damaged) == (0, 0, [])
    assert timeline(there, session) == before

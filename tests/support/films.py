"""Makes convenience films and mosaics of a scene's sessions, with all that they claim."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.clock import FakeClock
from support.viewing import Scene

from bidwitness.access import Ground
from bidwitness.config import Settings, load_settings
from bidwitness.intervals import Interval
from bidwitness.player.export import Share, StreamShare
from bidwitness.player.films import ConvenienceFilms
from bidwitness.player.mosaics import MosaicMaker
from bidwitness.player.playbacks import view_of
from bidwitness.player.rights import Permission, claimed_by
from bidwitness.player.timeline import Timeline, session_timeline
from bidwitness.player.watermarked import Recipient
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.database import Database
from bidwitness.words import ClaimClass, Medium, Role


@dataclass
class Cinema:
    """Makes films in ``folder``, beside the footage."""

    scene: Scene
    settings: Settings
    folder: Path

    def share(self, session: str, media: tuple[Medium, ...] = tuple(Medium)) -> Share:
        scene = self.scene
        window = Interval(scene.start, scene.clock.utc_us())
        streams = []
        with scene.index.read() as orm:
            for stream in scene.streams:
                view = view_of(orm, stream, window)
                others = tuple(
                    concern.interval
                    for concern in view.concerns
                    if concern.klass == ClaimClass.OWN and concern.session_id != session
                )
                spans = tuple(claimed_by(view, session))
                allowed = Permission(spans, others, Ground.ROLE, protected=False)
                if spans:
                    had = dict.fromkeys((m for m in view.media if m in media), allowed)
                    streams.append(StreamShare(view, had))
        return Share(window, tuple(streams), ())

    def _who(self, session: str) -> Recipient:
        at = self.scene.clock.utc_us()
        return Recipient("abc", "王审计", "wang", "", "", at, session, (), "case")

    def _timeline(self, session: str) -> Timeline:
        now, roles = self.scene.clock.utc_us(), frozenset({Role.SUPERVISOR})
        with self.scene.index.read() as orm:
            return session_timeline(orm, self.settings, session, now, roles, "wang")

    def films(
        self, session: str, on_bytes: Callable[[int, int], None] = lambda done, total: None
    ) -> ConvenienceFilms:
        footage = open_footage(self.settings, self.scene.clock)
        return ConvenienceFilms(
            *(self.scene.index, footage, self.folder / "work", self._who(session)),
            *(self._timeline(session), on_bytes),
        )

    def mosaic(
        self,
        session: str,
        sound: str | None = None,
        on_pictures: Callable[[int, int], None] = lambda done, total: None,
    ) -> MosaicMaker:
        footage = open_footage(self.settings, self.scene.clock)
        return MosaicMaker(
            *(self.scene.index, footage, self.folder / "work", self._who(session)),
            *(self._timeline(session), sound, on_pictures, lambda: None),
        )

    def made(self, session: str, *media: Medium) -> tuple[dict[str, Any], Path]:
        """Make the films and unpack them; give their record and where they lie."""
        target = self.folder / "out.zip"
        made = self.films(session).make(self.share(session, media or tuple(Medium)), target)
        said = json.loads(json.dumps(made.record))
        with zipfile.ZipFile(target) as bag:
            bag.extractall(self.folder / "bag")
            assert json.loads(bag.read("films.json")) == said
        assert self.left() == ["out.zip"]
        return said, self.folder / "bag"

    def left(self) -> list[str]:
        """Give the names of what was left where copies are made."""
        return [p.name for p in self.folder.iterdir() if p.name[:4] in ("out.", "work")]


def a_cinema(index: Database, folder: Path, cameras: int = 1) -> Cinema:
    """Give an empty one, with a room of so many cameras."""
    settings = load_settings(data=folder / "data")
    settings.spool.mkdir(parents=True)
    return Cinema(Scene(index, settings.spool, FakeClock(), cameras=cameras), settings, folder)

"""An honest session in a log, its package, and asking both verifiers what they see."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from support.evidence_log import Keys, make_log
from support.evidence_session import Session, Stream, make_package

from bidwitness.storage.evidence.entries import LogEntry
from bidwitness.storage.evidence.report import Report
from bidwitness.storage.evidence.verify import verify_package

Change = Callable[[list[LogEntry]], None]


@dataclass
class Scene:
    """An honest session, its log's keys, and where a log of it may be made."""

    folder: Path
    streams: list[Stream]
    session: Session
    keys: Keys

    @property
    def policy(self) -> Path:
        path = self.folder / "policy"
        if not path.exists():
            path.write_bytes(self.keys.policy())
        return path

    def bag(self, files: dict[str, bytes]) -> Path:
        bag = self.folder / "bag"
        make_package(bag, self.streams, self.session, log_files=files)
        return bag

    def log(self, name: str = "log", change: Change = lambda _: None) -> dict[str, bytes]:
        folder = self.folder / name
        return make_log(folder, self.keys, self.streams, self.session, change=change)


def told(bag: Path, policy: Path | None, standalone: ModuleType) -> Report:
    """Verify with both; they must agree."""
    ours = verify_package(bag, policy)
    theirs = standalone.verify_package(bag, policy)
    assert (ours.exit_code, ours.unproven) == (theirs.exit_code, theirs.unproven)
    assert list(map(vars, ours.problems)) == list(map(vars, theirs.problems))
    return ours

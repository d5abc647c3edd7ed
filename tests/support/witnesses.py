"""Witnesses that a site asks, in this process: the protocol's bytes are real, only the network is not."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from support.clock import FakeClock
from support.ledger_site import Site

from bidwitness.storage.evidence.note import NoteKey
from bidwitness.storage.ledger.asking import Asker
from bidwitness.storage.ledger.ledger import Ledger
from bidwitness.storage.ledger.shard import read_head
from bidwitness.storage.ledger.witnessing import Witnesses
from bidwitness.storage.spool.files import Files, SystemFiles
from bidwitness.storage.witness.witness import LOGS, Witness, make_witness

Behave = Callable[[httpx.Request], httpx.Response]


def opened_witness(
    folder: Path, clock: FakeClock, *logs: NoteKey, files: Files | None = None, name: str = ""
) -> Witness:
    """A witness of these logs, made if there is none."""
    if not folder.exists():
        make_witness(folder, name or f"{folder.name}.example", SystemFiles())
    if logs:
        (folder / LOGS).write_text("".join(f"log {key}\n" for key in logs))
    witness = Witness(folder, clock, files or SystemFiles())
    witness.open()
    return witness


@dataclass
class Neighbours:
    """A site with witnesses; ``behave[name]`` stands in for one that does something else."""

    site: Site
    folder: Path
    names: tuple[str, ...]
    quorum: str
    witnesses: dict[str, Witness] = field(default_factory=dict)
    behave: dict[str, Behave] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in self.names:
            self.witnesses[name] = opened_witness(self.folder / name, self.site.clock)
        self.path = self.folder / "witnesses"
        self.path.write_text(self.lines())
        self.site.settings = self.site.settings.model_copy(update={"witnesses": self.path})
        self.begin()

    def lines(self) -> str:
        """The settings' file."""
        lines = [
            f"witness {name} {witness.key} http://{name}.example/"
            for name, witness in self.witnesses.items()
        ]
        return "".join(f"{line}\n" for line in [*lines, self.quorum])

    def begin(self) -> None:
        """Start a `keep` anew, as far as the log is concerned."""
        self.site.ledger.close()
        asker = Asker(self.site.clock, httpx.MockTransport(self._answer))
        self.asking = Witnesses(
            self.site.index, self.site.settings, self.site.clock, SystemFiles(), asker
        )
        self.site.ledger = Ledger(
            self.site.index,
            self.site.settings,
            self.site.clock,
            SystemFiles(),
            self.asking.confirm,
        )

    def introduce(self, *shards: str) -> None:
        """Give the log's keys to the witnesses, as their operators do by hand."""
        keys = []
        for shard in shards or (self.site.year,):
            entry = self.site.entries(shard)[1]
            keys.append(f"log {getattr(entry, 'key', '')}\n")
        for name in self.names:
            (self.folder / name / LOGS).write_text("".join(keys))

    def note(self, name: str, shard: str = "") -> bytes | None:
        """A file of the log's folder."""
        path = self.site.settings.log / (shard or self.site.year) / name
        return path.read_bytes() if path.exists() else None

    def size(self, name: str) -> int:
        """How many entries the checkpoint of this file names; 0 if there is none."""
        found = read_head(self.site.folder, f"site-1/log/{self.site.year}", name)
        return found[0].size if found else 0

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host.partition(".")[0]
        self.asked.append(name)
        if name in self.behave:
            made = self.behave[name](request)
            stream = httpx.ByteStream(made.content)
            return httpx.Response(made.status_code, headers=made.headers, stream=stream)
        answer = self.witnesses[name].add_checkpoint(request.read())
        return httpx.Response(answer.status, stream=httpx.ByteStream(answer.body))

"""Checkpoints are stamped hourly and after each close; nothing waits for it, and an alarm tells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from rfc3161_client import TimestampRequestBuilder
from support.authorities import policy_line
from support.ledger_site import Site
from support.witnesses import Neighbours

from bidwitness.storage.evidence.entries import SessionEntry, session_tag
from bidwitness.storage.evidence.merkle import verify_consistency, verify_inclusion
from bidwitness.storage.evidence.note import read_checkpoint, read_note
from bidwitness.storage.evidence.proof import read_logged
from bidwitness.storage.evidence.session_records import CloseFacts
from bidwitness.storage.evidence.stamps import read_consistency
from bidwitness.storage.evidence.token import read_token
from bidwitness.storage.index.alarms import open_alarm
from bidwitness.storage.index.outbox import put_in_outbox
from bidwitness.storage.ledger.authority import QUERY, Authority
from bidwitness.storage.ledger.proving import _shard_files
from bidwitness.storage.ledger.shard import COSIGNED
from bidwitness.storage.ledger.stamped import stamp_files, stamp_folder, stamped_sizes
from bidwitness.storage.ledger.stamping import MISSING, Stamper
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.storage.timestamp.authority import TimeAuthority, make_authority

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


@dataclass
class Stamps:
    """A site whose log two authorities stamp."""

    site: Site
    folder: Path
    authorities: dict[str, TimeAuthority] = field(default_factory=dict)
    behave: dict[str, Callable[[httpx.Request], httpx.Response]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        lines = []
        for name in ("a", "b"):
            folder = self.folder / name
            seal = make_authority(folder, name, 20, self.site.clock, SystemFiles())
            authority = TimeAuthority(folder, self.site.clock, SystemFiles(), lambda: True)
            authority.open()
            self.authorities[name] = authority
            lines.append(policy_line(name, seal.der, f"http://{name}.example/"))
        self.path = self.folder / "witnesses"
        self.path.write_bytes(b"".join(lines) + b"quorum none\n")
        self.site.settings = self.site.settings.model_copy(update={"witnesses": self.path})
        self.begin()

    def begin(self) -> None:
        authority = Authority(self.site.clock, httpx.MockTransport(self._answer))
        site = self.site
        self.stamper = Stamper(site.index, site.settings, site.clock, SystemFiles(), authority)

    def close(self) -> None:
        """Have a session's close logged."""
        with self.site.index.write() as orm:
            entry = SessionEntry(session_tag("s"), 9, "0" * 64)
            about = {"session": "s", "record": CloseFacts.T}
            put_in_outbox(orm, "session_record:9", entry, self.site.clock.utc_us(), about)
        self.site.log()

    def sizes(self) -> list[int]:
        return stamped_sizes(self.site.folder)

    def alarm(self) -> str | None:
        with self.site.index.read() as orm:
            found = open_alarm(orm, MISSING, "ledger")
            return found.cause if found is not None else None

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name = request.url.host.partition(".")[0]
        self.asked.append(name)
        assert request.headers["content-type"] == QUERY
        behave = self.behave.get(name)
        made = (
            behave(request)
            if behave
            else httpx.Response(200, content=self.authorities[name].answer(request.read()))
        )
        return httpx.Response(made.status_code, stream=httpx.ByteStream(made.content))


@pytest.fixture
def stamps(site: Site, tmp_path: Path) -> Stamps:
    site.act(3)
    site.log()
    return Stamps(site, tmp_path / "stamps")


def away(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectTimeout("nobody is there")


def test_the_first_then_hourly_while_the_log_grows(stamps: Stamps) -> None:
    site = stamps.site
    assert stamps.stamper.stamp_due() == 2
    assert stamps.sizes() == [5]
    message = (stamp_folder(site.folder, 5) / "checkpoint").read_bytes()
    assert message == (site.folder / "checkpoint").read_bytes()
    for name in ("a", "b"):
        token = read_token((stamp_folder(site.folder, 5) / f"{name}.tsr").read_bytes())
        assert token.is_of(message)
        assert token.at == site.clock.utc_us()
    assert stamps.stamper.stamp_due() == 0
    site.act()
    site.log()
    site.clock.advance(59 * MINUTE)
    assert stamps.stamper.stamp_due() == 0
    site.clock.advance(MINUTE)
    assert stamps.stamper.stamp_due() == 2
    site.clock.advance(5 * HOUR)
    assert stamps.stamper.stamp_due() == 0
    assert stamps.sizes() == [5, 6]


def test_a_close_is_stamped_at_once(stamps: Stamps) -> None:
    stamps.stamper.stamp_due()
    stamps.close()
    assert stamps.stamper.stamp_due() == 2
    assert stamps.sizes() == [5, 6]
    stamps.site.act()
    stamps.site.log()
    assert stamps.stamper.stamp_due() == 0


def test_after_a_start_it_knows_what_was_stamped(stamps: Stamps) -> None:
    stamps.stamper.stamp_due()
    stamps.begin()
    stamps.site.act()
    stamps.site.log()
    assert stamps.stamper.stamp_due() == 0
    stamps.close()
    assert stamps.stamper.stamp_due() == 2


def wrong_nonce(stamps: Stamps, _: httpx.Request) -> httpx.Response:
    message = (stamps.site.folder / "checkpoint").read_bytes()
    built = TimestampRequestBuilder().data(message).nonce(nonce=True).build()
    return httpx.Response(200, content=stamps.authorities["a"].answer(built.as_bytes()))


WRONG: dict[str, Callable[[Stamps, httpx.Request], httpx.Response]] = {
    "away": lambda _, request: away(request),
    "replayed": wrong_nonce,
    "another's": lambda s, r: httpx.Response(200, content=s.authorities["b"].answer(r.read())),
    "empty": lambda _, __: httpx.Response(200),
    "noise": lambda _, __: httpx.Response(200, content=bytes(range(256))),
    "endless": lambda _, __: httpx.Response(200, content=b"0" * 400_000),
    "broken": lambda _, __: httpx.Response(500),
    "elsewhere": lambda _, __: httpx.Response(302, headers={"Location": "http://b.example/"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_answer_is_no_stamp(stamps: Stamps, what: str) -> None:
    stamps.behave["a"] = lambda request: WRONG[what](stamps, request)
    assert stamps.stamper.stamp_due() == 1
    assert [p.name for p in stamp_folder(stamps.site.folder, 5).glob("*.tsr")] == ["b.tsr"]
    # It is left alone for a while, then asked again.
    stamps.asked.clear()
    assert stamps.stamper.stamp_due() == 0
    assert stamps.asked == []
    del stamps.behave["a"]
    stamps.site.clock.advance(6 * SECOND)
    assert stamps.stamper.stamp_due() == 1
    assert stamps.alarm() is None


def test_an_alarm_when_nobody_stamps_for_long(stamps: Stamps) -> None:
    stamps.behave |= {"a": away, "b": away}
    assert stamps.stamper.stamp_due() == 0
    assert stamps.alarm() is None
    stamps.site.clock.advance(181 * MINUTE)
    stamps.stamper.stamp_due()
    assert "a does not answer" in str(stamps.alarm())
    stamps.site.act()
    assert stamps.site.ledger.log_some() == 1
    del stamps.behave["b"]
    stamps.site.clock.advance(301 * SECOND)
    assert stamps.stamper.stamp_due() == 1
    assert stamps.alarm() is None


def test_without_authorities_nothing_is_asked(stamps: Stamps) -> None:
    stamps.site.settings = stamps.site.settings.model_copy(update={"witnesses": None})
    stamps.begin()
    assert stamps.stamper.stamp_due() == 0
    assert (stamps.asked, stamps.alarm()) == ([], None)


def test_a_package_carries_the_first_stamp_over_each_record(stamps: Stamps) -> None:
    site = stamps.site
    for count in (3, 255, 4):
        site.act(count)
        site.log()
        site.clock.advance(HOUR)
        stamps.stamper.stamp_due()
    assert stamps.sizes() == [8, 263, 267]
    files = _shard_files(site.settings, "2023", [2, 6, 264])
    more = stamp_files(site.settings, "2023", [2, 6, 264], files)
    assert sorted(name.split("/")[4] for name in more if name.endswith("checkpoint")) == [
        f"{8:016d}",
        f"{267:016d}",
    ]
    head = read_checkpoint(read_note(files["data/log/2023/checkpoint"]))
    for line in more["data/log/2023/consistency.ndjson"].splitlines():
        facts = read_consistency(line)
        note = read_note(more[f"data/log/2023/stamps/{facts.size:016d}/checkpoint"])
        path = [bytes.fromhex(item) for item in facts.path]
        stamped = read_checkpoint(note)
        assert verify_consistency(stamped.size, head.size, stamped.root, head.root, path)
    assert stamp_files(site.settings, "2023", [267], files) == {}


def test_a_package_has_the_checkpoint_that_enough_have_cosigned(site: Site, tmp_path: Path) -> None:
    near = Neighbours(site, tmp_path / "near", ("a",), "quorum a")
    site.act(3)
    site.log()
    near.introduce()
    site.clock.advance(10 * SECOND)
    near.asking.ask_all()
    near.behave["a"] = away
    site.act(255)
    site.log()
    near.asking.ask_all()
    assert (near.size(COSIGNED), near.size("checkpoint")) == (5, 261)
    # The narrow tiles of its size are gone by now.
    for place, size in ((4, 5), (5, 261)):
        files = _shard_files(site.settings, "2023", [place])
        head = read_checkpoint(read_note(files["data/log/2023/checkpoint"]))
        assert head.size == size
        logged = read_logged(files["data/log/2023/entries.ndjson"].strip())
        path = [bytes.fromhex(item) for item in logged.path]
        leaf = site.tiles().hashes(0, place // 256)[place % 256]
        assert verify_inclusion(leaf, logged.index, head.size, path, head.root)

"""The record of a viewing: what was sent and nothing else, and what those bytes are by then."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.clock import FakeClock
from support.paper import told_by, words_of
from support.sealed_session import Sealed, signed_and_logged
from support.viewing import SECOND, Line, Scene, Watcher

from bidwitness.errors import DamageFound, FootageLost, NotFound, StoreError
from bidwitness.player import tasks as player_tasks
from bidwitness.player.viewing.rereading import reread
from bidwitness.retention.copies import remove_expired_copies
from bidwitness.storage.evidence_report.checking import check_report
from bidwitness.storage.evidence_report.signing import der_of, read_report_certificates
from bidwitness.storage.footage import open_footage
from bidwitness.storage.index.models import AuditEntry, Derivative, Record, Segment
from bidwitness.storage.jobs import HANDLERS, Runner
from bidwitness.storage.watched import SEEN
from bidwitness.words import Action, JobState, Medium, Role, SessionState

ADDRESS = "/api/v1/viewing-records"
# Imported, so that its jobs are known.
TASKS = player_tasks


@pytest.fixture
def scene(api: RunningApi, clock: FakeClock) -> Scene:
    """Two cameras; the first one's footage is in files of 0 to 50, 50 to 100 and 100 to 120 s. Its
    minutes begin at 40 s and 100 s."""
    scene = Scene(api.database, api.parts.settings.spool, clock, cameras=2)
    assert scene.start % (60 * SECOND) == 20 * SECOND
    scene.reel().segments(120, each=50)
    return scene


@dataclass
class Viewing:
    """An auditor's viewing of a session of both cameras."""

    api: RunningApi
    scene: Scene
    watcher: Watcher

    @property
    def client(self) -> httpx.Client:
        return self.watcher.client

    @property
    def id(self) -> str:
        return str(self.watcher.playback["id"])

    def fetch(self, at_s: float, track: str = "picture") -> Line:
        """Have the entry that holds an instant, and nothing else."""
        at = self.scene.at(at_s)
        lines = self.watcher.playlist(self.scene.stream, track).entries
        line = next(line for line in lines if line.from_us <= at < line.to_us)
        assert self.watcher.get(self.scene.stream, line.address, track).status_code == 200
        return line

    def ask(self) -> dict[str, Any]:
        answer = self.client.post(ADDRESS, json={"playback_id": self.id})
        assert answer.status_code == 202, answer.text
        asked: dict[str, Any] = answer.json()
        return asked

    def made(self) -> dict[str, Any]:
        """Ask for the record, have it made, and say how it is."""
        asked = self.ask()
        assert run(self.api, asked["id"]) == JobState.DONE
        made: dict[str, Any] = self.client.get(f"{ADDRESS}/{asked['id']}").json()
        return made

    def facts(self, made: dict[str, Any]) -> dict[str, Any]:
        answer = self.client.get(made["facts"])
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        found: dict[str, Any] = json.loads(answer.content)
        return found


def run(api: RunningApi, job_id: str) -> JobState | None:
    parts = api.parts
    return Runner(parts.settings, parts.database, parts.clock, "w", HANDLERS).run_job(job_id)


@contextmanager
def opened(api: RunningApi, scene: Scene, state: SessionState) -> Iterator[Viewing]:
    session = scene.session(0, 120, state=state)
    scene.clock.advance(60 * SECOND)
    scene.grant(api.add_user("auditor.li", Role.AUDITOR), session)
    with api.as_user("auditor.li") as client:
        watcher = Watcher(client)
        assert watcher.open(session).status_code == 201
        yield Viewing(api, scene, watcher)


@pytest.fixture
def viewing(api: RunningApi, scene: Scene) -> Iterator[Viewing]:
    with opened(api, scene, SessionState.SEALED) as viewing:
        yield viewing


def file_at(api: RunningApi, scene: Scene, at_s: float) -> Segment:
    with api.database.read() as orm:
        query = select(Segment).where(Segment.from_us <= scene.at(at_s))
        return orm.scalars(query.order_by(Segment.from_us.desc())).first() or pytest.fail()


def audited(api: RunningApi) -> list[tuple[str, bool]]:
    with api.database.read() as orm:
        query = select(AuditEntry).where(AuditEntry.action.startswith("viewing_record."))
        rows = orm.scalars(query.order_by(AuditEntry.id))
        return [(row.action.rpartition(".")[2], row.allowed) for row in rows]


def test_what_was_sent_and_nothing_else(viewing: Viewing, api: RunningApi) -> None:
    scene = viewing.scene
    for at in (45, 46, 110):
        viewing.fetch(at)
    viewing.fetch(110, "sound")
    made = viewing.made()
    assert made["files"] == {"ok": 2, "altered": 0, "missing": 0, "unread": 0, "open": 0}
    facts = viewing.facts(made)
    sent = {(item["stream"], item["medium"]): item for item in facts["sent"]}
    spans = {
        key: [(span["from"], span["to"]) for span in item["spans"]] for key, item in sent.items()
    }
    # Of the minute from 40 to 100 s only what the file that was touched holds.
    last = (scene.at(100), scene.at(120))
    assert spans.pop((scene.stream, "picture")) == [(scene.at(40), scene.at(50)), last]
    assert spans.pop((scene.stream, "sound")) == [last]
    # The other camera was open to her, and nothing of it was sent.
    assert {stream for stream, _ in spans} == {scene.streams[1]}
    assert not any(spans.values())
    files = [(item["run_seq"], item["media"], item["state"]) for item in facts["files"]]
    assert files == [(0, ["picture"], "ok"), (2, ["picture", "sound"], "ok")]
    for item, at in zip(facts["files"], (0, 110), strict=True):
        row = file_at(api, scene, at)
        assert (item["sha256"], item["bytes"]) == (row.sha256.hex(), row.bytes)
        with api.database.read() as orm:
            record = orm.get_one(Record, row.record_id)
            assert item["root"] == json.loads(record.body or "")["root"]["sha256"]
            assert item["leaf"] == record.leaf.hex()
    (grant,) = facts["grants"]
    assert (grant["basis"], grant["reason"]) == ("held", "test")
    assert facts["viewer"]["username"] == "auditor.li"
    # The entries of the trail that it stands on are all there, each as it was committed to.
    noted = [entry["event"]["action"] for entry in facts["audit_entries"]]
    assert noted == ["playback.open", *[SEEN] * 3]
    assert all(entry["salt"] for entry in facts["audit_entries"])
    assert facts["trail"]["entries"] == 4


def test_the_document(viewing: Viewing, api: RunningApi, tmp_path: Any) -> None:
    viewing.fetch(45)
    made = viewing.made()
    answer = viewing.client.get(made["document"])
    assert answer.headers["content-type"] == "application/pdf"
    assert made["number"] in answer.headers["content-disposition"]
    facts = viewing.client.get(made["facts"]).content
    certificates = [der_of(one) for one in read_report_certificates(api.parts.settings)]
    assert check_report(answer.content, facts, certificates) is True
    words = words_of(answer.content, tmp_path)
    assert "〔U+" not in words, "the font has every word"
    # Sound was not sent: nothing is said of how it is stored.
    assert "未经转码" not in words
    row = file_at(api, viewing.scene, 45)
    for text in (
        *("回放查看笔录", "RECORDOFVIEWING", made["number"], made["digest"], viewing.id),
        *("不证明已在屏幕上显示", "doesnotprovethatitwaspainted"),
        *("不转码", "byteforbyte", "录制机时钟", "recorder'sclock"),
        *("一致ok", "auditor.li", row.run_id, "2023-11-1506:14:00.000–06:14:10.000"),
    ):
        assert "".join(text.split()) in words, text
    for start in range(0, 64, 8):
        assert row.sha256.hex()[start : start + 8] in words
    (tmp_path / "r.pdf").write_bytes(answer.content)
    assert "facts.json" in told_by("pdfdetach", "-list", str(tmp_path / "r.pdf"))
    assert audited(api) == [("request", True), ("made", True), ("fetch", True), ("fetch", True)]


def test_an_altered_byte_is_said(viewing: Viewing, api: RunningApi) -> None:
    viewing.fetch(45)
    viewing.fetch(110)
    row = file_at(api, viewing.scene, 45)
    path = api.parts.settings.spool / str(row.spool_path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    made = viewing.made()
    assert (made["files"]["ok"], made["files"]["altered"]) == (1, 1)
    first, second = viewing.facts(made)["files"]
    assert (first["state"], second["state"]) == ("altered", "ok")
    assert "sha256 is not the record's" in first["wrong"]
    assert any("root" in word for word in first["wrong"])


def test_what_has_expired_since_is_said(viewing: Viewing, api: RunningApi) -> None:
    viewing.fetch(45)
    row = file_at(api, viewing.scene, 45)
    at = viewing.scene.clock.utc_us()
    with api.database.write() as orm:
        orm.get_one(Segment, row.id).removed_us = at
    made = viewing.made()
    assert made["files"]["missing"] == 1
    (item,) = viewing.facts(made)["files"]
    assert (item["state"], item["removed"], item["sha256"]) == ("missing", at, row.sha256.hex())


def test_what_is_not_stored_yet_is_said(api: RunningApi, clock: FakeClock) -> None:
    scene = Scene(api.database, api.parts.settings.spool, clock)
    reel = scene.reel()
    reel.write(15)
    clock.set_utc(scene.at(15))
    with opened(api, scene, SessionState.SEALED) as viewing:
        viewing.fetch(5)
        made = viewing.made()
        assert made["files"]["open"] == 1
        facts = viewing.facts(made)
        assert facts["files"][0]["run"] == reel.run
        assert facts["sent"][0]["spans"] != []


def test_where_it_stands_in_the_log(api: RunningApi, sealed: Sealed) -> None:
    sealed.grant("auditor", list(Medium), [Action.REPLAY])
    signed_and_logged(sealed)
    with api.as_user("auditor") as client:
        watcher = Watcher(client)
        assert watcher.open(sealed.id).status_code == 201
        for line in watcher.playlist(sealed.streams[0]).entries:
            assert watcher.get(sealed.streams[0], line.address).status_code == 200
        asked = client.post(ADDRESS, json={"playback_id": watcher.playback["id"]}).json()
        assert sealed.run(asked["id"]) == JobState.DONE
        facts = client.get(f"{ADDRESS}/{asked['id']}/facts").json()
    assert facts["log"]["covered"] is True
    assert {key["role"] for key in facts["keys"]} == {"log", "recorder", "report"}
    (cover,) = facts["covers"]
    touched = [item["seq"] for item in facts["files"]]
    assert (cover["first"], cover["last"]) == (min(touched), max(touched))
    assert cover["position"] is not None
    (stream,) = [one for one in facts["streams"] if one["segments"]]
    assert sum(clock["us"] for clock in stream["clocks"]) > 0
    assert facts["session"]["lots"] != []


class Broken:
    """Footage that fails as it is told to."""

    def __init__(self, error: Exception, cause: Exception | None = None) -> None:
        self._error, self._cause = error, cause

    def open_stream(self, segment: Segment) -> Iterator[bytes]:
        yield b"\0" * 4
        raise self._error from self._cause


def test_footage_that_cannot_be_read(api: RunningApi, clock: FakeClock) -> None:
    scene = Scene(api.database, api.parts.settings.spool, clock)
    row = scene.reel().segment(2)
    with api.database.read() as orm:
        record = orm.get_one(Record, row.record_id)
    for source, state in (
        (Broken(FootageLost("gone")), "missing"),
        (Broken(DamageFound("short")), "altered"),
        (Broken(DamageFound("disk"), OSError("I/O")), "unread"),
        (Broken(NotFound("on another recorder")), "unread"),
        (Broken(StoreError("does not answer")), "unread"),
    ):
        assert reread(source, row, record).state == state
    # A record that was changed is none of what was made, whatever the bytes are.
    record.leaf = bytes(32)
    footage = open_footage(api.parts.settings, clock)
    assert reread(footage, row, record).wrong == ("its record is not the one that was made",)


def test_whose_it_is(viewing: Viewing, api: RunningApi) -> None:
    body = {"playback_id": viewing.id}
    problem = problem_of(viewing.client.post(ADDRESS, json=body), 409, "conflict")
    assert "play it first" in str(problem["detail"])
    viewing.fetch(45)
    asked = viewing.ask()
    assert viewing.ask()["id"] == asked["id"], "one that is being made is given again"
    problem_of(viewing.client.get(f"{ADDRESS}/{asked['id']}/document"), 409, "conflict")
    with api.as_user("stranger", Role.AUDITOR) as stranger:
        problem_of(stranger.post(ADDRESS, json=body), 404, "not-found")
        unknown = {"playback_id": "a" * 16}
        problem_of(stranger.post(ADDRESS, json=unknown), 404, "not-found")
        for part in ("", "/document", "/facts"):
            problem_of(stranger.get(f"{ADDRESS}/{asked['id']}{part}"), 404, "not-found")
    with api.as_user("trail", Role.AUDIT_ADMIN) as reader:
        assert reader.get(f"{ADDRESS}/{asked['id']}").status_code == 200
        other = reader.post(ADDRESS, json=body).json()
        # What somebody else has had made about her is not hers to know of.
        problem_of(viewing.client.get(f"{ADDRESS}/{other['id']}"), 404, "not-found")
        assert run(api, other["id"]) == JobState.DONE
        facts = reader.get(f"{ADDRESS}/{other['id']}/facts").json()
        assert (facts["asked_by"], facts["viewer"]["username"]) == ("trail", "auditor.li")
    assert [allowed for action, allowed in audited(api) if action == "request"] == [
        *(False, True, False, True)
    ]


def test_a_right_that_has_ended_does_not_end_what_was_seen(
    viewing: Viewing, api: RunningApi
) -> None:
    viewing.fetch(45)
    assert viewing.client.post(f"/api/v1/playbacks/{viewing.id}/close").status_code == 204
    facts = viewing.facts(viewing.made())
    assert facts["closed"] is not None
    # Each is made of its own time, under a number of its own.
    again = viewing.made()
    assert again["number"].endswith("-0002")


def test_it_expires(viewing: Viewing, api: RunningApi) -> None:
    viewing.fetch(45)
    made = viewing.made()
    with api.database.read() as orm:
        row = orm.scalars(select(Derivative)).one()
    folder = api.parts.settings.exports
    assert len(list(folder.iterdir())) == 2
    (folder / str(row.path)).write_bytes(b"another")
    problem_of(viewing.client.get(made["document"]), 500, "damage")
    viewing.scene.clock.advance(8 * 86_400 * SECOND)
    with api.as_user("auditor.li") as client:
        problem_of(client.get(made["document"]), 404, "not-found")
        assert remove_expired_copies(api.database, viewing.scene.clock, api.parts.settings) == 1
        assert list(folder.iterdir()) == []
        problem_of(client.get(made["facts"]), 404, "not-found")
        left = client.get(f"{ADDRESS}/{made['id']}").json()
        assert (left["document"], left["number"]) == (None, made["number"])

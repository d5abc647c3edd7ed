"""A copy of a session: asked for, made, fetched, verified by a stranger; and what is refused."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from sqlalchemy import select
from support.api import RunningApi, problem_of
from support.attacks import edit_records, remanifest, swap
from support.authorities import asking, opened_authority, policy_line
from support.footage import numbers_in
from support.ledger_site import Site
from support.sealed_session import Sealed, exported, fetched, signed_and_logged
from support.witnesses import Neighbours

from bidwitness.celery import backlog, make_app
from bidwitness.storage.check.ledger import check_ledger
from bidwitness.storage.evidence.canonical import canonical
from bidwitness.storage.evidence.merkle import hash_leaf, root
from bidwitness.storage.evidence.note import read_checkpoint, read_note
from bidwitness.storage.evidence.pieces import read_pieces
from bidwitness.storage.evidence.policy import Policy, read_policy
from bidwitness.storage.evidence.records import leaf_hash
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.index.models import (
    AuditEntry,
    Derivative,
    Grant,
    RegisterEntry,
    Segment,
    SessionRecord,
)
from bidwitness.storage.ledger.stamping import Stamper
from bidwitness.storage.ledger.tiles import unpack
from bidwitness.storage.ledger.tokens import check_token
from bidwitness.storage.ledger.trust import write_policy
from bidwitness.storage.spool.files import SystemFiles
from bidwitness.words import Action, JobState, Medium, Role

SECOND = 1_000_000
UNPROVEN = 3


def test_a_package_that_verifies(api: RunningApi, sealed: Sealed, tmp_path: Path) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    with api.as_user("auditor") as client:
        body = {"session_id": sealed.id, "reason": "case 7", "form": "package"}
        answer = client.post("/api/v1/exports", json=body)
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert (job["state"], job["package"]) == ("queued", None)
        # A worker is told at once, not when beat next looks.
        assert backlog(make_app(api.parts.settings)) == 1
        problem_of(client.get(f"/api/v1/exports/{job['id']}/package"), 409, "conflict")
        assert sealed.run(job["id"]) == JobState.DONE
        done = client.get(f"/api/v1/exports/{job['id']}").json()
        assert done["state"] == "done"
        path = fetched(client, job["id"], tmp_path)
        assert done["bytes"] == path.stat().st_size
    report = verify_package(path)
    assert report.problems == []
    assert report.exit_code == UNPROVEN
    assert report.session == sealed.id
    assert {stream.stream for stream in report.streams} == set(sealed.streams)
    with zipfile.ZipFile(path) as bag:
        names = [n for n in bag.namelist() if n.endswith(".mp4") and sealed.streams[0] in n]
        seen = [n for name in sorted(names) for n in numbers_in(bag.read(name))]
    assert seen == list(range(10 * 25, 30 * 25))
    with api.database.read() as orm:
        made = orm.scalars(select(Derivative)).one()
        assert made.expires_us is not None
        assert orm.scalars(select(RegisterEntry)).one().reason == "case 7"
        actions = list(orm.scalars(select(AuditEntry.action)))
        for action in ("export.request", "export.made", "export.fetch"):
            assert actions.count(action) == 1


def test_only_the_permitted_medium_is_in_it(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    sealed.grant("auditor", [Medium.SOUND], [Action.COPY])
    with api.as_user("auditor") as client:
        body = {"session_id": sealed.id, "reason": "case 8", "form": "package"}
        job = client.post("/api/v1/exports", json=body).json()
        assert sealed.run(job["id"]) == JobState.DONE
        path = fetched(client, job["id"], tmp_path)
    report = verify_package(path)
    assert report.problems == []
    assert [stream.stream for stream in report.streams] == sealed.streams[:1]
    with zipfile.ZipFile(path) as bag:
        names = [name for name in bag.namelist() if name.endswith(".mp4")]
        assert names
        for name in names:
            assert numbers_in(bag.read(name)) == []


def test_who_may_not_copy_gets_nothing(api: RunningApi, sealed: Sealed) -> None:
    sealed.grant("looker", list(Medium), [Action.REPLAY])
    body = {"session_id": sealed.id, "reason": "case 9", "form": "package"}
    with api.as_user("looker") as client:
        problem_of(client.post("/api/v1/exports", json=body), 403, "forbidden")
    for role in (Role.SYSTEM_ADMIN, Role.SUPERVISOR):
        with api.as_user(f"a.{role}", role) as client:
            problem_of(client.post("/api/v1/exports", json=body), 403, "forbidden")
    with api.database.read() as orm:
        query = select(AuditEntry.allowed).where(AuditEntry.action == "export.request")
        assert list(orm.scalars(query)) == [False, False, False]


def test_a_right_that_ends_and_a_package_that_expires(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY])
    with api.as_user("auditor") as client, api.as_user("other", Role.AUDITOR) as other:
        body = {"session_id": sealed.id, "reason": "case 10", "form": "package"}
        job = client.post("/api/v1/exports", json=body).json()
        sealed.run(job["id"])
        address = f"/api/v1/exports/{job['id']}/package"
        fetched(client, job["id"], tmp_path)
        problem_of(other.get(address), 404, "not-found")
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().media = ["picture"]
        problem_of(client.get(address), 403, "forbidden")
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().media = list(Medium)
            orm.scalars(select(Derivative)).one().expires_us = sealed.clock.utc_us()
        problem_of(client.get(address), 404, "not-found")
        assert list(api.parts.settings.exports.iterdir()) == []


def test_a_right_that_ends_before_the_job_runs(api: RunningApi, sealed: Sealed) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY])
    with api.as_user("auditor") as client:
        body = {"session_id": sealed.id, "reason": "case 11", "form": "package"}
        job = client.post("/api/v1/exports", json=body).json()
        with api.database.write() as orm:
            orm.scalars(select(Grant)).one().revoked_us = sealed.clock.utc_us()
        assert sealed.run(job["id"]) == JobState.FAILED
        found = client.get(f"/api/v1/exports/{job['id']}").json()
        assert found["package"] is None
        assert "No copy" in found["error"]


def extracted(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return next(folder.iterdir())


def pieces_of(data: bytes) -> list[bytes]:
    return [bytes(piece) for piece in read_pieces(io.BytesIO(data))]


def test_a_clip_holds_no_byte_outside_its_pieces(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    """Each fragment of the spool is looked for in the package, in both directions."""
    sealed.grant("auditor", [Medium.PICTURE], [Action.COPY])
    start, end = sealed.start + 14 * SECOND, sealed.start + 17 * SECOND
    with api.as_user("auditor") as client:
        body = {
            "session_id": sealed.id,
            "reason": "case 12",
            "media": ["picture"],
            "from": start,
            "to": end,
            "stream_ids": sealed.streams[:1],
            "form": "package",
        }
        answer = client.post("/api/v1/exports", json=body)
        assert answer.status_code == 202, answer.text
        assert sealed.run(answer.json()["id"]) == JobState.DONE
        path = fetched(client, answer.json()["id"], tmp_path)
    assert verify_package(path).problems == []
    held = path.read_bytes()
    bag = extracted(path, tmp_path / "bag")
    shown = [p for f in bag.rglob("*.mp4") for p in pieces_of(f.read_bytes())[1:]]
    with api.database.read() as orm:
        query = select(Segment.spool_path).where(Segment.stream_id == sealed.streams[0])
        spool = [api.parts.settings.spool / str(name) for name in orm.scalars(query)]
    stored = [piece for file in spool for piece in pieces_of(file.read_bytes())[1:]]
    assert 0 < len(shown) < len(stored) // 4
    assert set(shown) <= set(stored)
    # Not even the samples of what is withheld: their bytes, without the boxes around them.
    withheld = [piece for piece in stored if piece not in set(shown)]
    bodies = {piece[piece.index(b"mdat") + 4 :] for piece in withheld}
    bodies -= {piece[piece.index(b"mdat") + 4 :] for piece in shown}
    assert len(bodies) > len(shown)
    assert not any(body in held for body in bodies)


def flip(bag: Path) -> str:
    path = sorted(bag.rglob("*.mp4"))[1]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path.name


def truncate(bag: Path) -> str:
    path = sorted(bag.rglob("*.mp4"))[1]
    path.write_bytes(path.read_bytes()[:-100])
    return path.name


def take_out_a_fragment(bag: Path) -> str:
    path = sorted(bag.rglob("*.mp4"))[1]
    pieces = pieces_of(path.read_bytes())
    path.write_bytes(b"".join(pieces[:3] + pieces[4:]))
    return path.name


def swap_streams(bag: Path) -> str:
    one, two = (sorted(folder.iterdir())[1] for folder in (bag / "data/media").iterdir())
    swap(one, two)
    return one.name


def forget_a_record(bag: Path) -> str:
    path = min(bag.glob("data/records/*/*.ndjson"))
    edit_records(path, lambda records: records.pop(1))
    return path.parent.name


def test_attacks_on_a_package_of_real_footage(
    api: RunningApi, sealed: Sealed, tmp_path: Path
) -> None:
    """Every manifest is made to fit; ``verify.py`` is the one that lies in the package."""
    sealed.grant("auditor", list(Medium), [Action.COPY])
    with api.as_user("auditor") as client:
        body = {"session_id": sealed.id, "reason": "case 13", "form": "package"}
        job = client.post("/api/v1/exports", json=body).json()
        assert sealed.run(job["id"]) == JobState.DONE
        honest = extracted(fetched(client, job["id"], tmp_path), tmp_path / "bag")
    assert alone(honest) == (UNPROVEN, [])
    for attack, kind in (
        (flip, "modified"),
        (truncate, "modified"),
        (take_out_a_fragment, "modified"),
        (swap_streams, "swapped"),
        (forget_a_record, "removed"),
    ):
        bag = Path(shutil.copytree(honest, tmp_path / attack.__name__))
        where = attack(bag)
        remanifest(bag)
        problems = [vars(problem) for problem in verify_package(bag).problems]
        assert any(p["kind"] == kind and where in p["where"] for p in problems), attack
        assert alone(bag) == (1, problems)


def alone(bag: Path) -> tuple[int, object]:
    """Ask the verifier in the package."""
    command = [sys.executable, "-I", "-S", str(bag / "verify.py"), "--json"]
    told = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert told.stderr == b""
    return told.returncode, json.loads(told.stdout)["problems"]


def log_of(sealed: Sealed, username: str) -> dict[str, object] | None:
    with sealed.api.as_user(username) as client:
        found: dict[str, object] | None = client.get(f"/api/v1/sessions/{sealed.id}").json()["log"]
        return found


def test_a_logged_session_is_authentic_to_a_stranger(sealed: Sealed, tmp_path: Path) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    assert log_of(sealed, "auditor") is None
    policy = signed_and_logged(sealed)
    path = exported(sealed, "auditor", tmp_path)
    report = verify_package(path, policy)
    assert (report.exit_code, report.problems, report.unproven) == (0, [], [])
    # What the page shows is what the verifier finds.
    found = log_of(sealed, "auditor")
    assert found is not None
    assert found["covered"] is True
    assert found["shard"] == "2023"
    assert found["key"] == report.logs[0]["key"]
    with zipfile.ZipFile(path) as bag:
        (name,) = (n for n in bag.namelist() if n.endswith("entries.ndjson"))
        leaves = [json.loads(line) for line in bag.read(name).splitlines()]
    assert found["position"] in [line["index"] for line in leaves]
    (script,) = (n for n in zipfile.ZipFile(path).namelist() if n.endswith("/verify.py"))
    (tmp_path / "verify.py").write_bytes(zipfile.ZipFile(path).read(script))
    command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), str(path)]
    told = subprocess.run([*command, "--policy", str(policy)], capture_output=True, check=False)
    assert told.returncode == 0, told.stdout.decode()


def test_a_copy_in_part_of_a_logged_session_is_authentic(sealed: Sealed, tmp_path: Path) -> None:
    sealed.grant("picture-only", [Medium.PICTURE], [Action.COPY])
    policy = signed_and_logged(sealed)
    report = verify_package(exported(sealed, "picture-only", tmp_path), policy)
    assert (report.exit_code, report.unproven) == (0, [])


def test_a_record_altered_in_the_index_after_it_was_logged(sealed: Sealed, tmp_path: Path) -> None:
    """Whoever holds the database writes the plan anew, with every hash that follows from it."""
    sealed.grant("auditor", list(Medium), [Action.COPY])
    policy = signed_and_logged(sealed)
    prev: str | None = None
    with sealed.api.database.write() as orm:
        rows = select(SessionRecord).where(SessionRecord.session_id == sealed.id)
        for row in orm.scalars(rows.order_by(SessionRecord.seq)).all():
            body = json.loads(row.body)
            body |= {"reason": "another"} if prev is None else {"prev": prev}
            row.body, row.leaf = canonical(body).decode(), leaf_hash(body)
            prev = row.leaf.hex()
    report = verify_package(exported(sealed, "auditor", tmp_path), policy)
    assert report.exit_code == 1
    assert {p.detail for p in report.problems} == {"is not the record that was logged"}
    settings, now = sealed.api.parts.settings, sealed.clock.utc_us()
    checked = check_ledger(sealed.api.database, settings, now, late_us=600 * SECOND)
    assert any(f"session {sealed.id}#0" == p.subject for p in checked if p is not None)


def test_footage_without_its_epoch_is_not_proven(sealed: Sealed, tmp_path: Path) -> None:
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    policy = signed_and_logged(sealed, epoch=False)
    found = log_of(sealed, "auditor")
    assert found is not None
    assert found["covered"] is False
    report = verify_package(exported(sealed, "auditor", tmp_path), policy)
    assert (report.exit_code, report.problems) == (3, [])
    assert ["no epoch" in english for _, english in report.unproven] == [True]


def test_the_log_is_there_for_everybody_to_read(sealed: Sealed) -> None:
    signed_and_logged(sealed)
    with sealed.api.client() as client:
        answer = client.get("/log/2023/checkpoint")
        assert answer.status_code == 200
        checkpoint = read_checkpoint(read_note(answer.content))
        hashes = client.get(f"/log/2023/tile/0/000.p/{checkpoint.size}").content
        leaves = [hashes[at : at + 32] for at in range(0, len(hashes), 32)]
        assert root(leaves) == checkpoint.root
        entries = unpack(client.get(f"/log/2023/tile/entries/000.p/{checkpoint.size}").content)
        assert [hash_leaf(entry) for entry in entries] == leaves
        # It tells a stranger nothing of whom and what.
        assert sealed.id.encode() not in b"".join(entries)
        for nothing in ("2024/checkpoint", "..%2F/checkpoint", "2023/tile/0/001", "2023/.lock"):
            problem_of(client.get(f"/log/{nothing}"), 404, "not-found")
        assert client.get("/log/2023/tile/..%2f..%2f..%2fkeys/recorder.key").status_code == 404
        # Also under the name that a shard has after a restore.
        log = sealed.api.parts.settings.log
        shutil.copytree(log / "2023", log / "2023-1114221320")
        assert client.get("/log/2023-1114221320/checkpoint").content == answer.content
        assert client.put("/log/2023/checkpoint", content=b"x").status_code in (403, 404, 405)


def test_a_cosigned_and_stamped_session(sealed: Sealed, tmp_path: Path) -> None:
    """From other organisations' services through the site's log into a stranger's verifier."""
    sealed.grant("auditor", list(Medium), [Action.COPY, Action.REPLAY])
    policy = signed_and_logged(sealed)
    site = Site(sealed.api.database, sealed.api.parts.settings, sealed.clock)
    near = Neighbours(site, tmp_path / "near", ("a", "b"), "group both all a b\nquorum both")
    authority, certificate = opened_authority(tmp_path / "city", sealed.clock)
    with near.path.open("ab") as file:
        file.write(policy_line("city", certificate, "http://city.example"))
    policy.write_bytes(write_policy(sealed.api.database, site.settings))
    package = exported(sealed, "auditor", tmp_path)
    bare = verify_package(package, policy, check_token=check_token)
    assert (bare.exit_code, bare.problems, len(bare.unproven)) == (3, [], 2)
    package.unlink()

    near.introduce()
    assert near.asking.ask_all() == 2
    asked = asking(authority, sealed.clock)
    stamper = Stamper(site.index, site.settings, sealed.clock, SystemFiles(), asked)
    assert stamper.stamp_due() == 1
    # The log goes on; the package has what was cosigned.
    site.log()
    report = verify_package(exported(sealed, "auditor", tmp_path), policy, check_token=check_token)
    assert (report.exit_code, report.problems, report.unproven) == (0, [], [])
    at = sealed.clock.utc_us()
    assert report.logs[0]["witnesses"] == [{"name": n, "at": at // SECOND} for n in ("a", "b")]
    assert [(stamp["name"], stamp["at"]) for stamp in report.stamps] == [("city", at)]
    with sealed.api.client() as client:
        cosigned = read_note(client.get("/log/2023/cosigned").content)
        assert policy_of(policy).quorum_met(cosigned)
        newest = read_note(client.get("/log/2023/checkpoint").content)
        assert len(newest.signatures) == 1
        near.asking.ask_all()
        newest = read_note(client.get("/log/2023/checkpoint").content)
        assert policy_of(policy).quorum_met(newest)


def policy_of(path: Path) -> Policy:
    return read_policy(path.read_bytes())

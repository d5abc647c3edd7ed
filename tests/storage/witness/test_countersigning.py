"""A witness countersigns what a person has read, and only what goes on from what it knows."""

import json
from pathlib import Path

import pytest
from support.ledger_site import Site
from support.published import Press
from typer.testing import CliRunner

from bidwitness.config import load_settings
from bidwitness.errors import DamageFound, Forbidden, InvalidInput
from bidwitness.storage.evidence.material import material_text, read_material
from bidwitness.storage.index.database import Database
from bidwitness.storage.ledger.keys import Signer, make_signer, read_signer
from bidwitness.storage.witness.commands import app


@pytest.fixture
def press(sqlite_index: Database, tmp_path: Path) -> Press:
    return Press.made(Site(sqlite_index, load_settings(data=tmp_path / "data")), tmp_path)


def centre_of(press: Press) -> Signer:
    return read_signer(press.site.settings.trust_key_file)


def test_what_was_read_is_countersigned_and_remembered(press: Press) -> None:
    made = press.publish()
    reading = press.countersigner("a").read(press.data(), str(made.centre))
    assert reading.before is None
    assert reading.changes == made.history
    signed = read_material(press.countersign("a", made))
    assert set(signed.countersigned) == {"a"}
    assert signed.digest == made.digest
    folder = press.near.folder / "a" / "trust"
    (record,) = folder.rglob("000001.json")
    assert json.loads(record.read_bytes())["reader"] == "Li"
    # The centre's key is known from now on; and to sign again makes no second signature.
    again = press.countersigner("a").countersign(press.data(), made.digest, "Wang")
    assert len(read_material(again).note.signatures) == 2


def test_the_next_version_shows_only_what_is_new(press: Press) -> None:
    press.countersign("a", press.publish())
    press.near.path.write_text(press.near.lines().replace("quorum both", "quorum a"))
    made = press.publish("one is enough")
    reading = press.countersigner("a").read(press.data(2))
    assert reading.changes == made.history[-2:]
    assert set(read_material(press.countersign("a", made)).countersigned) == {"a"}


def test_without_the_paper_nothing_is_signed(press: Press) -> None:
    made = press.publish()
    witness = press.countersigner("a")
    for digest in ("", made.digest[:8], "0" * 64, made.digest + "0"):
        with pytest.raises(InvalidInput, match="digest"):
            witness.countersign(press.data(), digest, "Li", str(made.centre))
    with pytest.raises(InvalidInput, match="who has read"):
        witness.countersign(press.data(), made.digest, " ", str(made.centre))
    grouped = " ".join(made.digest[at : at + 4].upper() for at in range(0, 64, 4))
    assert witness.countersign(press.data(), grouped, "Li", str(made.centre))


def test_a_centre_that_is_not_known_is_refused(press: Press) -> None:
    made = press.publish()
    with pytest.raises(Forbidden, match="another way"):
        press.countersigner("a").countersign(press.data(), made.digest, "Li")
    with pytest.raises(Forbidden, match="another key"):
        press.countersigner("a").countersign(press.data(), made.digest, "Li", "0" * 64)


def test_whom_it_does_not_name_does_not_sign_it(press: Press) -> None:
    press.near.path.write_text("quorum none\n")
    made = press.publish()
    with pytest.raises(Forbidden, match="does not name this witness"):
        press.countersign("a", made)


def test_a_second_history_is_refused(press: Press, tmp_path: Path) -> None:
    made = press.publish()
    press.countersign("a", made)
    signer = centre_of(press)
    fork = signer.note(
        material_text(
            "site-1", 1, made.day, None, signer.key, made.history, policy_of(press) + "\n"
        )
    )
    with pytest.raises(Forbidden, match="TWO versions 1"):
        press.countersigner("a").countersign(fork, read_material(fork).digest, "Li")
    other = tmp_path / "other.key"
    make_signer(other, "site-1/trust")
    thief = read_signer(other)
    forged = thief.note(
        material_text("site-1", 1, made.day, None, thief.key, made.history, policy_of(press))
    )
    with pytest.raises(Forbidden, match="another key"):
        press.countersigner("a").countersign(forged, read_material(forged).digest, "Li")


def policy_of(press: Press) -> str:
    return press.data().decode().partition("\n\npolicy\n")[2].rpartition("\n\n")[0] + "\n"


def test_a_damaged_memory_signs_nothing(press: Press) -> None:
    made = press.publish()
    press.countersign("a", made)
    (last,) = (press.near.folder / "a" / "trust").rglob("last")
    last.write_bytes(press.data())
    with pytest.raises(DamageFound, match="not signed by this witness"):
        press.countersign("a", made)


def test_the_command_shows_first_and_signs_then(press: Press, tmp_path: Path) -> None:
    made = press.publish()
    (tmp_path / "v1").write_bytes(press.data())
    folder = ("--folder", str(press.near.folder / "a"), "--centre", str(made.centre))
    shown = CliRunner().invoke(app, ["countersign", str(tmp_path / "v1"), *folder])
    assert shown.exit_code == 64
    assert all(change.line() in shown.output for change in made.history)
    done = CliRunner().invoke(
        app,
        [
            "countersign", str(tmp_path / "v1"), *folder, "--digest", made.digest,
            "--reader", "Li", "--out", str(tmp_path / "back"),
        ],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert set(read_material((tmp_path / "back").read_bytes()).countersigned) == {"a"}

"""Attacks on published trust material: each is refused, and the reason says what was done."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.log_scene import Scene
from support.page_verifier import PageVerifier

from bidwitness.storage.evidence.material import (
    KeyChange,
    TrustMaterial,
    check_extends,
    identities,
    is_material,
    material_text,
    read_material,
    trust,
)
from bidwitness.storage.evidence.note import (
    COSIGNATURE,
    BadNote,
    Note,
    read_checkpoint,
    read_note,
    write_note,
)
from bidwitness.storage.evidence.policy import BadPolicy, read_policy
from bidwitness.storage.evidence.report import report_text
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.ledger.keys import Signer

CENTRE = Signer("site-1/trust", Ed25519PrivateKey.from_private_bytes(bytes(32)))
THIEF = Signer("site-1/trust", Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
LOG = Signer("site-1/log/2026", Ed25519PrivateKey.from_private_bytes(bytes([2] * 32)))
NEXT = Signer("site-1/log/2027", Ed25519PrivateKey.from_private_bytes(bytes([3] * 32)))
COURT = Signer("court", Ed25519PrivateKey.from_private_bytes(bytes([4] * 32)), COSIGNATURE)
CITY = Signer("city", Ed25519PrivateKey.from_private_bytes(bytes([5] * 32)), COSIGNATURE)

ONE = f"log {LOG.key}\nwitness court {COURT.key}\nquorum court\n"
TWO = f"log {LOG.key}\nlog {NEXT.key}\nwitness court {COURT.key}\nquorum court\n"


def came(policy: str, version: int = 1, day: str = "2026-01-02") -> tuple[KeyChange, ...]:
    return tuple(
        KeyChange(version, day, True, what, "") for what in identities(read_policy(policy.encode()))
    )


HISTORY = came(ONE)
LATER = (*HISTORY, KeyChange(2, "2026-12-01", True, f"log {NEXT.key}", ""))


def first(
    policy: str = ONE, history: tuple[KeyChange, ...] = HISTORY, signer: Signer = CENTRE
) -> bytes:
    text = material_text("site-1", 1, "2026-01-02", None, signer.key, history, policy)
    return signer.note(text)


def second(
    policy: str = TWO,
    history: tuple[KeyChange, ...] = LATER,
    previous: str = "",
    version: int = 2,
    signer: Signer = CENTRE,
) -> bytes:
    before = previous or read_material(first()).digest
    text = material_text("site-1", version, "2026-12-01", before, signer.key, history, policy)
    return signer.note(text)


def read(data: bytes) -> TrustMaterial:
    return read_material(data)


def test_an_honest_version_and_the_next() -> None:
    one, two = read(first()), read(second())
    check_extends(one, two)
    check_extends(one, one)
    assert is_material(first())
    assert two.policy.logs == (LOG.key, NEXT.key)
    assert trust(second(), CENTRE.key.fingerprint).policy == two.policy
    print_ = CENTRE.key.fingerprint
    assert trust(second(), f"{print_[:4]} {print_[4:]}").policy == two.policy


def test_a_countersignature_vouches_too() -> None:
    note = read_note(first())
    signed = write_note(note.text, (*note.signatures, COURT.cosign(note.text, 1_770_000_000)))
    told = trust(signed, str(COURT.key))
    assert told.facts is not None
    assert told.facts["countersigned"] == [{"name": "court", "at": 1_770_000_000}]
    assert (told.facts["missing"], told.facts["checked"]) == ([], True)
    with pytest.raises(BadPolicy, match="key that was given"):
        trust(first(), str(COURT.key))


def changed(old: bytes, new: bytes) -> Callable[[], bytes]:
    return lambda: first().replace(old, new)


REMOVED = KeyChange(2, "2026-12-01", False, f"log {LOG.key}", "lost")
ATTACKS = {
    "a letter changed": (changed(b"day 2026-01-02", b"day 2026-01-03"), "signature"),
    "signed by a thief, in the centre's name": (
        lambda: write_note(read_note(first()).text, read_note(first(signer=THIEF)).signatures),
        "not signed by the centre",
    ),
    "no signature of the centre": (
        lambda: write_note(
            read_note(first()).text, [COURT.cosign(read_note(first()).text, 1_770_000_000)]
        ),
        "not signed by the centre",
    ),
    "a forged countersignature": (
        lambda: write_note(
            read_note(first()).text,
            (
                *read_note(first()).signatures,
                replace(COURT.cosign(read_note(first()).text, 1), data=bytes(72)),
            ),
        ),
        "wrong",
    ),
    "a key slipped in": (lambda: first(TWO), "not in the history"),
    "a key left out": (lambda: first(f"log {LOG.key}\nquorum none\n"), "history|DISAPPEARED"),
    "a key goes that never came": (
        lambda: first(history=(KeyChange(1, "2026-01-02", False, "quorum x", "why"), *HISTORY)),
        "never came",
    ),
    "a key goes without a reason": (
        lambda: second(
            f"log {NEXT.key}\nwitness court {COURT.key}\nquorum court\n",
            (*LATER, replace(REMOVED, reason="")),
        ),
        "not well written",
    ),
    "a key comes twice": (lambda: first(history=(*HISTORY, HISTORY[0])), "comes twice"),
    "a history that goes back in time": (
        lambda: second(history=(LATER[-1], *HISTORY)),
        "back in time",
    ),
    "a history of tomorrow": (
        lambda: first(history=(*HISTORY[:-1], replace(HISTORY[-1], version=2))),
        "later version",
    ),
    "a version 2 with none before it": (
        lambda: CENTRE.note(material_text("site-1", 2, "2026-12-01", None, CENTRE.key, LATER, TWO)),
        "only the first",
    ),
    "no number": (changed(b"version 1\n", b"version 01\n"), "version"),
    "cut off": (lambda: first()[:200], "note"),
    "no text at all": (lambda: b"bidwitness trust material v1\n\xff", "UTF-8"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_on_one_version(attack: str) -> None:
    forge, says = ATTACKS[attack]
    with pytest.raises(BadPolicy, match=says):
        read(forge())


LOST = (*came(f"log {NEXT.key}\nwitness court {COURT.key}\nquorum court\n"),)
REWRITES = {
    "a key has disappeared from the history too": (
        lambda: second(f"log {NEXT.key}\nwitness court {COURT.key}\nquorum court\n", LOST),
        "history",
    ),
    "another key of the centre": (
        lambda: second(previous=read(first()).digest, signer=THIEF),
        "another key",
    ),
    "it follows another version": (lambda: second(previous="ab" * 32), "does not follow"),
    "a second version 1": (
        lambda: first(TWO, came(TWO)),
        "TWO versions 1",
    ),
    "the past is added to": (
        lambda: second(TWO, (*HISTORY, KeyChange(1, "2026-01-02", True, f"log {NEXT.key}", ""))),
        "adds to the history of version 1",
    ),
}


@pytest.mark.parametrize("attack", REWRITES)
def test_attacks_on_what_was_published_before(attack: str) -> None:
    forge, says = REWRITES[attack]
    with pytest.raises(BadPolicy, match=says):
        check_extends(read(first()), read(forge()))


def test_an_older_version_is_no_later_one() -> None:
    with pytest.raises(BadPolicy, match="comes after"):
        check_extends(read(second()), read(first()))


def test_a_version_left_out_in_between_changes_nothing() -> None:
    third = second(previous="cd" * 32, version=3)
    check_extends(read(first()), read(third))


def test_no_signature_under_it_can_be_one_of_a_checkpoint() -> None:
    with pytest.raises(BadNote):
        read_checkpoint(Note(read_note(first()).text, ()))


def test_a_bare_policy_cannot_be_checked_against_a_key(tmp_path: Path) -> None:
    assert trust(ONE.encode()).facts is None
    with pytest.raises(BadPolicy, match="not signed"):
        trust(ONE.encode(), CENTRE.key.fingerprint)
    with pytest.raises(BadPolicy, match="key that was given"):
        trust(first(signer=THIEF), CENTRE.key.fingerprint)


def test_both_verifiers_take_a_published_policy_and_hold_it_against_a_key(
    scene: Scene, one_file: ModuleType, tmp_path: Path
) -> None:
    bag = scene.bag(scene.log())
    policy = scene.keys.policy().decode()
    text = material_text("site-1", 1, "2026-01-02", None, CENTRE.key, came(policy), policy)
    path = tmp_path / "published"
    path.write_bytes(CENTRE.note(text))
    for verifies in (verify_package, one_file.verify_package):
        report = verifies(bag, path, policy_key=CENTRE.key.fingerprint)
        assert (report.exit_code, report.problems) == (0, [])
        assert report.trust["version"] == 1
        assert report.trust["checked"] is True
        assert report.trust["digest"] == read(path.read_bytes()).digest
        unchecked = verifies(bag, path)
        assert unchecked.exit_code == 0
        assert any("not checked against a key" in english for _, english in unchecked.notes)
        refused = verifies(bag, path, policy_key=THIEF.key.fingerprint)
        assert refused.exit_code == 2
        assert "not signed by the key" in refused.problems[0].detail
        bare = verifies(bag, scene.policy, policy_key=CENTRE.key.fingerprint)
        assert bare.exit_code == 2
    text_report = report_text(verify_package(bag, path))
    assert "信任材料 Trust material site-1: 第 1 版" in text_report


def test_the_page_holds_a_published_policy_against_a_key(
    scene: Scene, page: PageVerifier, tmp_path: Path
) -> None:
    bag = scene.bag(scene.log())
    policy = scene.keys.policy().decode()
    path = tmp_path / "published"
    text = material_text("site-1", 1, "2026-01-02", None, CENTRE.key, came(policy), policy)
    path.write_bytes(CENTRE.note(text))
    print_ = CENTRE.key.fingerprint
    for key in (None, print_, f" {print_[:4]} {print_[4:]}", str(CENTRE.key)):
        ours = verify_package(bag, path, policy_key=key)
        theirs = page.verify_package(bag, path, policy_key=key)
        assert (theirs.exit_code, theirs.problems) == (0, [])
        assert (theirs.trust, theirs.notes) == (ours.trust, ours.notes)
    for given, key in ((path, THIEF.key.fingerprint), (scene.policy, print_)):
        ours = verify_package(bag, given, policy_key=key)
        theirs = page.verify_package(bag, given, policy_key=key)
        assert (theirs.exit_code, theirs.problems) == (ours.exit_code, ours.problems)
        assert theirs.exit_code == 2
    bare = page.verify_package(bag, scene.policy)
    assert (bare.exit_code, bare.notes) == (0, verify_package(bag, scene.policy).notes)


def test_the_page_takes_the_key_of_a_witness_that_has_countersigned(
    bag: Path, page: PageVerifier, tmp_path: Path
) -> None:
    note, path = read_note(first()), tmp_path / "published"
    path.write_bytes(
        write_note(note.text, (*note.signatures, COURT.cosign(note.text, 1_770_000_000)))
    )
    ours = verify_package(bag, path, policy_key=str(COURT.key))
    theirs = page.verify_package(bag, path, policy_key=str(COURT.key))
    assert (theirs.exit_code, theirs.trust) == (ours.exit_code, ours.trust) == (3, ours.trust)
    assert theirs.trust is not None
    assert theirs.trust["countersigned"] == [{"name": "court", "at": 1_770_000_000}]


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_page_refuses_the_same_for_the_same_reason(
    attack: str, bag: Path, page: PageVerifier, tmp_path: Path
) -> None:
    path = tmp_path / "published"
    path.write_bytes(ATTACKS[attack][0]())
    ours, theirs = verify_package(bag, path), page.verify_package(bag, path)
    assert (theirs.exit_code, theirs.problems) == (ours.exit_code, ours.problems)
    assert theirs.exit_code == 2

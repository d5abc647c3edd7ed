"""The pages use the words of the field as the code has them, in both languages."""

import json
from enum import StrEnum
from pathlib import Path

import pytest

from bidwitness import words

LANGUAGES = Path(__file__).parents[2] / "web" / "src" / "i18n"
KINDS: dict[str, type[words.Word]] = {
    "role": words.Role,
    "roomKind": words.RoomKind,
    "sessionKind": words.SessionKind,
    "state": words.SessionState,
    "condition": words.Condition,
    "outcome": words.Outcome,
    "bookingRole": words.BookingRole,
    "streamRole": words.StreamRole,
    "recordMode": words.RecordMode,
    "medium": words.Medium,
    "action": words.Action,
    "category": words.ProjectCategory,
    "health": words.Health,
    "cause": words.GapCause,
    "fault": words.StreamFault,
    "audience": words.MarkerAudience,
    "factor": words.Factor,
    "loginWay": words.LoginWay,
    "accountKind": words.AccountKind,
    "signInFault": words.SignInFault,
    "approvalState": words.ApprovalState,
    "registerKind": words.RegisterKind,
    "trailFault": words.TrailFault,
}


def _spoken(language: str) -> dict[str, dict[str, str]]:
    spoken: dict[str, dict[str, str]] = json.loads(
        (LANGUAGES / f"words.{language}.json").read_text(encoding="utf-8")
    )
    return spoken


def test_chinese_names_are_the_fixed_ones() -> None:
    assert _spoken("zh") == {
        name: {word.value: word.zh for word in kind} for name, kind in KINDS.items()
    }


@pytest.mark.parametrize("name", KINDS)
def test_english_knows_every_word(name: str) -> None:
    kind: type[StrEnum] = KINDS[name]
    spoken = _spoken("en")[name]
    assert set(spoken) == {word.value for word in kind}
    assert all(spoken.values())

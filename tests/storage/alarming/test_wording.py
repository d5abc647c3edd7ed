"""Every alarm has words in both languages, here as on the pages."""

import re
from pathlib import Path

import pytest

from bidwitness.session import AlarmKind
from bidwitness.storage.alarming.wording import KINDS, name_of, sentence
from bidwitness.storage.volumes import DiskState
from bidwitness.words import GapCause, StreamAlarm, StreamFault

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_pages_know_the_same_alarms(language: str) -> None:
    text = (ROOT / f"web/src/i18n/{language}.ts").read_text()
    start = text.index("kinds: {", text.index("alarms: {"))
    block = text[start : text.index("}", start)]
    assert set(re.findall(r"^\s+([a-z_]+):", block, re.MULTILINE)) == set(KINDS)


def test_every_kind_has_a_name() -> None:
    disks = {DiskState.LOW, DiskState.CRITICAL}
    assert {*AlarmKind, *StreamAlarm, *disks} <= set(KINDS)
    assert name_of("a_kind_to_come").zh == "a_kind_to_come"


@pytest.mark.parametrize("kind", StreamAlarm)
@pytest.mark.parametrize("cause", [*GapCause, *StreamFault])
def test_a_sentence_holds_no_code(kind: StreamAlarm, cause: str) -> None:
    facts = {"camera": "门口", "room": "评标室一", "role": "main", "cause": cause}
    facts |= {"gop_ms": "x", "centi_fps": None}
    said = sentence(kind, facts)
    assert "评标室一 · 门口" in said.zh and "评标室一 · 门口" in said.en
    assert "_" not in said.zh


def test_the_fix_is_named() -> None:
    facts = {"camera": "c", "room": "r", "role": "main", "gop_ms": 10_240}
    assert "key frames are 10 s apart" in sentence("long_gop", facts).en
    assert "every 1-2 s" in sentence("long_gop", facts).en
    assert "每 1–2 秒" in sentence("long_gop", facts).zh
    assert "+90.0 s" in sentence("clock_offset", {**facts, "clock_us": 90_000_000}).en

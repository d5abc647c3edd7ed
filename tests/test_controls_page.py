"""The page of controls names files and tests that exist, and says of each control how it is met."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "controls.md"
ROWS = [
    [cell.strip() for cell in line[1:-1].split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| control |", "| --- |"))
]
# A test by its file and name, or a file.
NAMED = re.compile(r"`([\w./-]+\.(?:py|txt))(?:::(\w+))?`")


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_what_it_names_exists(row: list[str]) -> None:
    assert len(row) == 5, row
    for name, test in NAMED.findall(" ".join(row)):
        assert (ROOT / name).is_file(), name
        if test:
            assert re.search(rf"^def {test}\(", text_of(name), re.MULTILINE), (name, test)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_each_control_says_how_it_is_met(row: list[str]) -> None:
    _, met, code, test, left = row
    assert met in ("yes", "part", "site")
    if met == "yes":
        assert code and test, "what is met is shown by a test"
    else:
        assert left, "what is not met is said"


def test_both_standards_are_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for number in range(1, 12):
        assert f"| 8.1.4.{number} " in text
    assert len(ROWS) > 45

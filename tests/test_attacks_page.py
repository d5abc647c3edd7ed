"""docs/attacks.md names tests: each must exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs" / "attacks.md").read_text("utf-8"))
    assert len(named) > 40
    for path, name in named:
        source = (ROOT / "tests" / path).read_text("utf-8")
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), f"{path}::{name}"

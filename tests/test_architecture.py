"""The import rules of the README, checked."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {
    "bidwitness": set(),
    "storage": {"bidwitness"},
    "onvif": {"bidwitness", "storage"},
    "recorder": {"bidwitness", "storage"},
    "player": {"bidwitness", "storage"},
    "retention": {"bidwitness", "storage"},
    "api": {"bidwitness", "storage", "onvif", "player", "retention"},
    "simulator": {"bidwitness"},
}


def folders_imported_by(source: str, folder: str) -> set[str]:
    """Name the folders a module imports, wherever in it the import stands."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write the import absolutely"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and folder != "bidwitness"
        ):
            dotted = node.value.replace(".", "").replace("_", "").isalnum()
            if node.value.startswith("bidwitness.") and dotted:  # a module named in a string
                names.add(node.value)
    parts = [name.split(".") for name in names if name.split(".")[0] == "bidwitness"]
    return {p[1] if len(p) > 1 and p[1] in MAY_IMPORT else "bidwitness" for p in parts}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_import_rules(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        extra = (
            folders_imported_by(path.read_text(), folder)
            - MAY_IMPORT[folder]
            - {folder, "bidwitness"}
        )
        assert not extra, f"{path.relative_to(ROOT)} may not import {sorted(extra)}"


def test_onvif_stays_a_namespace_folder() -> None:
    assert not (ROOT / "onvif" / "__init__.py").exists(), "it would hide the ONVIF library"

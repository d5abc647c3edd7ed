"""What is done to packages, and asking both verifiers what they see."""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bidwitness.storage.evidence.bundle import standalone_verifier
from bidwitness.storage.evidence.canonical import canonical, parse
from bidwitness.storage.evidence.verify import verify_package

Records = list[dict[str, Any]]


def standalone_module(path: Path) -> ModuleType:
    """Load the one-file verifier as itself; it is written to ``path``."""
    path.write_text(standalone_verifier(), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("standalone_verify", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def media(bag: Path, stream: str, number: int) -> Path:
    return sorted((bag / "data" / "media" / stream).iterdir())[number]


def remanifest(bag: Path) -> None:
    """What anybody can do: make every manifest fit what the bag now holds."""
    payload = sorted(p for p in (bag / "data").rglob("*") if p.is_file())
    for name, file in (("sha256", "manifest-sha256.txt"), ("sm3", "digests-sm3.txt")):
        lines = [
            f"{hashlib.new(name, p.read_bytes()).hexdigest()}  {p.relative_to(bag).as_posix()}\n"
            for p in payload
            if name == "sha256" or p.suffix != ".mp4"
        ]
        (bag / file).write_text("".join(lines))
    info = (bag / "bag-info.txt").read_text().splitlines()
    oxum = f"Payload-Oxum: {sum(p.stat().st_size for p in payload)}.{len(payload)}"
    info = [oxum if line.startswith("Payload-Oxum") else line for line in info]
    (bag / "bag-info.txt").write_text("\n".join(info) + "\n")
    refit_tags(bag)


def refit_tags(bag: Path) -> None:
    tags = sorted(p for p in bag.iterdir() if p.is_file() and not p.name.startswith("tagmanifest"))
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in tags]
    (bag / "tagmanifest-sha256.txt").write_text("".join(lines))


def edit_records(path: Path, change: Callable[[Records], None]) -> None:
    records = [parse(line) for line in path.read_bytes().splitlines()]
    change(records)
    path.write_bytes(b"".join(canonical(record) + b"\n" for record in records))


def found(bag: Path, standalone: ModuleType) -> tuple[set[str], str]:
    """Verify with both; give the kinds of problems and all that is said of them."""
    ours, theirs = verify_package(bag), standalone.verify_package(bag)
    assert ours.exit_code == theirs.exit_code == 1
    assert list(map(vars, ours.problems)) == list(map(vars, theirs.problems))
    told = "\n".join(f"{p.kind} {p.where}: {p.detail}" for p in ours.problems)
    return {p.kind for p in ours.problems}, told


def swap(one: Path, two: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)

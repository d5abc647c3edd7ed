"""The stand-alone verifier: one file, standard library, runs where nothing is installed."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.attacks import media, remanifest
from support.evidence_session import make_package, make_session, make_stream

from bidwitness.storage.evidence import bundle
from bidwitness.storage.evidence.report import report_json
from bidwitness.storage.evidence.verify import verify_package


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it isolated: no site-packages, no environment, nothing beside it."""
    command = [sys.executable, "-I", "-S", str(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_it_needs_only_the_standard_library() -> None:
    tree = ast.parse(bundle.standalone_verifier())
    modules = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
        )
    }
    assert modules <= set(sys.stdlib_module_names)


def pythons() -> dict[str, str]:
    """Find every Python from 3.8 on that can be started here: this one at least."""
    found = {sys.executable: "this"}
    for minor in range(8, 20):
        path = shutil.which(f"python3.{minor}")
        # A version manager's stand-in is there for versions that are not chosen, too.
        if (
            path
            and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            found[path] = f"3.{minor}"
    return found


def test_it_is_written_for_python_3_8() -> None:
    """By its grammar, and by what older Pythons cannot evaluate where it is evaluated."""
    tree = ast.parse(bundle.standalone_verifier(), feature_version=(3, 8))
    later = {"removeprefix", "removesuffix", "UnionType", "NoneType", "file_digest", "TypeGuard"}
    assert not later & {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    evaluated = [
        part
        for node in ast.walk(tree)
        for part in (
            node.args
            if isinstance(node, ast.Call)
            else [item.annotation for item in node.body if isinstance(item, ast.AnnAssign)]
            if isinstance(node, ast.ClassDef)
            else [node.value]
            if isinstance(node, ast.AnnAssign) and node.value
            else []
        )
    ]
    assert len(evaluated) > 100
    unions = [
        ast.unparse(node)
        for part in evaluated
        for node in ast.walk(part)
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.BitOr)
        and isinstance(node.right, ast.Name | ast.Constant)
    ]
    assert unions == []


@pytest.mark.parametrize("python", pythons(), ids=pythons().values())
def test_every_python_says_the_same(python: str, bag: Path) -> None:
    """With warnings as errors, of the honest package and of a changed one."""
    command = [python, "-W", "error", "-I", "-S", str(bag / "verify.py"), "--json"]
    told = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (3, b"")
    assert json.loads(told.stdout) == json.loads(report_json(verify_package(bag)))
    path = media(bag, "cam-a", 2)
    path.write_bytes(path.read_bytes()[:-1])
    remanifest(bag)
    told = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (told.returncode, told.stderr) == (1, b"")
    assert json.loads(told.stdout) == json.loads(report_json(verify_package(bag)))


def test_in_the_package_it_verifies_the_package_it_lies_in(tmp_path: Path) -> None:
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "bag", streams, make_session(streams))
    script = tmp_path / "bag" / "verify.py"
    told = run(script)
    assert (told.returncode, told.stderr) == (3, "")
    assert "consistent but unproven" in told.stdout
    assert "自洽但未获证明" in told.stdout
    told = run(script, "--json")
    assert json.loads(told.stdout)["verdict"] == "unproven"
    # Python leaves no cache beside a script, so that the bag stays as it is.
    assert run(script).returncode == 3

    media = next((tmp_path / "bag/data/media/cam-a").iterdir())
    media.write_bytes(media.read_bytes()[:-1])
    told = run(script, "--json")
    assert told.returncode == 1
    assert any(media.name in problem["where"] for problem in json.loads(told.stdout)["problems"])


def test_it_verifies_a_zip_elsewhere(tmp_path: Path) -> None:
    script = tmp_path / "verify.py"
    script.write_text(bundle.standalone_verifier(), encoding="utf-8")
    streams = [make_stream("cam-a")]
    make_package(tmp_path / "p.zip", streams, make_session(streams))
    assert run(script, str(tmp_path / "p.zip")).returncode == 3
    assert run(script, str(tmp_path / "nothing.zip")).returncode == 2
    assert run(script, str(tmp_path)).returncode == 2


def test_two_modules_with_the_same_name_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MODULES", ("bidwitness.ids", "bidwitness.storage.ids"))
    bundle.standalone_verifier.cache_clear()
    monkeypatch.setattr(bundle, "import_module", lambda name: bundle if "storage" in name else ast)
    monkeypatch.setattr(bundle, "getsource", lambda module: "def same() -> None: ...\n")
    with pytest.raises(ValueError, match="same is defined in"):
        bundle.standalone_verifier()
    bundle.standalone_verifier.cache_clear()

"""The package is the same from a checkout and from a wheel, and neither hides the ONVIF library."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("storage", "onvif", "recorder", "player", "retention", "api", "simulator")
# Imports everything there is, then says where each folder and the ONVIF library came from.
PROBE = """
import importlib, json, pkgutil, sys
import bidwitness
names = ["bidwitness." + f for f in sys.argv[1:]]
found = {n: importlib.import_module(n) for n in names}
for name, module in found.items():
    for info in pkgutil.walk_packages(module.__path__, name + "."):
        if ".migrations." not in info.name:
            importlib.import_module(info.name)
import onvif
print(json.dumps({
    "places": {n: list(m.__path__)[0] for n, m in found.items()},
    "library": onvif.ONVIFCamera.__module__,
    "bare": sorted(set(sys.modules) & {"storage", "recorder", "player", "retention", "api", "simulator"}),
}))
"""


def run(*command: str | Path) -> None:
    done = subprocess.run(
        command,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def probe(python: Path, cwd: Path) -> dict[str, object]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-c", PROBE, *FOLDERS],
        check=False,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", target, ROOT)
    return next(target.glob("*.whl"))


def clean_environment(folder: Path, *install: str) -> Path:
    """Make a virtual environment with the product in it, and other packages lent to it."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    lend_packages(python)
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", *install)
    return python


def lend_packages(python: Path) -> None:
    """Let the environment see our third-party packages, but not our editable install."""
    site = next((python.parent.parent / "lib").glob("python3*/site-packages"))
    ours = Path(sysconfig.get_paths()["purelib"])
    for entry in ours.iterdir():
        mine = entry.name.lower().startswith(("bidwitness", "_bidwitness", "_editable"))
        if not mine and entry.suffix != ".pth" and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)


def test_wheel_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "env", str(wheel))
    answer = probe(python, tmp_path)
    assert answer["library"] == "onvif.client"
    assert answer["bare"] == []
    places = answer["places"]
    assert isinstance(places, dict)
    assert all("site-packages/bidwitness/" in place for place in places.values()), places
    version = subprocess.run(
        [python.parent / "bidwitness", "version"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert version.returncode == 0, version.stderr


@pytest.mark.parametrize("where", ["root", "elsewhere"])
def test_editable_in_a_clean_environment(where: str, tmp_path: Path) -> None:
    python = clean_environment(tmp_path / "env", "-e", str(ROOT))
    answer = probe(python, ROOT if where == "root" else tmp_path)
    assert answer["library"] == "onvif.client"
    assert answer["bare"] == []


def test_the_wheel_holds_the_built_ui_and_the_migrations(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert any(n.startswith("bidwitness/storage/index/migrations/versions/") for n in names)
    if (ROOT / "api/static/index.html").is_file():
        assert "bidwitness/api/static/index.html" in names
        assert any(n.startswith("bidwitness/api/static/assets/") for n in names)
    assert not any("node_modules" in n or n.startswith("tests/") for n in names)

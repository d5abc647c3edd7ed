"""An honest package, and the one-file verifier, for whoever attacks the one with the other."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from support.attacks import standalone_module
from support.evidence_log import Keys
from support.evidence_session import make_package, make_session, make_stream
from support.log_scene import Scene
from support.page_verifier import PageVerifier, running_page

PARTLY = {1: {4, 5, 6, 7, 8}}


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("honest") / "bag"
    streams = [make_stream("cam-a"), make_stream("cam-b")]
    make_package(base, streams, make_session(streams), keep=PARTLY)
    return base


@pytest.fixture
def bag(honest: Path, tmp_path: Path) -> Path:
    """A copy of the honest package, to be changed."""
    return Path(shutil.copytree(honest, tmp_path / "bag"))


@pytest.fixture(scope="session")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return standalone_module(tmp_path_factory.mktemp("standalone") / "verify.py")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageVerifier]:
    with running_page(tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(params=["one_file", "page"], ids=["verify.py", "verify.html"])
def standalone(request: pytest.FixtureRequest) -> ModuleType | PageVerifier:
    """Each of the two verifiers that lie in a package: they must say what we say."""
    found: ModuleType | PageVerifier = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    streams = [make_stream("cam-a"), make_stream("cam-b")]
    return Scene(tmp_path, streams, make_session(streams), Keys.made(tmp_path))

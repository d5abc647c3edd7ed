"""The built pages beside the API."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from support.api import RunningApi, problem_of, served, settings_for

from bidwitness.api import problems
from bidwitness.api.pages import pages
from bidwitness.api.security import Guard


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<p>shell</p>")
    (folder / "assets" / "a-1.js").write_text("1")
    (folder / "mark.svg").write_text("<svg/>")
    (tmp_path / "secret").write_text("s3cret")
    (folder / "link").symlink_to(tmp_path / "secret")
    return folder


def client_of(static: Path, tmp_path: Path) -> FastAPI:
    app = FastAPI()
    problems.install(app)
    app.add_middleware(Guard, settings=settings_for(tmp_path))
    app.include_router(pages(static))
    return app


def test_files_shell_and_nothing_else(static: Path, tmp_path: Path) -> None:
    with served(client_of(static, tmp_path)) as base, httpx.Client(base_url=base) as client:
        assert client.get("/").text == "<p>shell</p>"
        assert client.get("/sessions/abc").text == "<p>shell</p>"
        assert client.get("/").headers["cache-control"] == "no-cache"
        asset = client.get("/assets/a-1.js")
        assert asset.text == "1" and "immutable" in asset.headers["cache-control"]
        assert "javascript" in asset.headers["content-type"]
        assert client.get("/mark.svg").headers["content-type"] == "image/svg+xml"
        problem_of(client.get("/assets/gone.js"), 404, "not-found")
        problem_of(client.get("/api/v1/x"), 404, "not-found")
        # No file system has names that long.
        assert client.get("/etc/" + "a" * 5000).text == "<p>shell</p>"
        problem_of(client.get("/assets/" + "a" * 5000), 404, "not-found")
        for path in (
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/link",
            "/assets/%00",
            "/\\x",
        ):
            assert "s3cret" not in client.get(path).text, path


def test_pages_that_are_not_built_say_how_to_build_them(tmp_path: Path) -> None:
    app = client_of(tmp_path / "nowhere", tmp_path)
    with served(app) as base, httpx.Client(base_url=base) as client:
        answer = client.get("/")
        assert answer.status_code == 503 and "make web" in answer.text


def test_the_description_of_the_api_is_complete(api: RunningApi) -> None:
    with api.client() as client:
        said = client.get("/api/v1/openapi.json").json()
    operations = [
        (path, method, operation)
        for path, methods in said["paths"].items()
        for method, operation in methods.items()
    ]
    names = [operation["operationId"] for _, _, operation in operations]
    assert len(names) == len(set(names)) and len(names) > 30
    assert all(operation.get("description") for _, _, operation in operations)
    assert all(path.startswith(("/api/v1/", "/log/", "/play/")) for path, _, _ in operations)

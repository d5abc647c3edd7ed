"""The built UI, served beside the API. The pages route themselves: any other path is the shell."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse, Response

from bidwitness.errors import NotFound

STATIC = Path(__file__).parent / "static"
# What is not found under these is an error for a program, not a page.
NOT_PAGES = ("api/", "play/", "log/", "assets/")
# Vite puts a digest into the names under assets/, so such a file never changes.
FOREVER = "public, max-age=31536000, immutable"

NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>BidWitness</title></head>
<body><h1>BidWitness</h1>
<p>The API runs, but its pages are not built here. In a checkout run <code>make web</code>
(it needs Node 20), then reload. An installed package brings its pages with it.</p>
<p lang="zh">接口已运行，但页面尚未构建。请在源代码目录中执行 <code>make web</code> 后刷新。</p>
</body></html>
"""


def pages(static: Path = STATIC) -> APIRouter:
    """Give the router of the pages. Include it last: it answers every path."""
    router = APIRouter()

    @router.get("/{path:path}", include_in_schema=False)
    def page(path: str) -> Response:
        """A built file, or the shell."""
        if path.startswith(NOT_PAGES) and not path.startswith("assets/"):
            raise NotFound("There is nothing at this address.")
        file = _file(static, path)
        if file is not None:
            cache = FOREVER if path.startswith("assets/") else "no-cache"
            return FileResponse(file, headers={"Cache-Control": cache})
        if path.startswith(NOT_PAGES):
            raise NotFound("There is nothing at this address.")
        shell = static / "index.html"
        if shell.is_file():
            return FileResponse(shell, headers={"Cache-Control": "no-cache"})
        return HTMLResponse(NOT_BUILT, status_code=503)

    return router


def _file(static: Path, path: str) -> Path | None:
    """Give the built file of that name; never one outside of ``static``."""
    if not path or "\x00" in path or "\\" in path:
        return None
    try:
        wanted = (static / path).resolve()
        inside = wanted.is_relative_to(static.resolve())
        return wanted if inside and wanted.is_file() else None
    except OSError:
        # No file can have a name that long: it is nothing of ours.
        return None

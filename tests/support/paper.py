"""Reading a PDF back by programs that nobody here wrote."""

import shutil
import subprocess
from pathlib import Path

from support.needs import absent


def told_by(tool: str, *arguments: str) -> str:
    """Run one of Poppler's programs, which nobody here wrote."""
    if shutil.which(tool) is None:
        absent(tool)
    done = subprocess.run([tool, *arguments], capture_output=True, check=True, timeout=60)
    return done.stdout.decode()


def words_of(document: bytes, folder: Path) -> str:
    """Give a document's text without spaces and line ends: tables break lines anywhere."""
    path = folder / "report.pdf"
    path.write_bytes(document)
    return "".join(told_by("pdftotext", "-raw", str(path), "-").split())

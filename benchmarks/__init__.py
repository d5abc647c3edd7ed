"""Measurements against named peers and against the project's own bars.

They start the same real parts as the tests do (``tests/support``): PostgreSQL, Chromium, virtual
cameras.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

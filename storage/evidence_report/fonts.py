"""Where the one font lies that reports embed and copies are lettered with."""

from pathlib import Path

FONT_FILE = Path(__file__).parent / "font" / "NotoSansSC-subset.otf"

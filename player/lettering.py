"""The letters that are drawn on pictures: Chinese and Latin, from the font that reports embed."""

from functools import cache

from PIL import ImageFont

from bidwitness.storage.evidence_report.fonts import FONT_FILE


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Give the font in a size (pixels)."""
    return ImageFont.truetype(str(FONT_FILE), size)

"""Setting text, tables and a code on the pages of a PDF/A-3 document, in one embedded font."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

import segno
from fpdf import FPDF
from fpdf.enums import AssociatedFileRelationship, DocumentCompliance, TextMode

from bidwitness.storage.evidence_report.fonts import FONT_FILE
from bidwitness.storage.evidence_report.wording import typeset

FONT = "noto"
BODY, SMALL, TINY = 9.0, 7.4, 6.6
LINE, SMALL_LINE = 4.6, 3.7
MARGIN, TOP, BOTTOM = 20.0, 24.0, 22.0
INK, FAINT, RULE, SHADE = (20, 24, 32), (96, 104, 116), (170, 176, 186), (243, 244, 246)
DEED = (138, 24, 28)
# Never at the beginning of a line: a line takes them beyond its end instead.
_CLINGS = frozenset(",.;:!?)%\uff0c\uff1a\uff1b\uff09\uff1f\uff01\u3001\u3002\u201d\u300b\u3015")
_WIDE = ("W", "F")
# The library's own would state the time of its making by the machine's clock.
_XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<rdf:Description rdf:about="" xmp:CreateDate="{2}" xmp:ModifyDate="{2}" xmp:MetadataDate="{2}">
<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{0}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{1}</rdf:li></rdf:Seq></dc:creator>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its two headings and its share of the width."""

    zh: str
    en: str
    share: float
    right: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands on every page, and what the file says of itself."""

    title: str
    author: str
    head: tuple[str, str]
    foot: str
    at: datetime


class Sheet(FPDF):
    """A document being set. Text that the font does not have is shown by its code point."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(enforce_compliance=DocumentCompliance.PDFA_3B)
        self._frame = frame
        self._widths: dict[tuple[str, float], float] = {}
        iso = frame.at.isoformat(timespec="seconds")
        self.set_creation_date(frame.at)
        self.set_title(frame.title)
        self.set_author(frame.author)
        self.set_lang("zh-CN")
        self.set_xmp_metadata(_XMP.format(*map(escape, (frame.title, frame.author, iso))))
        self.set_margins(MARGIN, TOP, MARGIN)
        self.set_auto_page_break(False)
        self.c_margin = 0
        self.add_font(FONT, "", str(FONT_FILE))
        self.set_font(FONT, size=BODY)
        self._known = frozenset(self.fonts[FONT].cmap)  # type: ignore[union-attr]  # a font of ours
        self.set_text_color(*INK)

    def shown(self, text: str) -> str:
        """Give a text as it can be set: what the font or a line cannot hold, by its code point."""
        text = unicodedata.normalize("NFC", text)
        return "".join(c if ord(c) in self._known else f"〔U+{ord(c):04X}〕" for c in text)

    def header(self) -> None:
        left, right = (self.shown(text) for text in self._frame.head)
        self.set_xy(MARGIN, 11)
        self._put(left, SMALL, FAINT)
        self.set_xy(MARGIN, 11)
        self._put(right, SMALL, FAINT, align="R")
        self._rule(16.5)
        self.set_xy(MARGIN, TOP)

    def footer(self) -> None:
        self._rule(297 - 17)
        self.set_xy(MARGIN, 297 - 16)
        self._put(self.shown(self._frame.foot), TINY, FAINT)
        self.set_xy(MARGIN, 297 - 12.5)
        self._put(f"第 {self.page_no()} 页 共 {{nb}} 页", TINY, FAINT, align="C")
        self.set_text_color(*INK)

    def centred(self, text: str, size: float, height: float, *, strong: bool = False) -> None:
        """Set one line in the middle."""
        self.set_x(MARGIN)
        self._put(self.shown(text), size, INK, height=height, align="C", strong=strong)
        self.ln(height)

    def double_rule(self) -> None:
        """Close the head of the document."""
        self.set_draw_color(*DEED)
        self.set_line_width(0.7)
        y = self.get_y() + 1.5
        self.line(MARGIN, y, 210 - MARGIN, y)
        self.set_line_width(0.2)
        self.line(MARGIN, y + 1.1, 210 - MARGIN, y + 1.1)
        self.set_y(y + 4.5)

    def heading(self, zh: str, en: str) -> None:
        """Begin a part."""
        self._room(32)  # with what it is the head of
        self.ln(3.2)
        self.set_x(MARGIN)
        self._put(typeset(zh), 11.5, DEED, height=6, strong=True)
        self.set_x(MARGIN + self._width(typeset(zh), 11.5) + 3)
        self._put(en, SMALL, FAINT, height=6.6)
        self.ln(7.4)

    def paragraph(self, zh: str, en: str = "", *, size: float = BODY) -> None:
        """Set a paragraph, and its English below it."""
        for text, points, height, ink in (
            (typeset(zh), size, LINE, INK),
            (en, SMALL, SMALL_LINE, FAINT),
        ):
            for line in self._lines(text, points, self.epw) if text else ():
                self._room(height)
                self.set_x(MARGIN)
                self._put(line, points, ink, height=height)
                self.ln(height)
        self.ln(1.2)

    def pairs(self, rows: Sequence[tuple[str, str, str]], width: float = 0) -> None:
        """Set a list of what is said: in Chinese and English, and the value."""
        whole = width or self.epw
        for zh, en, value in rows:
            lines = self._lines(value, BODY, whole - 44)
            height = max(LINE + SMALL_LINE - 1, LINE * len(lines)) + 2
            self._room(height)
            y = self.get_y() + 0.8
            self.set_xy(MARGIN, y)
            self._put(self.shown(zh), BODY, INK)
            self.set_xy(MARGIN, y + LINE - 0.7)
            self._put(self.shown(en), TINY, FAINT, height=SMALL_LINE)
            for number, line in enumerate(lines):
                self.set_xy(MARGIN + 44, y + number * LINE)
                self._put(line, BODY, INK)
            self._rule(y + height - 0.8, MARGIN + whole)
            self.set_xy(MARGIN, y + height - 0.8)

    def rows(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        """Set a table; its head stands on every page that it reaches."""
        whole = sum(column.share for column in columns)
        widths = [self.epw * column.share / whole for column in columns]
        self._table_head(columns, widths)
        for number, row in enumerate(rows):
            cells = [
                self._lines(text, SMALL + 0.4, width - 2.4)
                for text, width in zip(row, widths, strict=True)
            ]
            height = max(len(lines) for lines in cells) * (SMALL_LINE + 0.2) + 1.8
            if self._room(height):
                self._table_head(columns, widths)
            y, x = self.get_y(), MARGIN
            if number % 2:
                self.set_fill_color(*SHADE)
                self.rect(MARGIN, y, self.epw, height, style="F")
            for column, width, lines in zip(columns, widths, cells, strict=True):
                for index, line in enumerate(lines):
                    self.set_xy(x + 1.2, y + 0.9 + index * (SMALL_LINE + 0.2))
                    align = "R" if column.right else "L"
                    self._put(line, SMALL + 0.4, INK, SMALL_LINE + 0.2, align, width - 2.4)
                x += width
            self._rule(y + height)
            self.set_xy(MARGIN, y + height)
        self.ln(2)

    def _table_head(self, columns: Sequence[Column], widths: Sequence[float]) -> None:
        self._room(16)
        y, x = self.get_y(), MARGIN
        self.set_fill_color(*SHADE)
        self.rect(MARGIN, y, self.epw, 8, style="F")
        for column, width in zip(columns, widths, strict=True):
            align = "R" if column.right else "L"
            self.set_xy(x + 1.2, y + 0.5)
            self._put(column.zh, SMALL + 0.4, INK, 4.2, align, width - 2.4, strong=True)
            self.set_xy(x + 1.2, y + 4.3)
            self._put(column.en, TINY - 0.6, FAINT, 3.2, align, width - 2.4)
            x += width
        self._rule(y + 8)
        self.set_xy(MARGIN, y + 8)

    def signed_off(self, rows: Sequence[tuple[str, str, str]], lines: Sequence[str]) -> None:
        """End the document as an authority's paper does: its name and the day at the right, with
        room for a seal; never parted from ``rows``, so that it is not alone on a page."""
        self._room(14 + 10 * len(rows) + 7 * len(lines))
        self.ln(3)
        self.pairs(rows)
        self.ln(7)
        for line in lines:
            self.set_x(210 - MARGIN - 100)
            self._put(self.shown(line), 11, INK, height=7, align="R", width=100)
            self.ln(7)

    def code(self, text: str, x: float, y: float, size: float) -> None:
        """Draw a QR code (level M) as squares: no picture, so nothing is resampled."""
        matrix = [[bool(cell) for cell in row] for row in segno.make(text, error="m").matrix]
        each = size / len(matrix)
        self.set_fill_color(0, 0, 0)
        for row, cells in enumerate(matrix):
            for column, dark in enumerate(cells):
                if dark:
                    # A hair wider than its place: viewers leave white lines between squares.
                    self.rect(x + column * each, y + row * each, each + 0.02, each + 0.02, "F")

    def attach(self, name: str, data: bytes, about: str) -> None:
        """Put a file into the document, as what it was made from."""
        self.embed_file(
            bytes=data,
            basename=name,
            desc=about,
            mime_type="application/json",
            modification_date=self._frame.at,
            associated_file_relationship=AssociatedFileRelationship.SOURCE.value,
        )

    def _put(
        self,
        text: str,
        size: float,
        ink: tuple[int, int, int],
        height: float = LINE,
        align: str = "L",
        width: float = 0,
        *,
        strong: bool = False,
    ) -> None:
        self.set_font_size(size)
        self.set_text_color(*ink)
        # The one weight there is, drawn with its outline: no second font to embed.
        mode = TextMode.FILL_STROKE if strong else TextMode.FILL
        with self.local_context(text_mode=mode, line_width=0.12, draw_color=ink):
            self.cell(width or self.epw, height, text, align=align)

    def _room(self, height: float) -> bool:
        """Begin a new page unless so much is left on this one; say whether."""
        if self.get_y() + height <= 297 - BOTTOM:
            return False
        self.add_page()
        return True

    def _rule(self, y: float, until: float = 210 - MARGIN) -> None:
        self.set_draw_color(*RULE)
        self.set_line_width(0.15)
        self.line(MARGIN, y, until, y)

    def _width(self, text: str, size: float) -> float:
        total = 0.0
        for char in text:
            key = (char, size)
            if key not in self._widths:
                self.set_font_size(size)
                self._widths[key] = self.get_string_width(char)
            total += self._widths[key]
        return total

    def _lines(self, text: str, size: float, width: float) -> list[str]:
        """Break a text into lines: between Chinese characters anywhere, else at spaces, and inside
        what is longer than a line."""
        out: list[str] = []
        for part in text.split("\n"):
            out += self._broken(self.shown(part), size, width)
        return out

    def _broken(self, text: str, size: float, width: float) -> list[str]:
        out, line, room = [], "", width
        for token in _tokens(text):
            length = self._width(token, size)
            if length > room and line and token not in _CLINGS:
                out.append(line.rstrip())
                line, room = "", width
                token = token.lstrip()
            while self._width(token, size) > width:
                fits = next(
                    n for n in range(len(token), 0, -1) if self._width(token[:n], size) <= width
                )
                out.append(token[:fits])
                token = token[fits:]
            line += token
            room -= self._width(token, size)
        return [*out, line.rstrip()]


def _tokens(text: str) -> list[str]:
    """Cut a text where a line may be broken."""
    out: list[str] = []
    for char in text:
        wide = unicodedata.east_asian_width(char) in _WIDE
        before = out[-1] if out else ""
        alone = wide or char == " " or not before or before == " "
        if alone or unicodedata.east_asian_width(before[-1]) in _WIDE:
            out.append(char)
        else:
            out[-1] += char
    return out

"""Audit entries as CSV that a spreadsheet can open without doing what is written in it."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from bidwitness.storage.evidence.records import utc_text
from bidwitness.storage.index.models import AuditEntry

# A spreadsheet takes what begins so for a formula, and may fetch or run something by it; it takes
# the full-width forms for the same.
DANGEROUS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
# Without it, Excel takes UTF-8 for the code page of the machine.
BOM = "\ufeff"
HEAD = (
    "编号 number",
    "时间 UTC",
    "人员 who",
    "用户 user",
    "操作 action",
    "对象 subject",
    "允许 allowed",
    "地址 address",
    "原因 reason",
    "详情 facts",
)


def harmless(text: str) -> str:
    """Give a text so that no spreadsheet takes it for a formula: with an apostrophe before it."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def csv_of(batches: Iterable[Sequence[AuditEntry]]) -> Iterator[bytes]:
    """Give CSV (RFC 4180, UTF-8 with a mark) of entries, batch by batch."""
    yield BOM.encode() + lines_of([HEAD])
    for rows in batches:
        yield lines_of([_cells(row) for row in rows])


def _cells(row: AuditEntry) -> tuple[str, ...]:
    facts = "" if row.facts is None else json.dumps(row.facts, ensure_ascii=False, sort_keys=True)
    return (
        str(row.id),
        utc_text(row.at_us),
        row.who,
        row.user_id or "",
        row.action,
        row.subject,
        "1" if row.allowed else "0",
        row.address or "",
        row.reason or "",
        facts,
    )


def lines_of(rows: Iterable[Sequence[str]]) -> bytes:
    """Give rows as CSV in UTF-8, every cell quoted and harmless."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return out.getvalue().encode()

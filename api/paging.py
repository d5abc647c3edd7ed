"""Lists in pages, newest first: each page names where the next one begins."""

from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from bidwitness.api.schemas import cursor_of, place_of

Row = TypeVar("Row")


def newest_first(
    query: Select[Row],
    at: InstrumentedAttribute[int],
    key: InstrumentedAttribute[Any],
    cursor: str | None,
    limit: int,
) -> Select[Row]:
    """Order a query by time and key, downwards, from the cursor on; one row more than a page.

    Raises ``InvalidInput`` for a cursor that is not ours.
    """
    kind = int if key.type.python_type is int else str
    place = place_of(cursor, (int, kind))
    if place is not None:
        query = query.where(tuple_(at, key) < tuple_(*place))
    return query.order_by(at.desc(), key.desc()).limit(limit + 1)


def split_page(
    rows: Sequence[Row], at: str, key: str, limit: int
) -> tuple[Sequence[Row], str | None]:
    """Give the rows of the page, and the cursor of the next one if there is any."""
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], cursor_of(getattr(last, at), getattr(last, key))

"""Rows whose interval shares an instant with a time, found by an index on where they begin.

An index on the beginning cannot tell where a row ends, so without a bound each question would read
all rows of the years before. Nearly all rows are short: they begin at most ``usual`` before the
time. The few longer ones, and those without an end, have a partial index of their own
(``ix_…_long``), whose condition is the one given here, word for word.
"""

from sqlalchemy import ColumnElement, and_, literal_column, or_
from sqlalchemy.orm import InstrumentedAttribute

# A recorder states a long gap in slices of ten minutes; one in which it was down is as long as that.
USUAL_GAP_US = 900_000_000
# Sittings of a day; those that rest overnight are longer.
USUAL_CLAIM_US = 86_400_000_000


def reaches_into(
    begins: InstrumentedAttribute[int],
    ends: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    from_us: int | ColumnElement[int],
    to_us: int | ColumnElement[int],
    *,
    usual_us: int,
    open_ended: bool = False,
) -> ColumnElement[bool]:
    """Say that a row shares an instant with ``[from, to)`` (µs UTC); without an end it lasts."""
    # A literal, as in the index: of a parameter the planner would not know that it implies it.
    lasting: ColumnElement[bool] = (ends - begins) > literal_column(str(usual_us))
    after: ColumnElement[bool] = ends > from_us
    if open_ended:
        lasting = or_(ends.is_(None), lasting)
        after = or_(ends.is_(None), after)
    return and_(begins < to_us, after, or_(begins > from_us - usual_us, lasting))

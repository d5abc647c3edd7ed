"""Search in the audit trail: who did what, on what, when, from where."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import AuditEntry

BATCH = 500
_ESCAPE = "\\"


@dataclass(frozen=True, slots=True)
class TrailFilter:
    """What is looked for; what is empty says nothing. In texts ``*`` stands for any characters.

    ``who``: a user name, with her tokens, or a process; ``address``: where from.
    """

    who: str | None = None
    action: str | None = None
    subject: str | None = None
    address: str | None = None
    allowed: bool | None = None
    from_us: int | None = None
    to_us: int | None = None

    def given(self) -> dict[str, Any]:
        """Give what is not empty, as it is kept."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @staticmethod
    def of(given: Mapping[str, Any]) -> "TrailFilter":
        """Read what ``given`` gave."""
        return TrailFilter(**given)


def found_by(wish: TrailFilter) -> Select[AuditEntry]:
    """Give the query of all that a filter finds, in no order. Whoever limits it does so after."""
    table = AuditEntry
    query = select(table)
    if wish.who is not None:
        tokens = table.who.like(f"{_escaped(wish.who)} (token %)", escape=_ESCAPE)
        query = query.where(or_(_like(table.who, wish.who), tokens))
    for column, text in (
        (table.action, wish.action),
        (table.subject, wish.subject),
        (table.address, wish.address),
    ):
        if text is not None:
            query = query.where(_like(column, text))
    if wish.allowed is not None:
        query = query.where(table.allowed.is_(wish.allowed))
    if wish.from_us is not None:
        query = query.where(table.at_us >= wish.from_us)
    if wish.to_us is not None:
        query = query.where(table.at_us < wish.to_us)
    return query


def count_found(orm: Orm, wish: TrailFilter, at_most: int) -> int:
    """Count what a filter finds, and no further than ``at_most``."""
    some = found_by(wish).with_only_columns(AuditEntry.id).limit(at_most).subquery()
    return orm.scalar(select(func.count()).select_from(some)) or 0


def newest_number(orm: Orm) -> int:
    """Give the number of the newest entry: what is told after it is not a part of what is told."""
    return orm.scalar(select(func.max(AuditEntry.id))) or 0


def all_found(database: Database, wish: TrailFilter, up_to: int) -> Iterator[list[AuditEntry]]:
    """Give all that a filter finds, newest first, in batches, each read for itself.

    ``up_to``: the newest number that is given. Raises ``IndexUnavailable``.
    """
    table = AuditEntry
    query = found_by(wish).where(table.id <= up_to)
    query = query.order_by(table.at_us.desc(), table.id.desc()).limit(BATCH)
    place: tuple[int, int] | None = None
    while True:
        more = query if place is None else query.where(tuple_(table.at_us, table.id) < place)
        with database.read() as orm:
            rows = list(orm.scalars(more))
        if rows:
            yield rows
        if len(rows) < BATCH:
            return
        place = (rows[-1].at_us, rows[-1].id)


def _like(column: InstrumentedAttribute[Any], text: str) -> ColumnElement[bool]:
    if "*" not in text:
        return column == text
    return column.like(_escaped(text).replace("*", "%"), escape=_ESCAPE)


def _escaped(text: str) -> str:
    for special in (_ESCAPE, "%", "_"):
        text = text.replace(special, _ESCAPE + special)
    return text

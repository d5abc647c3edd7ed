"""Whether a database answers out of the range of an index that the question is about.

Every question is asked again under EXPLAIN ANALYZE. A plan is refused that reads a large table
from end to end, or that looks at many more rows than it gives.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from bidwitness.errors import Unavailable
from bidwitness.storage.index.database import Database

Asked = tuple[str, Any]
# What lies beyond the ends of a range of segments: those that may reach into it.
SPARE_ROWS = 100
# A table that is so small is rightly read from end to end.
SMALL_TABLE = 2000


@contextmanager
def questions(database: Database) -> Iterator[list[Asked]]:
    """Collect what is asked of a database meanwhile, with its parameters."""
    asked: list[Asked] = []

    def note(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def check_plans(database: Database, asked: Sequence[Asked], big: Sequence[str]) -> int:
    """Give how many rows of ``big`` tables the questions looked at.

    Raises ``Unavailable`` with the plan of the first question that strays.
    """
    looked = 0
    with database.engine.connect() as connection:
        for statement, parameters in asked:
            if not statement.lstrip().upper().startswith("SELECT"):
                continue
            answer = connection.exec_driver_sql(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
            ).scalar_one()
            plan = answer if isinstance(answer, list) else json.loads(answer)
            for node in _nodes(plan[0]["Plan"]):
                if node.get("Relation Name") in big:
                    looked += _looked_at(node, statement)
    return looked


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _looked_at(node: Mapping[str, Any], statement: str) -> int:
    loops = node["Actual Loops"]
    given = node["Actual Rows"] * loops
    refused = (
        node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    ) * loops
    scans = node["Node Type"] == "Seq Scan" and given + refused > SMALL_TABLE
    spare = SMALL_TABLE if node["Node Type"] == "Seq Scan" else SPARE_ROWS * max(1, loops)
    if scans or refused > max(given, spare):
        raise Unavailable(
            f"{node['Node Type']} of {node['Relation Name']} looked at {given + refused:.0f} rows "
            f"to give {given:.0f}: {' '.join(statement.split())}\n{json.dumps(node, indent=1)}"
        )
    return round(given + refused)

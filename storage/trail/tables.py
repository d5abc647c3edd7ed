"""The tables whose every row the log commits to, and that are held against it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.index.audit import TRAIL, audit_facts
from bidwitness.storage.index.commitments import committed_event
from bidwitness.storage.index.models import AuditEntry, RegisterEntry
from bidwitness.storage.register import TABLE as REGISTER_TABLE
from bidwitness.storage.register import register_facts


@dataclass(frozen=True, slots=True)
class Committed:
    """A table with a counting ``id`` and a time ``at_us``, of which rows are only ever added.

    ``name``: what ``commit_to`` is told; ``zh``, ``en``: what one row is called; ``facts``: what
    is committed to of a row.
    """

    name: str
    zh: str
    en: str
    model: Any
    facts: Callable[[Any], Mapping[str, JsonValue]]

    def event(self, row: Any) -> dict[str, JsonValue]:
        """Give what is hashed of a row as it stands in the index."""
        return committed_event(self.name, int(row.id), self.facts(row))


AUDIT = Committed(TRAIL, "操作留痕", "audit entry", AuditEntry, audit_facts)
REGISTER = Committed(REGISTER_TABLE, "调阅登记", "register row", RegisterEntry, register_facts)
# Another table joins the walk by standing here.
TABLES: tuple[Committed, ...] = (AUDIT, REGISTER)

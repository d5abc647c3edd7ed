"""The one way into the site's log: a row that commits with what it is about."""

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.entries import LogEntry, entry_object
from bidwitness.storage.index.models import Outbox


def put_in_outbox(
    orm: Orm,
    key: str,
    entry: LogEntry,
    at_us: int,
    facts: Mapping[str, JsonValue] | None = None,
) -> bool:
    """Have ``entry`` logged, once; say whether it is new. Call inside ``Database.write``.

    ``key`` names what it is about (``"session_record:17"``); ``facts`` stay in the index.
    """
    if orm.scalar(select(Outbox.id).where(Outbox.key == key)) is not None:
        return False
    body = {**(facts or {}), "entry": entry_object(entry)}
    orm.add(Outbox(kind=entry.T, key=key, body=body, at_us=at_us))
    return True


def session_record_key(record_id: int) -> str:
    """Give the key of a session's record (``session_records.id``)."""
    return f"session_record:{record_id}"


def epoch_key(recorder: str, seq: int | Literal[""]) -> str:
    """Give the key of a recorder's epoch; without a number, how all of them begin."""
    return f"epoch:{recorder}:{seq}"

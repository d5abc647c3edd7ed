"""Rows that the log of the site commits to: what of a row is hashed, and how it gets there.

A table whose rows must not change unseen calls ``commit_to`` in the transaction that adds one, and
is listed in ``storage.trail.tables``: then it is walked as the audit trail is.
"""

import secrets
from collections.abc import Mapping

from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.evidence.entries import AuditCommitment, audit_commitment
from bidwitness.storage.index.outbox import put_in_outbox
from bidwitness.storage.index.signet import IN_SESSION, Signet

# Without it, who knows what may have been done could try out what was.
SALT_BYTES = 16


def commit_to(
    orm: Orm, table: str, number: int, facts: Mapping[str, JsonValue], at_us: int
) -> None:
    """Have the log commit to row ``number`` of a table. Call inside ``Database.write``.

    ``table``: its name in ``storage.trail.tables``; ``facts``: all of the row that must not change.
    """
    salt = secrets.token_bytes(SALT_BYTES)
    commitment = audit_commitment(salt, committed_event(table, number, facts))
    body: dict[str, JsonValue] = {"salt": salt.hex()}
    signet = orm.info.get(IN_SESSION)
    if isinstance(signet, Signet):
        body["signet"] = signet.impress(commitment)
    put_in_outbox(orm, row_key(table, number), AuditCommitment(commitment), at_us, body)


def committed_event(
    table: str, number: int, facts: Mapping[str, JsonValue]
) -> dict[str, JsonValue]:
    """Give what is hashed of a row. Its number is a part of it: rows cannot change places."""
    return {"v": 1, "table": table, "id": number, **facts}


def row_key(table: str, number: int) -> str:
    """Give the outbox key of a row."""
    return f"{table}:{number}"


def row_of(key: str) -> tuple[str, int] | None:
    """Read such a key; nothing if it is another one."""
    table, colon, number = key.partition(":")
    good = bool(colon) and number.isascii() and number.isdecimal() and len(number) < 20
    return (table, int(number)) if good else None

"""Leave an audit entry in the transaction of the act it is about, with its outbox row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session as Orm

from bidwitness.log import redact
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.index.commitments import commit_to
from bidwitness.storage.index.models import AuditEntry

MAX_TEXT = 500
# What the trail is called where its commitments are.
TRAIL = "audit"


@dataclass(frozen=True, slots=True)
class AtDisplay:
    """The registered display that somebody signed in on."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Who:
    """The person or process that acts: a row of ``users`` or the name of a process.

    ``display``: where she signed in, if on a display; the entry's facts say so.
    """

    name: str
    user_id: str | None = None
    address: str | None = None
    display: AtDisplay | None = None


def leave_audit_entry(
    orm: Orm,
    who: Who,
    action: str,
    subject: str,
    at_us: int,
    *,
    allowed: bool = True,
    reason: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Add who did ``action`` to ``subject`` (``"session:ID"``) at ``at_us``.

    The entry commits or vanishes with the act itself. Its outbox row is what the site's log
    will commit to. Secrets in ``reason`` are redacted.
    """
    said = dict(facts or {})
    if who.display is not None:
        said["display"] = {"id": who.display.id, "name": who.display.name}
    entry = AuditEntry(
        at_us=at_us,
        user_id=who.user_id,
        who=who.name,
        action=action,
        subject=subject,
        allowed=allowed,
        address=who.address,
        reason=redact(reason)[:MAX_TEXT] if reason else None,
        facts=said or None,
    )
    orm.add(entry)
    orm.flush()
    commit_to(orm, TRAIL, entry.id, audit_facts(entry), at_us)
    return entry


def audit_facts(entry: AuditEntry) -> dict[str, JsonValue]:
    """Give what the log commits to of an audit entry, besides its number: all of it."""
    facts = None if entry.facts is None else json.dumps(entry.facts, sort_keys=True)
    return {
        "at": entry.at_us,
        "user": entry.user_id,
        "who": entry.who,
        "action": entry.action,
        "subject": entry.subject,
        "allowed": entry.allowed,
        "address": entry.address,
        "reason": entry.reason,
        "facts": facts,
    }

"""Leave an audit entry in the transaction of the act it is about, with its outbox row."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session as Orm

from bidwitness.log import redact
from bidwitness.storage.index.models import AuditEntry, Outbox

MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Who:
    """The person or process that acts: a row of ``users`` or the name of a process."""

    name: str
    user_id: str | None = None
    address: str | None = None


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
    entry = AuditEntry(
        at_us=at_us,
        user_id=who.user_id,
        who=who.name,
        action=action,
        subject=subject,
        allowed=allowed,
        address=who.address,
        reason=redact(reason)[:MAX_TEXT] if reason else None,
        facts=dict(facts) if facts else None,
    )
    orm.add(entry)
    orm.flush()
    orm.add(Outbox(kind="audit", body={"audit_entry": entry.id}, at_us=at_us))
    return entry

"""Give up footage: its garbage rows, marks, audit entry and derivatives, in one transaction."""

from collections.abc import Sequence

from sqlalchemy.orm import Session as Orm

from bidwitness.storage.derivatives import expire_with_footage
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Garbage, Segment


def give_up_footage(
    orm: Orm, who: Who, stream_id: str, rows: Sequence[Segment], reason: str, now_us: int
) -> None:
    """Have `keep` remove segments of a stream, in the order of their time.

    Call with the stream locked and none of them claimed or held (``storage.index.protection``).
    """
    if not rows:
        return
    for row in rows:
        row.removed_us = now_us
        orm.add(
            Garbage(
                segment_id=row.id,
                recorder=row.recorder,
                spool_path=row.spool_path,
                store_key=row.store_key,
                store_version=row.store_version,
                reason=reason,
                at_us=now_us,
            )
        )
    start, end = rows[0].from_us, max(row.to_us for row in rows)
    size = sum(row.bytes for row in rows)
    facts = {"segments": len(rows), "bytes": size, "from": start, "to": end}
    subject = f"stream:{stream_id}"
    expire_with_footage(orm, stream_id, start, end, now_us)
    leave_audit_entry(orm, who, "footage.remove", subject, now_us, reason=reason, facts=facts)

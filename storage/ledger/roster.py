"""Who vouches for the log, in the log itself: a change of witnesses or authorities cannot be denied."""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.entries import RosterEntry
from bidwitness.storage.evidence.policy import Policy
from bidwitness.storage.index.models import Outbox
from bidwitness.storage.index.outbox import put_in_outbox

WITNESS, TIMESTAMP, GONE = "witness", "timestamp", "_gone"
# Rows of this beginning are found by the index of keys.
_FIRST, _BEHIND = "vouches:", "vouches;"


def vouching(policy: Policy) -> set[tuple[str, str]]:
    """Give role and key of everybody who is asked to vouch for the log. Pure."""
    witnesses = {(WITNESS, str(key)) for key in policy.witnesses.values()}
    authorities = {
        (TIMESTAMP, f"sha256:{hashlib.sha256(certificates[0]).hexdigest()}")
        for certificates in policy.timestamps.values()
    }
    return witnesses | authorities


def note_roster(orm: Orm, policy: Policy, at_us: int) -> int:
    """Have logged who comes and who goes; give how many. Call inside ``Database.write``."""
    query = select(Outbox.body).where(Outbox.key >= _FIRST, Outbox.key < _BEHIND)
    before = orm.scalars(query.order_by(Outbox.id)).all()
    present: set[tuple[str, str]] = set()
    for body in before:
        role, key = body["entry"]["role"], body["entry"]["key"]
        if role.endswith(GONE):
            present.discard((role.removesuffix(GONE), key))
        else:
            present.add((role, key))
    wanted = vouching(policy)
    changes = [(role, key) for role, key in sorted(wanted - present)]
    changes += [(role + GONE, key) for role, key in sorted(present - wanted)]
    for number, (role, key) in enumerate(changes, len(before)):
        put_in_outbox(orm, f"{_FIRST}{number}", RosterEntry(role, key), at_us)
    return len(changes)

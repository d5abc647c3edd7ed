"""Who vouches for the log, in the log itself: a change of witnesses or authorities cannot be denied."""

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.evidence.entries import RosterEntry
from bidwitness.storage.evidence.policy import Policy
from bidwitness.storage.index.models import Outbox
from bidwitness.storage.index.outbox import put_in_outbox

WITNESS, TIMESTAMP, GONE = "witness", "timestamp", "_gone"


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
    count, present = 0, set[tuple[str, str]]()
    # One by one: by their names they are found at once, by a range only where letters sort as bytes.
    while (body := orm.scalar(select(Outbox.body).where(Outbox.key == _key(count)))) is not None:
        role, key = body["entry"]["role"], body["entry"]["key"]
        if role.endswith(GONE):
            present.discard((role.removesuffix(GONE), key))
        else:
            present.add((role, key))
        count += 1
    wanted = vouching(policy)
    changes = [(role, key) for role, key in sorted(wanted - present)]
    changes += [(role + GONE, key) for role, key in sorted(present - wanted)]
    for number, (role, key) in enumerate(changes, count):
        put_in_outbox(orm, _key(number), RosterEntry(role, key), at_us)
    return len(changes)


def _key(number: int) -> str:
    return f"vouches:{number}"

"""How long audit entries are kept: as long as the footage they speak of, and half a year at least.

No path of the programs removes one, and the tables refuse it: this says how long that must be so.
"""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import AuditEntry, Claim, Hold, Playback
from bidwitness.storage.periods import periods_of, policies_of

DAY_US = 86_400_000_000
# Six months are 184 days at most (网络安全法 第二十一条).
LEAST_US = 184 * DAY_US


def kept_until(at_us: int, footage: Iterable[int | None]) -> int | None:
    """Give until when an entry of ``at_us`` is kept (µs UTC); nothing: for good, as it stands now.

    ``footage``: the ends of all footage that it speaks of, nothing where that is not known. Pure.
    """
    until = at_us + LEAST_US
    for end in footage:
        if end is None:
            return None
        until = max(until, end)
    return until


def entry_kept_until(orm: Orm, entry: AuditEntry) -> int | None:
    """Give until when an entry is kept, by what is known of its footage now."""
    sessions = _sessions_of(orm, entry)
    held = select(Hold.id).where(Hold.session_id.in_(sessions), Hold.released_us.is_(None))
    if sessions and orm.scalar(held.limit(1)) is not None:
        return None
    return kept_until(entry.at_us, periods_of(orm, sessions, policies_of(orm)).values())


def _sessions_of(orm: Orm, entry: AuditEntry) -> list[str]:
    """Give the sessions whose footage an entry speaks of."""
    kind, _, name = entry.subject.partition(":")
    if kind == "session":
        return list(orm.scalars(select(Claim.session_id).where(Claim.session_id == name).limit(1)))
    if kind == "playback":
        playback = orm.get(Playback, name)
        return [playback.session_id] if playback is not None and playback.session_id else []
    if kind == "stream":
        return _claimants(orm, [name], entry.at_us, entry.at_us)
    if kind == "display" and entry.facts and "streams" in entry.facts:
        facts = entry.facts
        return _claimants(orm, facts["streams"], facts["from_us"], facts["to_us"])
    return []


def _claimants(orm: Orm, streams: Iterable[str], from_us: int, to_us: int) -> list[str]:
    """Give the sessions that claim streams anywhere from then until then, both included."""
    claims = select(Claim.session_id).where(
        Claim.stream_id.in_(list(streams)),
        Claim.withdrawn_us.is_(None),
        Claim.from_us <= to_us,
        (Claim.to_us.is_(None)) | (Claim.to_us > from_us),
    )
    return list(orm.scalars(claims.distinct()))

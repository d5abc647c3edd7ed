"""What was really watched by a grant, as the audit trail has it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.intervals import Interval, union
from bidwitness.storage.index.models import AuditEntry, Camera, Grant, GrantUse, Playback, Stream
from bidwitness.words import Medium

# One entry a minute and file of footage that was sent: see ``api.play``.
SEEN = "playback.seen"


@dataclass(frozen=True, slots=True)
class Watched:
    """The times of a stream's medium that were sent to the person."""

    stream_id: str
    camera: str
    medium: Medium
    spans: tuple[Interval, ...]


def watched_by(orm: Orm, grant_id: str) -> list[Watched]:
    """Give what was sent in the viewings that stand on a grant.

    Viewings that nothing was written down for (without a number of views, and not opened by the
    grant's id) are those of the session by the person who has it, while it stood.
    """
    grant = orm.get(Grant, grant_id)
    if grant is None:
        return []
    counted = select(GrantUse.playback_id).where(GrantUse.grant_id == grant_id)
    until = min(at for at in (grant.revoked_us, grant.expires_us, 2**62) if at is not None)
    stands_on = [Playback.grant_id == grant_id, Playback.id.in_(counted)]
    if grant.views is None and grant.session_id is not None:
        stands_on.append(
            (Playback.user_id == grant.user_id)
            & (Playback.session_id == grant.session_id)
            & (Playback.opened_us >= grant.made_us)
            & (Playback.opened_us < until)
        )
    playbacks = orm.scalars(select(Playback.id).where(or_(*stands_on))).all()
    query = select(AuditEntry.facts).where(
        AuditEntry.action == SEEN,
        AuditEntry.subject.in_([f"playback:{one}" for one in playbacks]),
    )
    named = select(Stream.id, Camera.name).join(Camera, Camera.id == Stream.camera_id)
    cameras = {row[0]: row[1] for row in orm.execute(named)}
    spans = seen_spans(facts for facts in orm.scalars(query) if facts)
    return [
        Watched(stream, cameras.get(stream, stream), medium, found)
        for (stream, medium), found in sorted(spans.items())
    ]


def seen_spans(
    entries: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, Medium], tuple[Interval, ...]]:
    """Join what entries of the audit trail say was sent, by stream and medium. Pure."""
    found: dict[tuple[str, Medium], list[Interval]] = {}
    for facts in entries:
        key = (str(facts["stream"]), Medium(facts["medium"]))
        found.setdefault(key, []).append(Interval(facts["from_us"], facts["to_us"]))
    return {key: tuple(union(spans)) for key, spans in found.items()}

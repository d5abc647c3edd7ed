"""Snapshots: one exact picture of an instant as a copy that can be traced to its bytes."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.errors import DamageFound, Forbidden, NotFound, StorageFull
from bidwitness.ids import new_id
from bidwitness.intervals import Interval
from bidwitness.player.gops import Gop
from bidwitness.player.pieces import Pieces
from bidwitness.player.playbacks import Scope, permission_of, recheck, view_of, with_grant
from bidwitness.player.still import Order
from bidwitness.storage.derivatives import SNAPSHOT
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Derivative, Playback
from bidwitness.storage.media.boxes import read_samples
from bidwitness.storage.register import enter_copy
from bidwitness.storage.sights import StreamView, person_of
from bidwitness.words import Action, Medium

COPYING = (Action.COPY,)
EXPIRY_US = 7 * 86_400_000_000
CHINA = timezone(timedelta(hours=8))
SCHEMA = "bidwitness.snapshot/1"


@dataclass(frozen=True, slots=True)
class SnapshotWish:
    """Which picture of a playback somebody wants a copy of, and why."""

    playback_id: str
    stream_id: str
    at_us: int
    reason: str


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a snapshot stands on: ``scope`` may be copied; ``grants`` are the rights."""

    scope: Scope
    session_id: str | None
    grants: tuple[str, ...]
    view: StreamView


@dataclass(frozen=True, slots=True)
class Found:
    """The picture of an instant: its time (µs UTC), its ticks, and the bytes to decode."""

    interval: Interval
    pts: int
    timescale: int
    gop: Gop

    @property
    def footage(self) -> bytes:
        """An fMP4 from the key frame to the picture."""
        return self.gop.init_data + b"".join(part.data for part in self.gop.parts)


def allowed(orm: Orm, user_id: str, wish: SnapshotWish, now_us: int) -> Allowed:
    """Give what may be copied of the stream by the playback, now.

    Raises ``NotFound``, and ``Forbidden`` unless the instant may be seen *and* copied.
    """
    scope = recheck(orm, wish.playback_id, user_id, wish.stream_id, Medium.PICTURE, now_us)
    playback = orm.get_one(Playback, wish.playback_id)
    person = with_grant(person_of(orm, user_id, now_us), playback.grant_id)
    view = view_of(orm, wish.stream_id, scope.window)
    instant = Interval(wish.at_us, wish.at_us + 1)
    if not scope.window.overlaps(instant):
        raise NotFound("The instant lies outside of the playback.")
    if not any(span.overlaps(instant) for span in scope.permission.spans):
        raise Forbidden("That instant may not be seen.")
    copying = permission_of(
        person, Medium.PICTURE, view, scope.window, playback.session_id, now_us, COPYING
    )
    if not any(span.overlaps(instant) for span in copying.spans):
        ground = copying.ground
        raise Forbidden(f"No copy of this may be made for you: {ground.zh} ({ground.value}).")
    present = {
        presence.session_id
        for presence in view.context(instant).presences
        if presence.klass is not None
    }
    grants = tuple(
        grant.id
        for grant in person.grants
        if grant.valid(now_us)
        and grant.session_id in present
        and Action.COPY in grant.actions
        and Medium.PICTURE in grant.media
        and (grant.stream_ids is None or wish.stream_id in grant.stream_ids)
    )
    narrowed = Scope(
        *(scope.playback_id, scope.stream_id, scope.medium, scope.window, scope.until_us),
        permission=copying,
    )
    return Allowed(narrowed, playback.session_id, grants, view)


def find_picture(pieces: Pieces, scope: Scope, at_us: int) -> Found:
    """Find the picture that was on at an instant.

    Raises ``NotFound`` if there is none that the scope may show, ``DamageFound`` if the footage
    is not what its table says.
    """
    gop = pieces.gop_at(scope, at_us)
    samples = [sample for part in gop.parts for sample in read_samples(part.data)]
    if not samples:
        raise DamageFound("The footage holds no picture.")
    # As a player does it, the clock is that of the key frame: what reordering adds falls away.
    shift = samples[0].cts
    times = sorted(
        (gop.table.wall_of(gop.track, s.dts + s.cts - shift), s.dts + s.cts, s.duration)
        for s in samples
    )
    on = [item for item in times if item[0] <= at_us]
    if not on:
        raise NotFound("There is no picture at that instant.")
    wall, pts, duration = on[-1]
    scale = gop.table.timescale(gop.track)
    after = times[len(on)][0] if len(on) < len(times) else wall + duration * 1_000_000 // scale
    return Found(Interval(wall, max(after, wall + 1)), pts, scale, gop)


def provenance_of(
    snapshot_id: str,
    who: Who,
    name: str,
    wish: SnapshotWish,
    right: Allowed,
    found: Found,
    now_us: int,
) -> dict[str, Any]:
    """Say where a picture comes from, so that anybody who holds the footage can make it again."""
    last = found.gop.parts[-1].held
    return {
        "schema": SCHEMA,
        "id": snapshot_id,
        "kind": "derivative: decoded, watermarked, encoded as PNG",
        "session": right.session_id,
        "playback": wish.playback_id,
        "stream": {
            "id": wish.stream_id,
            "role": right.view.role.value,
            "camera": right.view.camera,
            "room": right.view.room,
        },
        "asked_us": wish.at_us,
        "frame": {
            "from_us": found.interval.start,
            "to_us": found.interval.end,
            "at": iso(found.interval.start),
            "pts": found.pts,
            "timescale": found.timescale,
        },
        "clock": last.row.quality.value if last.row is not None else None,
        "init_sha256": found.gop.init,
        "segments": _segments(found),
        "made_us": now_us,
        "made_for": {"user": who.name, "name": name, "address": who.address},
        "reason": wish.reason,
    }


def _segments(found: Found) -> list[dict[str, Any]]:
    """Name each segment with the fragments that were decoded, and the digests of both."""
    out: list[dict[str, Any]] = []
    for part in found.gop.parts:
        held = part.held
        if not out or (out[-1]["run"], out[-1]["run_seq"]) != held.key:
            row = held.row
            out.append(
                {
                    "run": held.run,
                    "run_seq": held.run_seq,
                    # None: it was not closed yet.
                    "sha256": row.sha256.hex() if row is not None else None,
                    "fragments": [],
                }
            )
        out[-1]["fragments"].append(
            {
                "number": part.fragment.ordinal,
                "offset": part.fragment.offset,
                "bytes": part.fragment.size,
                "sha256": hashlib.sha256(part.data).hexdigest(),
            }
        )
    return out


def order_of(snapshot_id: str, who: Who, right: Allowed, found: Found, now_us: int) -> Order:
    """Say what to burn in: who has it since when on the picture, what it shows below it."""
    fragment = hashlib.sha256(found.gop.parts[-1].data).hexdigest()
    shown = (
        iso(found.interval.start),
        f"stream {right.view.stream_id} {right.view.role.value}",
        f"session {right.session_id or '-'}",
    )
    handed = f"copy {snapshot_id} for {who.name} at {iso(now_us)[:19]}+08:00"
    return Order(
        found.pts,
        found.timescale,
        f"{who.name}  {iso(now_us)[:19]}  {snapshot_id}",
        ("   ".join(shown), f"{handed}   fragment sha256 {fragment[:16]}"),
    )


def iso(at_us: int) -> str:
    """Write an instant as it is read in China, to the millisecond."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(CHINA)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_us % 1_000_000 // 1000:03d}+08:00"


def snapshot_path(settings: Settings, name: str) -> Path:
    """Give where the picture lies until it expires."""
    return settings.exports / name


def keep_picture(settings: Settings, snapshot_id: str, png: bytes) -> str:
    """Write the picture; give its name. Raises ``StorageFull``."""
    name = f"{snapshot_id}.png"
    try:
        settings.exports.mkdir(mode=0o700, parents=True, exist_ok=True)
        snapshot_path(settings, name).write_bytes(png)
    except OSError as error:
        snapshot_path(settings, name).unlink(missing_ok=True)
        raise StorageFull(f"The picture cannot be kept: {error.strerror}.") from error
    return name


def enter(
    orm: Orm,
    who: Who,
    user_id: str,
    wish: SnapshotWish,
    right: Allowed,
    provenance: dict[str, Any],
    name: str,
    png: bytes,
) -> Derivative:
    """Write the copy's row, its lines in the register, and the audit entry."""
    digest = digest_of(png)
    now, frame = provenance["made_us"], provenance["frame"]
    row = Derivative(
        id=provenance["id"],
        kind=SNAPSHOT,
        session_id=right.session_id,
        stream_id=wish.stream_id,
        from_us=frame["from_us"],
        to_us=frame["to_us"],
        recipe={**provenance, "user_id": user_id},
        path=name,
        bytes=len(png),
        sha256=digest,
        made_us=now,
        made_by=who.name,
        expires_us=now + EXPIRY_US,
        grant_id=right.grants[0] if right.grants else None,
    )
    orm.add(row)
    view = right.view
    content = f"截图 {view.room} {view.camera} {view.role.zh} {frame['at']}"
    for grant_id in right.grants:
        enter_copy(
            orm,
            who,
            now,
            grant_id,
            person=provenance["made_for"]["name"],
            content=content,
            reason=wish.reason,
            facts={"copy": row.id, "files": [{"name": name, "bytes": len(png), "sha256": digest}]},
        )
    facts = {"snapshot": row.id, "at": frame["from_us"], "sha256": digest}
    leave_audit_entry(
        orm,
        who,
        "snapshot.make",
        subject_of(right.session_id, wish.stream_id),
        now,
        reason=wish.reason,
        facts=facts,
    )
    return row


def subject_of(session_id: str | None, stream_id: str) -> str:
    """Name what an audit entry about a snapshot is about."""
    return f"session:{session_id}" if session_id else f"stream:{stream_id}"


def may_still_have(orm: Orm, user_id: str, row: Derivative, now_us: int) -> bool:
    """Say whether the right to a copy that was made still stands, as for exports."""
    assert row.stream_id is not None and row.from_us is not None and row.to_us is not None
    shown = Interval(row.from_us, row.to_us)
    view = view_of(orm, row.stream_id, shown)
    person = person_of(orm, user_id, now_us)
    found = permission_of(person, Medium.PICTURE, view, shown, row.session_id, now_us, COPYING)
    return any(span.contains(shown.start) for span in found.spans) and not any(
        other.overlaps(shown) for other in found.others
    )


def fresh_id() -> str:
    """Give a new snapshot's name, which is burned in before there is a row."""
    return new_id()


def digest_of(png: bytes) -> str:
    """Give the digest by which a picture is known (SHA-256, hex)."""
    return hashlib.sha256(png).hexdigest()

"""What stood around a session's footage: the log, keys, alarms, the clock, and who had access."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.intervals import Interval
from bidwitness.storage.evidence.entries import RosterEntry, entry_of
from bidwitness.storage.evidence.note import BadNote, read_key
from bidwitness.storage.evidence.proof import recorder_key_name
from bidwitness.storage.evidence.stamps import TOKEN_SUFFIX
from bidwitness.storage.evidence.token import BadToken, read_token
from bidwitness.storage.evidence_report.facts import (
    AccessFacts,
    KeyFacts,
    LogFacts,
    SeenBy,
    StateFacts,
)
from bidwitness.storage.index.models import Alarm, AuditEntry, Event, Grant, Outbox, Playback
from bidwitness.storage.ledger.proving import LogPosition, newest_note
from bidwitness.storage.ledger.shard import origin_of
from bidwitness.storage.ledger.stamped import stamp_folder, stamped_sizes
from bidwitness.storage.ledger.trusted import read_trusted

SECOND = 1_000_000
# What the footage was looked at or copied by; what is said in its session's life is in its records.
ACCESS = ("playback.", "live.", "snapshot.", "export.", "clip.", "evidence_report.")
# An act's end, or how far it went, says nothing that its beginning has not said.
_SAID = (".stop", ".close", ".seen")
_CLOCK_STEP = "clock_step"


def log_facts(settings: Settings, position: LogPosition | None) -> LogFacts | None:
    """Give where the close stands, and who has vouched for the log since.

    Raises ``DamageFound`` if the log is not whole, ``ConfigError`` if the witnesses' file is wrong.
    """
    if position is None:
        return None
    witnesses: list[SeenBy] = []
    note = newest_note(settings, position.shard, position.position)
    if note is not None:
        with suppress(BadNote):  # then nobody has vouched for it, and the log's own check says so
            cosigned = read_trusted(settings.witnesses).cosigned(note)
            witnesses = [SeenBy(name, at * SECOND) for name, at in sorted(cosigned.items())]
    return LogFacts(
        origin=origin_of(settings.site, position.shard),
        position=position.position,
        at=position.checkpoint_us,
        covered=position.covered,
        witnesses=tuple(witnesses),
        stamps=tuple(_stamps(settings.log / position.shard, position.position)),
    )


def _stamps(folder: Path, position: int) -> list[SeenBy]:
    """Give the first time stamps over an entry."""
    size = next((size for size in stamped_sizes(folder) if size > position), None)
    found: list[SeenBy] = []
    for path in sorted(stamp_folder(folder, size).glob(f"*{TOKEN_SUFFIX}")) if size else ():
        with suppress(OSError, BadToken):  # then it stamps nothing, and is not named
            found.append(SeenBy(path.stem, read_token(path.read_bytes()).at))
    return found


def keys_of(
    orm: Orm, settings: Settings, position: LogPosition | None, recorders: Iterable[str]
) -> list[KeyFacts]:
    """Give the keys of the log and of the recorders, as the log says that they came into use."""
    found: list[KeyFacts] = []
    if position is not None:
        origin = origin_of(settings.site, position.shard)
        found.append(KeyFacts("log", origin, position.key))
    wanted = {recorder_key_name(settings.site, name) for name in recorders}
    rows = orm.scalars(select(Outbox).where(Outbox.kind == RosterEntry.T).order_by(Outbox.id))
    for row in rows:
        entry = entry_of(row.body["entry"])
        if not isinstance(entry, RosterEntry) or entry.role != "recorder":
            continue
        with suppress(BadNote):  # then it is no key, and vouches for nothing
            key = read_key(entry.key)
            if key.name in wanted:
                found.append(KeyFacts("recorder", key.name, key.fingerprint))
    return list(dict.fromkeys(found))


def states_in(
    orm: Orm,
    session_id: str,
    streams: Sequence[str],
    recorders: Iterable[str],
    span: Interval,
) -> tuple[StateFacts, ...]:
    """Give the alarms about the session and its streams, and the steps of its recorders' clocks."""
    subjects = [f"session:{session_id}", *(f"stream:{stream}" for stream in streams)]
    alarms = orm.scalars(
        select(Alarm)
        .where(
            Alarm.subject.in_(subjects),
            Alarm.raised_us < span.end,
            or_(Alarm.cleared_us.is_(None), Alarm.cleared_us > span.start),
        )
        .order_by(Alarm.raised_us, Alarm.id)
    )
    found = [StateFacts(a.kind, a.subject, a.raised_us, a.cleared_us) for a in alarms]
    steps = orm.scalars(
        select(Event)
        .where(
            Event.kind == _CLOCK_STEP,
            Event.at_us >= span.start,
            Event.at_us < span.end,
            Event.source.in_(list(recorders)),
        )
        .order_by(Event.at_us, Event.id)
    )
    found += [StateFacts(e.kind, f"recorder:{e.source}", e.at_us, e.at_us) for e in steps]
    return tuple(sorted(found, key=lambda item: (item.start, item.kind, item.subject)))


def access_to(
    orm: Orm, session_id: str, streams: Sequence[str], span: Interval
) -> tuple[AccessFacts, ...]:
    """Give who saw or copied the footage, or tried to, by the audit entries up to now.

    Live views are told of the session's own time; all else is of the session. Who has a
    confidential grant is not named: whoever gets the report would know of it.
    """
    secret = select(Grant.user_id).where(Grant.session_id == session_id, Grant.confidential)
    playbacks = orm.scalars(select(Playback.id).where(Playback.session_id == session_id))
    subjects = [f"session:{session_id}", *(f"playback:{playback}" for playback in playbacks)]
    watched = and_(
        AuditEntry.subject.in_([f"stream:{stream}" for stream in streams]),
        AuditEntry.at_us >= span.start,
        AuditEntry.at_us < span.end,
    )
    rows = orm.scalars(
        select(AuditEntry)
        .where(
            or_(AuditEntry.subject.in_(subjects), watched),
            or_(AuditEntry.user_id.is_(None), AuditEntry.user_id.not_in(secret)),
        )
        .order_by(AuditEntry.at_us, AuditEntry.id)
    )
    found: dict[tuple[str, str], AccessFacts] = {}
    for row in rows:
        if not row.action.startswith(ACCESS) or row.action.endswith(_SAID):
            continue
        key = (row.who, row.action)
        known = found.get(key, AccessFacts(row.who, row.action, 0, 0, row.at_us, row.at_us))
        found[key] = AccessFacts(
            row.who,
            row.action,
            known.times + row.allowed,
            known.refused + (not row.allowed),
            known.first,
            row.at_us,
        )
    return tuple(found[key] for key in sorted(found))

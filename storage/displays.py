"""Registered displays (显示终端): registered, paired once by a code, renamed, revoked.

A display's credential ends by being revoked alone. It is renewed while it is in use, so that a copy
of it that was taken is good until the next renewal at most.
"""

import dataclasses
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.networks import is_within, read_network
from bidwitness.rights import Scope
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import Display, Room, Site
from bidwitness.storage.logins import DAY_US, MINUTE_US, TOKEN_BYTES, digest, end_logins_on
from bidwitness.words import RoomKind

# Who has the code before it was entered has the display: it lasts as long as the way to it.
CODE_LIFE_US = 15 * MINUTE_US
# Without letters and figures that look alike; 12 of 31 are 59 bits.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_LENGTH = 12
GROUP = 4
RENEW_US = DAY_US
# Its row is written at most so often.
MARK_SEEN_US = 30_000_000


@dataclass(frozen=True, slots=True)
class NewDisplay:
    """What is registered: ``room_id`` or ``place`` says where it stands."""

    name: str
    room_id: str | None
    place: str | None
    scope: Scope
    room_ids: tuple[str, ...]
    network: str | None
    reason: str


def register(orm: Orm, who: Who, at_us: int, new: NewDisplay) -> tuple[Display, str]:
    """Register a display; give it with the code by which it is paired, told this once.

    Raises ``InvalidInput`` for a place, a scope or a network that is none, ``Conflict`` for a name
    that another one has.
    """
    _check(orm, new)
    _check_name(orm, new.name)
    scope = dataclasses.asdict(new.scope)
    scope.pop("session_id")
    row = Display(
        name=new.name,
        room_id=new.room_id,
        place=new.place,
        room_ids=list(new.room_ids),
        network=read_network(new.network) if new.network else None,
        reason=new.reason,
        made_us=at_us,
        made_by=who.name,
        **scope,
    )
    orm.add(row)
    code = _fresh_code(row, at_us)
    orm.flush()
    facts = {
        "name": row.name,
        "room": row.room_id,
        "place": row.place,
        "rooms": row.room_ids,
        "network": row.network,
        **{name: value for name, value in scope.items() if value is not None},
    }
    _note(orm, who, "display.register", row, at_us, reason=new.reason, facts=facts)
    return row, code


def new_code(orm: Orm, who: Who, at_us: int, display_id: str) -> tuple[Display, str]:
    """Give a display another code: the one before was too late, or the machine is another one.

    The credential it has stays good until the code is entered. Raises ``NotFound``, ``Conflict``.
    """
    row = _standing(orm, display_id)
    code = _fresh_code(row, at_us)
    _note(orm, who, "display.code", row, at_us)
    return row, code


def rename(orm: Orm, who: Who, at_us: int, display_id: str, name: str) -> Display:
    """Call a display something else. Raises ``NotFound``, ``Conflict``."""
    row = _standing(orm, display_id)
    if name == row.name:
        return row
    _check_name(orm, name)
    facts = {"before": row.name, "after": name}
    row.name = name
    _note(orm, who, "display.rename", row, at_us, facts=facts)
    return row


def revoke(orm: Orm, who: Who, at_us: int, display_id: str, reason: str) -> Display:
    """End a display at once, with all who are signed in on it. Raises ``NotFound``, ``Conflict``."""
    row = _standing(orm, display_id)
    row.revoked_us, row.revoked_by = at_us, who.name
    row.code_sha256 = row.code_until_us = row.token_sha256 = row.next_sha256 = None
    ended = end_logins_on(orm, row.id, at_us)
    facts = {"name": row.name, "logins": ended}
    _note(orm, who, "display.revoke", row, at_us, reason=reason, facts=facts)
    return row


def all_displays(orm: Orm) -> list[Display]:
    """Give all displays, those that stand first, by name."""
    rows = orm.scalars(select(Display).order_by(Display.name, Display.id)).all()
    return sorted(rows, key=lambda row: row.revoked_us is not None)


def match_code(orm: Orm, typed: str, address: str, at_us: int) -> Display | None:
    """Give the display that a code is for, if it is good now and from that address.

    Every code that waits is compared, each in the same time.
    """
    given = digest("".join(typed.upper().split()).replace("-", ""))
    waiting = orm.scalars(
        select(Display).where(Display.code_until_us > at_us, Display.revoked_us.is_(None))
    ).all()
    found = [row for row in waiting if hmac.compare_digest(row.code_sha256 or b"", given)]
    return next((row for row in found if _may_be_at(row, address)), None)


def pair(orm: Orm, row: Display, address: str, at_us: int) -> str:
    """Give a display its credential, told once. The code is used up, and whatever credential it had
    before ends, with all who are signed in on that.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    row.code_sha256 = row.code_until_us = row.next_sha256 = None
    row.token_sha256 = digest(token)
    row.paired_us = row.renewed_us = row.seen_us = at_us
    row.seen_from = address
    facts = {"name": row.name, "logins": end_logins_on(orm, row.id, at_us)}
    _note(orm, who_of(row, address), "display.pair", row, at_us, facts=facts)
    return token


def find_display(orm: Orm, token: str | None, address: str) -> Display | None:
    """Give the display that a credential is of, if it may be used from that address."""
    if not token:
        return None
    given = digest(token)
    row = orm.scalars(
        select(Display).where(
            or_(Display.token_sha256 == given, Display.next_sha256 == given),
            Display.revoked_us.is_(None),
        )
    ).first()
    return row if row is not None and _may_be_at(row, address) else None


def still_paired(orm: Orm, display_id: str, paired_us: int | None) -> Display | None:
    """Give a display that was found before, unless it was revoked or paired anew since."""
    row = orm.get(Display, display_id)
    stands = row is not None and row.revoked_us is None and row.paired_us == paired_us
    return row if stands else None


def touch(orm: Orm, row: Display, token: str, address: str, at_us: int) -> None:
    """Note that a display is there. The credential it was offered last takes the place of the old
    one once it is used: that one is worth nothing from then on."""
    given = digest(token)
    if given == row.next_sha256:
        row.token_sha256, row.next_sha256, row.renewed_us = given, None, at_us
    row.seen_us, row.seen_from = at_us, address


def wants_touch(row: Display, token: str, at_us: int) -> bool:
    """Say whether ``touch`` has something to write."""
    fresh = row.seen_us is not None and at_us < row.seen_us + MARK_SEEN_US
    return not fresh or digest(token) == row.next_sha256


def renew(orm: Orm, row: Display, address: str, at_us: int) -> str | None:
    """Give a display the credential that follows its own, or None while that one is fresh.

    The old one is good until the new one comes (``touch``), so that a lost answer locks nobody out.
    """
    if row.renewed_us is not None and at_us < row.renewed_us + RENEW_US:
        return None
    following = secrets.token_urlsafe(TOKEN_BYTES)
    row.next_sha256 = digest(following)
    _note(orm, who_of(row, address), "display.renew", row, at_us)
    return following


def who_of(row: Display, address: str | None) -> Who:
    """Give a display as audit entries name it."""
    return Who(f"display {row.name}"[:120], None, address)


def _fresh_code(row: Display, at_us: int) -> str:
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    row.code_sha256, row.code_until_us = digest(code), at_us + CODE_LIFE_US
    return "-".join(code[i : i + GROUP] for i in range(0, CODE_LENGTH, GROUP))


def _may_be_at(row: Display, address: str) -> bool:
    return row.network is None or is_within(address, [row.network])


def _standing(orm: Orm, display_id: str) -> Display:
    row = orm.get(Display, display_id)
    if row is None:
        raise NotFound("There is no such display.")
    if row.revoked_us is not None:
        raise Conflict("The display was revoked. Register it anew.")
    return row


def _check_name(orm: Orm, name: str) -> None:
    taken = select(Display.id).where(Display.name == name, Display.revoked_us.is_(None))
    if orm.scalar(taken.limit(1)) is not None:
        raise Conflict(f"Another display is called {name}.", fields={"name": "is taken"})


def _check(orm: Orm, new: NewDisplay) -> None:
    fields: dict[str, str] = {}
    if (new.room_id is None) == (new.place is None):
        fields["room_id"] = "give it, or place, and not both: where the display stands"
    elif new.room_id is not None:
        room = orm.get(Room, new.room_id)
        if room is None:
            fields["room_id"] = "is not a room"
        elif room.kind is RoomKind.REST:
            fields["room_id"] = "is a rest room: nothing is shown there"
    if new.scope.site_id is not None and orm.get(Site, new.scope.site_id) is None:
        fields["scope.site_id"] = "is not a site"
    known = set(orm.scalars(select(Room.id).where(Room.id.in_(new.room_ids))))
    if set(new.room_ids) - known:
        fields["scope.room_ids"] = "holds what is not a room"
    if fields:
        raise InvalidInput(f"Not accepted: {', '.join(fields)}.", fields=fields)


def _note(
    orm: Orm,
    who: Who,
    action: str,
    row: Display,
    at_us: int,
    *,
    reason: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> None:
    leave_audit_entry(
        orm, who, action, f"display:{row.id}", at_us, reason=reason, facts=facts or {}
    )

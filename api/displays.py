"""Registering displays (显示终端), and the networks that duty may be done from."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.schemas import Answer, Body, IdPath, IdText, Name, Reason, Short
from bidwitness.rights import Scope
from bidwitness.storage import displays as business
from bidwitness.storage import duty_networks as networks
from bidwitness.storage.index.models import Display, DutyNetwork, Room
from bidwitness.words import ProjectCategory, RoomKind

router = APIRouter(tags=["displays"])

MAX_ROOMS = 200


class ScopeBody(Body):
    """What a display shows: all parts that are given have to fit; nothing given: the whole site."""

    site_id: IdText | None = None
    room_kind: RoomKind | None = None
    category: ProjectCategory | None = None
    department: Short | None = None
    room_ids: list[IdText] = Field(default_factory=list, max_length=MAX_ROOMS)


class NewDisplay(Body):
    """``room_id`` or ``place`` says where it stands; ``network``: an address or network it is
    bound to."""

    name: Name
    room_id: IdText | None = None
    place: Short | None = None
    scope: ScopeBody = ScopeBody()
    network: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    reason: Reason


class DisplayChange(Body):
    name: Name


class Ending(Body):
    reason: Reason


class NewNetwork(Body):
    name: Name
    network: Annotated[str, Field(min_length=1, max_length=64)]


class ScopeAnswer(Answer):
    site_id: str | None
    room_kind: RoomKind | None
    category: ProjectCategory | None
    department: str | None
    room_ids: list[str]


class DisplayAnswer(Answer):
    """``code_until``: until when a code may be entered that nobody has entered yet."""

    id: str
    name: str
    room_id: str | None
    room: str | None
    place: str | None
    # Only there does a display show closed sittings.
    in_supervision: bool
    scope: ScopeAnswer
    network: str | None
    reason: str
    made_at: int
    made_by: str
    code_until: int | None
    paired_at: int | None
    seen_at: int | None
    seen_from: str | None
    revoked_at: int | None
    revoked_by: str | None


class CodeAnswer(Answer):
    """``code`` is told this once: it is entered at ``path`` on the display itself."""

    display: DisplayAnswer
    code: str
    expires_at: int
    path: str = "/display"


class DisplayPage(Answer):
    items: list[DisplayAnswer]
    next_cursor: str | None = None


class NetworkAnswer(Answer):
    id: str
    name: str
    network: str
    made_at: int
    made_by: str


class NetworkPage(Answer):
    items: list[NetworkAnswer]
    next_cursor: str | None = None


@router.get("/displays")
def displays(user: Me, parts: ThePartsOf) -> DisplayPage:
    """All displays by name, the revoked ones last."""
    with parts.database.read() as orm:
        rows = business.all_displays(orm)
        return DisplayPage(items=_answers(orm, rows, parts.clock.utc_us()))


@router.post("/displays", status_code=201)
def register(body: NewDisplay, user: Me, parts: ThePartsOf) -> CodeAnswer:
    """Register a display; the answer has its pairing code, told this once."""
    scope = body.scope
    new = business.NewDisplay(
        name=body.name,
        room_id=body.room_id,
        place=body.place,
        scope=Scope(scope.site_id, scope.room_kind, scope.category, scope.department),
        room_ids=tuple(dict.fromkeys(scope.room_ids)),
        network=body.network,
        reason=body.reason,
    )
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        return _with_code(orm, *business.register(orm, user.who, now, new), now)


@router.post("/displays/{display_id}/code")
def new_code(display_id: IdPath, user: Me, parts: ThePartsOf) -> CodeAnswer:
    """Another pairing code: the one before was too late, or the machine is another one."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        return _with_code(orm, *business.new_code(orm, user.who, now, display_id), now)


@router.patch("/displays/{display_id}")
def rename(display_id: IdPath, body: DisplayChange, user: Me, parts: ThePartsOf) -> DisplayAnswer:
    """Call a display something else."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.rename(orm, user.who, now, display_id, body.name)
        return _answers(orm, [row], now)[0]


@router.post("/displays/{display_id}/revoke")
def revoke(display_id: IdPath, body: Ending, user: Me, parts: ThePartsOf) -> DisplayAnswer:
    """End a display at once; what it shows ends within seconds."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.revoke(orm, user.who, now, display_id, body.reason)
        return _answers(orm, [row], now)[0]


@router.get("/duty-networks")
def duty_networks(user: Me, parts: ThePartsOf) -> NetworkPage:
    """The networks that duty may be done from, if the setting ``duty_at_posts`` wants one."""
    with parts.database.read() as orm:
        return NetworkPage(items=[_network(row) for row in networks.duty_networks(orm)])


@router.post("/duty-networks", status_code=201)
def list_network(body: NewNetwork, user: Me, parts: ThePartsOf) -> NetworkAnswer:
    """Let duty be done from an address or a network."""
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        return _network(networks.list_network(orm, user.who, now, body.name, body.network))


@router.post("/duty-networks/{network_id}/end", status_code=204)
def end_network(network_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """Take a network off the list; what is open from there ends within seconds."""
    with parts.database.write() as orm:
        networks.end_network(orm, user.who, parts.clock.utc_us(), network_id)


def _network(row: DutyNetwork) -> NetworkAnswer:
    return NetworkAnswer(
        id=row.id, name=row.name, network=row.network, made_at=row.made_us, made_by=row.made_by
    )


def _with_code(orm: Orm, row: Display, code: str, now_us: int) -> CodeAnswer:
    assert row.code_until_us is not None
    answer = _answers(orm, [row], now_us)[0]
    return CodeAnswer(display=answer, code=code, expires_at=row.code_until_us)


def _answers(orm: Orm, rows: Sequence[Display], now_us: int) -> list[DisplayAnswer]:
    wanted = {row.room_id for row in rows if row.room_id is not None}
    rooms = {room.id: room for room in orm.scalars(select(Room).where(Room.id.in_(wanted)))}
    return [_answer(row, rooms.get(row.room_id or ""), now_us) for row in rows]


def _answer(row: Display, room: Room | None, now_us: int) -> DisplayAnswer:
    waits = row.code_until_us is not None and row.code_until_us > now_us
    return DisplayAnswer(
        id=row.id,
        name=row.name,
        room_id=row.room_id,
        room=room.name if room else None,
        place=row.place,
        in_supervision=room is not None and room.kind is RoomKind.SUPERVISION,
        scope=ScopeAnswer(
            site_id=row.site_id,
            room_kind=row.room_kind,
            category=row.category,
            department=row.department,
            room_ids=row.room_ids,
        ),
        network=row.network,
        reason=row.reason,
        made_at=row.made_us,
        made_by=row.made_by,
        code_until=row.code_until_us if waits else None,
        paired_at=row.paired_us,
        seen_at=row.seen_us,
        seen_from=row.seen_from,
        revoked_at=row.revoked_us,
        revoked_by=row.revoked_by,
    )

"""Cameras: added, changed, tried out. Passwords go in and never come out."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field, SecretStr, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.addresses import (
    CameraAddress,
    parse_camera_address,
    parse_device_address,
)
from bidwitness.api.deps import Me, Parts, ThePartsOf
from bidwitness.api.describing import StreamAnswer, describe_streams
from bidwitness.api.dialling import check_places, refuse_if_classified
from bidwitness.api.schemas import (
    MAX_LIMIT,
    Answer,
    Body,
    CameraPassword,
    CursorQuery,
    IdPath,
    IdText,
    LimitQuery,
    Name,
    Printable,
    cursor_of,
    place_of,
)
from bidwitness.errors import InvalidInput
from bidwitness.log import redact
from bidwitness.onvif import probe as probing
from bidwitness.onvif.devices import choose_profiles
from bidwitness.storage import cameras as business
from bidwitness.storage.index.models import Camera, Stream
from bidwitness.words import RecordMode, Role, StreamRole

router = APIRouter(prefix="/cameras", tags=["cameras"])

GivenUser = Annotated[str, StringConstraints(max_length=120), Printable]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Hosts = Annotated[tuple[str, ...], Field(max_length=8)]


class Allowances(Body):
    """What is refused unless somebody takes the risk: a login sent readable, a certificate that
    nobody vouches for."""

    basic_in_clear: bool | None = None
    unproven_certificate: bool | None = None


class Device(Body):
    """An ONVIF device: just its address; the rest it is asked for."""

    address: Url
    username: GivenUser = ""
    password: CameraPassword = SecretStr("")
    # Hosts other than the device's own that its streams may be on.
    confirm_hosts: Hosts = ()


class Modes(Body):
    """``session``: what no session claims is kept for its pre-roll only, for a reason."""

    mode: RecordMode | None = None
    mode_reason: Annotated[str, StringConstraints(max_length=500), Printable] | None = None


class NewCamera(Allowances, Modes):
    name: Name
    room_id: IdText
    seat_id: IdText | None = None
    source_url: Url | None = None
    sub_url: Url | None = None
    username: GivenUser | None = None
    password: CameraPassword | None = None
    onvif: Device | None = None


class CameraChange(Allowances, Modes):
    name: Name | None = None
    room_id: IdText | None = None
    seat_id: IdText | None = None
    enabled: bool | None = None
    source_url: Url | None = None
    # Empty: the camera has no sub-stream any more.
    sub_url: Annotated[str, StringConstraints(max_length=2000)] | None = None
    username: GivenUser | None = None
    password: CameraPassword | None = None


class ProbeBody(Allowances):
    address: Url
    username: GivenUser | None = None
    password: CameraPassword | None = None
    confirm_hosts: Hosts = ()


class CameraAnswer(Answer):
    id: str
    name: str
    room_id: str
    room_name: str
    # Without user name and password.
    address: str
    sub_address: str | None
    onvif_address: str | None
    username: str | None
    has_password: bool
    basic_in_clear: bool
    unproven_certificate: bool
    mode: RecordMode
    mode_reason: str | None
    enabled: bool
    streams: list[StreamAnswer]


class CameraPage(Answer):
    items: list[CameraAnswer]
    next_cursor: str | None


class ProbedStreamAnswer(Answer):
    url: str
    role: StreamRole
    # None: it has sound alone.
    codec: str | None
    width: int
    height: int
    fps: float | None
    gop_seconds: float | None
    sound: str | None


class DeviceAnswer(Answer):
    manufacturer: str
    model: str
    firmware: str
    serial: str


class ProbeAnswer(Answer):
    streams: list[ProbedStreamAnswer]
    clock_offset_us: int | None
    browser_playable: bool
    messages: list[str]
    device: DeviceAnswer | None


class FoundDeviceAnswer(Answer):
    address: str
    name: str
    hardware: str


class FoundDevices(Answer):
    items: list[FoundDeviceAnswer]


@router.get("")
def cameras(
    user: Me, parts: ThePartsOf, cursor: CursorQuery = None, limit: LimitQuery = MAX_LIMIT
) -> CameraPage:
    """Cameras by name. Addresses are for who configures them."""
    place = place_of(cursor, (str, str))
    query = (
        select(Camera)
        .where(Camera.removed_us.is_(None))
        .options(
            selectinload(Camera.streams).selectinload(Stream.tracks), selectinload(Camera.room)
        )
        .order_by(Camera.name, Camera.id)
        .limit(limit + 1)
    )
    if place is not None:
        query = query.where(
            (Camera.name > place[0]) | ((Camera.name == place[0]) & (Camera.id > place[1]))
        )
    configures = Role.SYSTEM_ADMIN in user.roles
    with parts.database.read() as orm:
        rows = list(orm.scalars(query))
        items = _answers(orm, rows[:limit], parts.clock.utc_us(), configures=configures)
    more = cursor_of(items[-1].name, items[-1].id) if len(rows) > limit else None
    return CameraPage(items=items, next_cursor=more)


@router.get("/{camera_id}")
def camera(camera_id: IdPath, user: Me, parts: ThePartsOf) -> CameraAnswer:
    """One camera."""
    with parts.database.read() as orm:
        row = business.get_camera(orm, camera_id)
        return _answers(orm, [row], parts.clock.utc_us(), configures=True)[0]


@router.post("", status_code=201)
def create(body: NewCamera, user: Me, parts: ThePartsOf) -> CameraAnswer:
    """Add a camera by its stream addresses, or an ONVIF device by its own."""
    wish = _wish_of_device(body, parts) if body.onvif else _wish_of_urls(body)
    check_places(wish, parts)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.create_camera(orm, user.who, now, parts.secrets, wish)
        return _answers(orm, [row], now, configures=True)[0]


@router.patch("/{camera_id}")
def change(camera_id: IdPath, body: CameraChange, user: Me, parts: ThePartsOf) -> CameraAnswer:
    """Change a camera. A new host or port forgets the stored password."""
    wish = business.CameraWish(
        name=body.name,
        room_id=body.room_id,
        seat_id=body.seat_id,
        enabled=body.enabled,
        streams=business.stream_addresses(body.source_url, body.sub_url),
        without_sub=body.sub_url == "",
        username=body.username,
        password=_clear(body.password),
        basic_in_clear=body.basic_in_clear,
        unproven_certificate=body.unproven_certificate,
        mode=body.mode,
        mode_reason=body.mode_reason,
    )
    check_places(wish, parts)
    now = parts.clock.utc_us()
    with parts.database.write() as orm:
        row = business.change_camera(orm, user.who, now, parts.secrets, camera_id, wish)
        return _answers(orm, [row], now, configures=True)[0]


@router.delete("/{camera_id}", status_code=204)
def remove(camera_id: IdPath, user: Me, parts: ThePartsOf) -> None:
    """Take a camera out of service. What it recorded stays."""
    with parts.database.write() as orm:
        business.remove_camera(orm, user.who, parts.clock.utc_us(), camera_id)


@router.post("/probe")
def probe(body: ProbeBody, user: Me, parts: ThePartsOf) -> ProbeAnswer:
    """Try an RTSP or ONVIF address: what it sends, and what is to be known before recording it."""
    loopback = parts.settings.allow_loopback_cameras
    password = _clear(body.password)
    if body.address.lower().startswith(("http:", "https:")):
        device = _allowing(
            _login(parse_device_address(body.address), body.username, password), body
        )
        refuse_if_classified(parts, device, body.confirm_hosts)
        with parts.tries:
            probed, facts = probing.probe_device(
                device, confirmed_hosts=body.confirm_hosts, allow_loopback=loopback
            )
        said = DeviceAnswer(
            manufacturer=facts.manufacturer,
            model=facts.model,
            firmware=facts.firmware,
            serial=facts.serial,
        )
        return _probed(probed, said)
    address = _allowing(_login(parse_camera_address(body.address), body.username, password), body)
    refuse_if_classified(parts, address)
    with parts.tries:
        return _probed(probing.probe_camera(address, allow_loopback=loopback), None)


@router.post("/discover")
def discover(user: Me, parts: ThePartsOf) -> FoundDevices:
    """Search the networks of this machine for ONVIF devices; takes some seconds."""
    with parts.tries:
        found = probing.search_devices()
    return FoundDevices(
        items=[
            FoundDeviceAnswer(address=d.address, name=d.name, hardware=d.hardware) for d in found
        ]
    )


def _wish_of_urls(body: NewCamera) -> business.CameraWish:
    return business.CameraWish(
        name=body.name,
        room_id=body.room_id,
        seat_id=body.seat_id,
        streams=business.stream_addresses(body.source_url, body.sub_url),
        username=body.username,
        password=_clear(body.password),
        basic_in_clear=body.basic_in_clear,
        unproven_certificate=body.unproven_certificate,
        mode=body.mode,
        mode_reason=body.mode_reason,
    )


def _wish_of_device(body: NewCamera, parts: Parts) -> business.CameraWish:
    """Ask the device for what the camera is to be."""
    device = body.onvif
    if device is None or body.source_url or body.sub_url:
        raise InvalidInput(
            "Give either the stream's address or the ONVIF device, not both.",
            fields={"onvif": "stands beside source_url"},
        )
    loopback = parts.settings.allow_loopback_cameras
    address = _login(parse_device_address(device.address), device.username, _clear(device.password))
    refuse_if_classified(parts, address, device.confirm_hosts, body.room_id)
    with parts.tries:
        facts = probing.ask_device(address, allow_loopback=loopback)
    streams = probing.device_streams(
        facts, address, confirmed_hosts=device.confirm_hosts, allow_loopback=loopback
    )
    chosen = choose_profiles(facts.profiles)
    return business.CameraWish(
        name=body.name,
        room_id=body.room_id,
        seat_id=body.seat_id,
        streams=streams,
        username=address.username or None,
        password=address.password or None,
        basic_in_clear=body.basic_in_clear,
        unproven_certificate=body.unproven_certificate,
        mode=body.mode,
        mode_reason=body.mode_reason,
        onvif_address=str(address),
        profiles={
            role: business.FoundProfile(
                p.token[:200], p.name or p.token, (p.codec or "")[:32], p.width, p.height, p.fps
            )
            for role, p in chosen.items()
        },
    )


def _login(address: CameraAddress, username: str | None, password: str | None) -> CameraAddress:
    """Put the fields' login in the place of the address's own, if any is given."""
    if username is None and password is None:
        return address
    return address.with_login(username or "", password or "")


def _allowing(address: CameraAddress, body: Allowances) -> CameraAddress:
    return address.allowing(
        basic_in_clear=bool(body.basic_in_clear),
        unproven_certificate=bool(body.unproven_certificate),
    )


def _clear(password: SecretStr | None) -> str | None:
    return password.get_secret_value() if password is not None else None


def _probed(found: probing.Probed, device: DeviceAnswer | None) -> ProbeAnswer:
    return ProbeAnswer(
        streams=[ProbedStreamAnswer(**asdict(stream)) for stream in found.streams],
        clock_offset_us=found.clock_offset_us,
        browser_playable=found.browser_playable,
        messages=list(found.messages),
        device=device,
    )


def _answers(orm: Orm, rows: list[Camera], now: int, *, configures: bool) -> list[CameraAnswer]:
    streams = describe_streams(orm, rows, now)
    answers = []
    for row in rows:
        addresses = {s.role: redact(s.address) for s in row.streams if s.enabled}
        answers.append(
            CameraAnswer(
                id=row.id,
                name=row.name,
                room_id=row.room_id,
                room_name=row.room.name,
                address=addresses.get(StreamRole.MAIN, "") if configures else "",
                sub_address=addresses.get(StreamRole.SUB) if configures else None,
                onvif_address=row.onvif_address if configures else None,
                username=row.username if configures else None,
                has_password=row.secret is not None,
                basic_in_clear=row.basic_in_clear,
                unproven_certificate=row.unproven_certificate,
                mode=row.mode,
                mode_reason=row.mode_reason if configures else None,
                enabled=row.enabled,
                streams=streams[row.id],
            )
        )
    return answers

"""Cameras: added, changed, removed; their passwords are sealed and never given back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm
from sqlalchemy.orm import selectinload

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.errors import ConfigError, Conflict, DamageFound, InvalidInput, NotFound
from bidwitness.ids import new_id
from bidwitness.secrets import SecretBox
from bidwitness.storage import places
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import (
    Camera,
    Claim,
    Profile,
    Room,
    Run,
    Seat,
    Stream,
)
from bidwitness.storage.modes import set_mode
from bidwitness.storage.stopping import check_stops, pulls_of
from bidwitness.storage.wanted import about_camera
from bidwitness.words import RecordMode, RoomKind, StreamRole

ALLOWANCES = ("basic_in_clear", "unproven_certificate")
_PASSWORD_IN_PATH = re.compile(r"(?i)(?<![a-z])(?:password|passwd|pwd)=[^&/?;_]")


@dataclass(frozen=True, slots=True)
class FoundProfile:
    """A media profile as an ONVIF device describes it."""

    token: str
    name: str
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: int | None = None


@dataclass(frozen=True, slots=True)
class CameraWish:
    """What a camera is to be. In a change, None leaves a thing as it is.

    ``password`` empty means none. ``profiles``: which device profile a stream's address is of.
    """

    name: str | None = None
    room_id: str | None = None
    seat_id: str | None = None
    enabled: bool | None = None
    streams: Mapping[StreamRole, CameraAddress] = field(default_factory=dict)
    without_sub: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    basic_in_clear: bool | None = None
    unproven_certificate: bool | None = None
    mode: RecordMode | None = None
    mode_reason: str | None = None
    onvif_address: str | None = None
    profiles: Mapping[StreamRole, FoundProfile] = field(default_factory=dict)


def stream_addresses(
    source_url: str | None, sub_url: str | None
) -> dict[StreamRole, CameraAddress]:
    """Read the addresses of a request. Raises ``InvalidInput`` naming its field. Pure."""
    found: dict[StreamRole, CameraAddress] = {}
    given = (
        (StreamRole.MAIN, source_url, "source_url"),
        (StreamRole.SUB, sub_url or None, "sub_url"),
    )
    for role, text, named in given:
        if text is None:
            continue
        try:
            address = parse_camera_address(text)
        except InvalidInput as error:
            raise InvalidInput(error.detail, fields={named: error.detail}) from None
        if _PASSWORD_IN_PATH.search(unquote(address.path)):
            raise InvalidInput(
                "The address carries a password in its path, where it cannot be kept secret. "
                "Give user name and password in their own fields.",
                fields={named: "carries a password in its path"},
            )
        found[role] = address
    return found


def create_camera(orm: Orm, who: Who, at_us: int, secrets: SecretBox, wish: CameraWish) -> Camera:
    """Add a camera with a stream per address of ``wish``.

    Raises ``InvalidInput`` for a room that is none or a rest room, or for streams on two hosts;
    ``Conflict`` if the room has a camera of that name.
    """
    room = _room_for_camera(orm, wish.room_id or "")
    name = wish.name or ""
    _check_name(orm, room.id, name)
    if StreamRole.MAIN not in wish.streams:
        raise InvalidInput("Give the camera's address.", fields={"source_url": "is missing"})
    username, password = _login_of(wish)
    _check_one_host(wish.streams, password)
    camera = Camera(
        id=new_id(),
        room_id=room.id,
        name=name,
        onvif_address=wish.onvif_address,
        username=username or None,
        basic_in_clear=bool(wish.basic_in_clear),
        unproven_certificate=bool(wish.unproven_certificate),
        enabled=wish.enabled is not False,
        created_us=at_us,
    )
    if password:
        camera.secret = secrets.seal(password, about_camera(camera.id))
    set_mode(camera, wish.mode or RecordMode.CONTINUOUS, wish.mode_reason)
    orm.add(camera)
    orm.flush()
    seat = _seat_in(orm, wish.seat_id, room.id)
    for role, address in wish.streams.items():
        orm.add(
            Stream(
                camera_id=camera.id,
                seat_id=seat.id if seat else None,
                profile_id=_keep_profile(orm, camera.id, wish.profiles.get(role)),
                role=role,
                address=str(address),
            )
        )
    orm.flush()
    facts = {
        "name": name,
        "room": room.id,
        "addresses": [str(a) for a in wish.streams.values()],
        "allowed": [what for what in ALLOWANCES if getattr(camera, what)],
        "mode": camera.mode.value,
    }
    subject, why = f"camera:{camera.id}", camera.mode_reason
    leave_audit_entry(orm, who, "camera.create", subject, at_us, reason=why, facts=facts)
    return get_camera(orm, camera.id)


def change_camera(
    orm: Orm,
    who: Who,
    at_us: int,
    secrets: SecretBox,
    camera_id: str,
    wish: CameraWish,
    *,
    agreed: str | None = None,
) -> Camera:
    """Change what ``wish`` names. A new host or port forgets the stored password, and what was
    allowed to do with the old one. ``agreed``: the approval by which a pull may be stopped.

    Raises ``NotFound``; ``InvalidInput`` as ``create_camera`` does; ``Conflict`` for moving a camera
    that has footage; ``NeedsApproval`` for what stops a pull while a session is due.
    """
    camera = get_camera(orm, camera_id)
    before = pulls_of(orm, camera_id, at_us)
    changed: list[str] = []
    if wish.name is not None and wish.name != camera.name:
        _check_name(orm, camera.room_id, wish.name)
        camera.name = wish.name
        changed.append("name")
    if wish.room_id is not None and wish.room_id != camera.room_id:
        _move(orm, camera, wish.room_id)
        changed.append("room")
    if wish.enabled is not None and wish.enabled != camera.enabled:
        camera.enabled = wish.enabled
        changed.append("enabled")
    changed += _change_streams(orm, camera, wish)
    changed += _change_login(secrets, camera, wish, moved="address" in changed)
    changed += _change_allowances(camera, wish, moved="address" in changed)
    if set_mode(camera, wish.mode, wish.mode_reason):
        changed.append("mode")
    orm.flush()
    stopped = check_stops(orm, before, pulls_of(orm, camera_id, at_us), at_us, agreed)
    if changed:
        why = camera.mode_reason if "mode" in changed else None
        facts = {
            "changed": sorted(set(changed)),
            "allowed": [what for what in ALLOWANCES if getattr(camera, what)],
            "mode": camera.mode.value,
            **_said_of(agreed, stopped),
        }
        subject = f"camera:{camera.id}"
        leave_audit_entry(orm, who, "camera.change", subject, at_us, reason=why, facts=facts)
    orm.expire(camera)
    return get_camera(orm, camera.id)


def remove_camera(
    orm: Orm, who: Who, at_us: int, camera_id: str, *, agreed: str | None = None
) -> None:
    """Take a camera out of service for good; what it recorded stays. Its password is forgotten.

    Raises ``NotFound``; ``NeedsApproval`` while a session is due in its room, unless it was
    ``agreed`` to (by which approval).
    """
    camera = get_camera(orm, camera_id)
    stopped = check_stops(orm, pulls_of(orm, camera_id, at_us), (), at_us, agreed)
    facts: dict[str, object] = {"name": camera.name, **_said_of(agreed, stopped)}
    camera.enabled = False
    camera.removed_us = at_us
    camera.secret = None
    # Its name becomes free for the camera that takes its place.
    camera.name = f"{camera.name[:110]} #{camera.id[:6]}"
    leave_audit_entry(orm, who, "camera.remove", f"camera:{camera.id}", at_us, facts=facts)


def get_camera(orm: Orm, camera_id: str) -> Camera:
    """Give a camera that was not removed, with its room and streams. Raises ``NotFound``."""
    camera = orm.scalars(
        select(Camera)
        .where(Camera.id == camera_id, Camera.removed_us.is_(None))
        .options(
            selectinload(Camera.streams).selectinload(Stream.tracks), selectinload(Camera.room)
        )
    ).first()
    if camera is None:
        raise NotFound("There is no such camera.")
    return camera


def password_of(camera: Camera, secrets: SecretBox) -> str | None:
    """Give the camera's password in clear, to dial it; never to show it."""
    if camera.secret is None:
        return None
    return secrets.open(camera.secret, about_camera(camera.id))


def _room_for_camera(orm: Orm, room_id: str) -> Room:
    room = places.find_room(orm, room_id)
    if room.kind is RoomKind.REST:
        raise InvalidInput("A rest room takes no camera.", fields={"room_id": "is a rest room"})
    return room


def _check_name(orm: Orm, room_id: str, name: str) -> None:
    if not name:
        raise InvalidInput("Give the camera a name.", fields={"name": "is missing"})
    taken = select(Camera.id).where(Camera.room_id == room_id, Camera.name == name)
    if orm.scalar(taken) is not None:
        raise Conflict(f"The room has a camera {name} already.", fields={"name": "is taken"})


def _seat_in(orm: Orm, seat_id: str | None, room_id: str) -> Seat | None:
    if not seat_id:
        return None
    seat = orm.get(Seat, seat_id)
    if seat is None or seat.room_id != room_id:
        raise InvalidInput("The room has no such seat.", fields={"seat_id": "is not of the room"})
    return seat


def _login_of(wish: CameraWish) -> tuple[str | None, str | None]:
    """Give user name and password: the fields', else those that stood in an address."""
    if wish.username is not None or wish.password is not None:
        return wish.username, wish.password
    for address in wish.streams.values():
        if address.username or address.password:
            return address.username, address.password
    return None, None


def _check_one_host(streams: Mapping[StreamRole, CameraAddress], password: str | None) -> None:
    """One password goes to one host."""
    if password and len({address.host for address in streams.values()}) > 1:
        raise InvalidInput(
            "Both addresses must be on the same host, for the password is that host's.",
            fields={"sub_url": "is on another host"},
        )


def _said_of(agreed: str | None, stopped: list[str]) -> dict[str, object]:
    """Give what the trail says of pulls that were stopped by several people."""
    return {} if agreed is None else {"approval": agreed, "sessions": stopped}


def _move(orm: Orm, camera: Camera, room_id: str) -> None:
    room = _room_for_camera(orm, room_id)
    _check_name(orm, room.id, camera.name)
    ids = [stream.id for stream in camera.streams]
    runs = select(Run.id).where(Run.stream_id.in_(ids)).limit(1)
    claims = select(Claim.id).where(Claim.stream_id.in_(ids)).limit(1)
    if orm.scalar(runs) is not None or orm.scalar(claims) is not None:
        # Who may see footage hangs on the room it was recorded in.
        raise Conflict(
            "This camera has recorded in its room. Remove it here and add it in the other room."
        )
    camera.room_id = room.id
    for stream in camera.streams:
        stream.seat_id = None


def _change_streams(orm: Orm, camera: Camera, wish: CameraWish) -> list[str]:
    """Give ``address`` if a host or port changed, ``path`` if only what follows them did."""
    changed: list[str] = []
    present = {stream.role: stream for stream in camera.streams}
    known = {_place(parse_camera_address(stream.address)) for stream in camera.streams}
    for role, address in wish.streams.items():
        stream = present.get(role)
        if stream is not None and stream.address == str(address) and stream.enabled:
            continue
        if stream is None:
            orm.add(Stream(camera_id=camera.id, role=role, address=str(address)))
        else:
            stream.address, stream.enabled = str(address), True
        changed.append("path" if _place(address) in known else "address")
    sub = present.get(StreamRole.SUB)
    if wish.without_sub and sub is not None and sub.enabled:
        sub.enabled = False
        changed.append("path")
    if wish.seat_id is not None:
        seat = _seat_in(orm, wish.seat_id, camera.room_id)
        for stream in camera.streams:
            stream.seat_id = seat.id if seat else None
        changed.append("seat")
    if wish.onvif_address is not None and wish.onvif_address != camera.onvif_address:
        camera.onvif_address = wish.onvif_address
        changed.append("onvif_address")
    return changed


def _place(address: CameraAddress) -> tuple[str, int]:
    return address.host, address.port


def _change_login(
    secrets: SecretBox, camera: Camera, wish: CameraWish, *, moved: bool
) -> list[str]:
    username, password = _login_of(wish)
    before = (camera.username, camera.secret)
    other_user = username is not None and username != (camera.username or "")
    if username is not None:
        camera.username = username or None
    if moved or other_user:
        # A stored password is good for one place and one user only.
        if moved and username is None:
            camera.username = None
        if password is None:
            camera.secret = None
    if password is not None:
        addresses = {stream.role: parse_camera_address(stream.address) for stream in camera.streams}
        _check_one_host({**addresses, **wish.streams}, password)
        if not password:
            camera.secret = None
        elif password != _known(camera, secrets):
            camera.secret = secrets.seal(password, about_camera(camera.id))
    return ["login"] if (camera.username, camera.secret) != before else []


def _change_allowances(camera: Camera, wish: CameraWish, *, moved: bool) -> list[str]:
    before = [getattr(camera, what) for what in ALLOWANCES]
    wishes = (wish.basic_in_clear, wish.unproven_certificate)
    for what, wished in zip(ALLOWANCES, wishes, strict=True):
        if wished is not None or moved:
            setattr(camera, what, bool(wished))
    return ["allowed"] if [getattr(camera, what) for what in ALLOWANCES] != before else []


def _known(camera: Camera, secrets: SecretBox) -> str | None:
    """The stored password, if it can be read: sealing the same one anew would only make the
    recorder connect again."""
    try:
        return password_of(camera, secrets)
    except (DamageFound, ConfigError):
        return None


def _keep_profile(orm: Orm, camera_id: str, found: FoundProfile | None) -> str | None:
    if found is None:
        return None
    profile = Profile(
        camera_id=camera_id,
        token=found.token,
        name=found.name,
        codec=found.codec,
        width=found.width,
        height=found.height,
        fps=found.fps,
    )
    orm.add(profile)
    orm.flush()
    return profile.id

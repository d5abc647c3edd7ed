"""The act that stops a pull in a room where a session is due: asked for by who looks after the
cameras, agreed to by who looks after the session."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, StringConstraints
from sqlalchemy.orm import Session as Orm

from bidwitness.addresses import is_literal_host, resolve_camera
from bidwitness.errors import InvalidInput
from bidwitness.secrets import SecretBox
from bidwitness.storage.approvals import Act, Content, Kind, Rule
from bidwitness.storage.cameras import (
    CameraWish,
    change_camera,
    get_camera,
    remove_camera,
    stream_addresses,
)
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.grant_forms import Form, Id, Plain, read_form
from bidwitness.storage.places import find_room
from bidwitness.storage.stopping import STOP
from bidwitness.storage.wanted import about_camera
from bidwitness.words import Role

Url = Annotated[str, StringConstraints(min_length=1, max_length=500), Plain]
Login = Annotated[str, StringConstraints(max_length=120), Plain]


class StopForm(Form):
    """A camera's removal, or changes of it as ``PATCH cameras`` takes them.

    ``password`` is never kept: ``secret`` is it, sealed for this camera.
    """

    camera_id: Id
    remove: bool = False
    enabled: bool | None = None
    room_id: Id | None = None
    source_url: Url | None = None
    sub_url: Annotated[str, StringConstraints(max_length=500), Plain] | None = None
    username: Login | None = None
    password: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, repr=False
    )
    secret: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{2,1000}$")] | None = None
    basic_in_clear: bool | None = None
    unproven_certificate: bool | None = None

    def wish(self, secrets: SecretBox) -> CameraWish:
        """Give the change as cameras take it, with the password opened."""
        sealed = self.secret
        about = about_camera(self.camera_id)
        return CameraWish(
            room_id=self.room_id,
            enabled=self.enabled,
            streams=stream_addresses(self.source_url, self.sub_url),
            without_sub=self.sub_url == "",
            username=self.username,
            password=None if sealed is None else secrets.open(bytes.fromhex(sealed), about),
            basic_in_clear=self.basic_in_clear,
            unproven_certificate=self.unproven_certificate,
        )


def stop_kind(secrets: SecretBox, *, allow_loopback: bool) -> Kind:
    """Give the kind of act. ``secrets`` seals a password that comes with it."""

    def read(content: Mapping[str, Any]) -> tuple[Content, str]:
        return _read(secrets, content)

    def check(orm: Orm, content: Content) -> None:
        _check(orm, content, allow_loopback)

    def execute(orm: Orm, act: Act) -> None:
        form = read_form(StopForm, act.content)
        if form.remove:
            remove_camera(orm, act.who, act.at_us, form.camera_id, agreed=act.row.id)
        else:
            wish = form.wish(secrets)
            approval = act.row.id
            change_camera(orm, act.who, act.at_us, secrets, form.camera_id, wish, agreed=approval)

    rule = Rule(
        requesters=frozenset({Role.SYSTEM_ADMIN}),
        approvers=frozenset({Role.VENUE, Role.DIRECTOR}),
    )
    return Kind(name=STOP, rule=rule, read=read, check=check, execute=execute)


def _read(secrets: SecretBox, content: Mapping[str, Any]) -> tuple[Content, str]:
    form = read_form(StopForm, content)
    if form.secret is not None:
        raise InvalidInput(
            "Give the password itself: it is sealed here.",
            fields={"content.secret": "is not asked"},
        )
    for name, address in zip(
        ("source_url", "sub_url"), _addresses(form.source_url, form.sub_url), strict=True
    ):
        if address is not None and (address.username or address.password):
            raise InvalidInput(
                "Give user name and password in their own fields: this content is shown to others.",
                fields={f"content.{name}": "carries a login"},
            )
    said: dict[str, JsonValue] = form.model_dump(
        mode="json", exclude_none=True, exclude_defaults=True, exclude={"password"}
    )
    if form.password is not None:
        said["secret"] = secrets.seal(form.password, about_camera(form.camera_id)).hex()
    changes = said.keys() - {"camera_id", "remove"}
    if form.remove == bool(changes):
        raise InvalidInput(
            "Say what is to happen to the camera: remove it, or change something of it.",
            fields={"content.remove": "stands alone"},
        )
    return said, f"camera:{form.camera_id}"


def _addresses(source_url: str | None, sub_url: str | None) -> tuple[Any, Any]:
    found = stream_addresses(source_url, sub_url)
    by_name = {role.value: address for role, address in found.items()}
    return by_name.get("main"), by_name.get("sub")


def _check(orm: Orm, content: Content, allow_loopback: bool) -> None:
    form = read_form(StopForm, content)
    get_camera(orm, form.camera_id)
    if form.room_id is not None:
        find_room(orm, form.room_id, named="content.room_id")
    for address in stream_addresses(form.source_url, form.sub_url).values():
        # A name is asked for by the recorder, which dials no place that is refused here.
        if is_literal_host(address.host):
            resolve_camera(address, allow_loopback=allow_loopback)

"""Acts by which footage may go sooner: release of a hold, a shorter period. Nobody does them alone."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput, NotFound
from bidwitness.storage.approvals import Act, Content, Kind, Person, Rule, everybody_of
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.grant_forms import Form, Id, SaidLong, Username, read_form
from bidwitness.storage.holds import release_hold
from bidwitness.storage.index.models import Hold, RetentionPolicy
from bidwitness.storage.logins import DAY_US
from bidwitness.storage.policies import NewPolicy, remove_policy, set_policy
from bidwitness.storage.secrecy import KNOW_CONFIDENTIAL, named_in
from bidwitness.words import ProjectCategory, Role, RoomKind, SessionKind

RELEASE = "hold.release"
SHORTEN = "policy.shorten"


class ReleaseForm(Form):
    """``confidential`` and ``officers`` are those of the hold: they say who knows of the request."""

    hold_id: Id
    confidential: bool = False
    officers: Annotated[tuple[Username, ...], Field(max_length=11)] = ()


class ShortenForm(Form):
    """Either a policy as it shall be, or the one that shall go."""

    remove: Id | None = None
    room_kind: RoomKind | None = None
    session_kind: SessionKind | None = None
    category: ProjectCategory | None = None
    loop_days: Annotated[int | None, Field(ge=1, le=3660, strict=True)] = None
    keep_years: Annotated[int | None, Field(ge=1, le=100, strict=True)] = None
    basis: SaidLong | None = None


def release_kind() -> Kind:
    """Give the kind of act that ends a hold: who may place one asks, the director agrees."""
    return Kind(
        name=RELEASE,
        rule=Rule(
            requesters=frozenset({Role.ARCHIVIST, Role.SUPERVISOR}),
            approvers=frozenset({Role.DIRECTOR}),
            lives_us=7 * DAY_US,
        ),
        read=_read_release,
        check=_check_release,
        execute=_release,
        asks=_asks_release,
        known_to=_known_release,
    )


def shorten_kind() -> Kind:
    """Give the kind of act that shortens a period, with a day to think again."""
    return Kind(
        name=SHORTEN,
        rule=Rule(
            requesters=frozenset({Role.SECURITY_ADMIN}),
            approvers=frozenset({Role.DIRECTOR}),
            cool_off_us=DAY_US,
            lives_us=7 * DAY_US,
        ),
        read=_read_shorten,
        check=_check_shorten,
        execute=_shorten,
    )


def _read_release(content: Mapping[str, Any]) -> tuple[Content, str]:
    form = read_form(ReleaseForm, content)
    said: dict[str, JsonValue] = {"hold_id": form.hold_id}
    if form.confidential:
        said |= {"confidential": True, "officers": [*sorted(form.officers)]}
    return said, f"hold:{form.hold_id}"


def _asks_release(orm: Orm, person: Person, content: Content, now_us: int) -> None:
    """Raise ``NotFound`` for a confidential hold that is not hers to know, or not called so."""
    hold = orm.get(Hold, content["hold_id"])
    if hold is None or not hold.confidential:
        return
    known = named_in(hold.officers, person.who.name) or bool(person.roles & KNOW_CONFIDENTIAL)
    if not known or content.get("officers") != hold.officers:
        raise NotFound("There is no such hold.")


def _known_release(rule: Rule, content: Content, person: Person) -> bool:
    if not content.get("confidential"):
        return everybody_of(rule, content, person)
    named = named_in(content.get("officers"), person.who.name)
    return named or bool(person.roles & KNOW_CONFIDENTIAL)


def _check_release(orm: Orm, content: Content) -> None:
    hold = orm.get(Hold, content["hold_id"])
    if hold is None:
        raise NotFound("There is no such hold.")
    if hold.released_us is not None:
        raise Conflict("The hold was released before.")


def _release(orm: Orm, act: Act) -> None:
    release_hold(orm, act.who, act.at_us, str(act.content["hold_id"]), act.row.reason)


def _read_shorten(content: Mapping[str, Any]) -> tuple[Content, str]:
    form = read_form(ShortenForm, content)
    said = form.model_dump(mode="json", exclude_none=True)
    if form.remove is not None and len(said) > 1:
        raise InvalidInput(
            "Remove a policy, or set one.", fields={"content.remove": "stands alone"}
        )
    if form.remove is None and form.loop_days is None and form.keep_years is None:
        raise InvalidInput(
            "Say how long: loop_days or keep_years.", fields={"content.loop_days": "is missing"}
        )
    return said, f"policy:{form.remove or '-'}"


def _check_shorten(orm: Orm, content: Content) -> None:
    if "remove" in content and orm.get(RetentionPolicy, content["remove"]) is None:
        raise NotFound("There is no such policy.")


def _shorten(orm: Orm, act: Act) -> None:
    form = read_form(ShortenForm, act.content)
    if form.remove is not None:
        remove_policy(orm, act.who, act.at_us, form.remove)
        return
    set_policy(orm, act.who, act.at_us, NewPolicy(**form.model_dump(exclude={"remove"})))

"""What one may oneself, and the settings of the rights that the law leaves to the centre."""

from dataclasses import asdict

from fastapi import APIRouter

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.rules import RULES
from bidwitness.api.schemas import Answer, Body
from bidwitness.rights import RightsPolicy
from bidwitness.storage import rights as business
from bidwitness.words import Role

router = APIRouter(prefix="/rights", tags=["rights"])


class MineAnswer(Answer):
    """``acts``: what the rules let one do, in words; the rest is refused."""

    roles: list[Role]
    acts: list[str]


class SettingsAnswer(Answer):
    supervisors_need_duty: bool
    attestors_hear: bool
    department_approves: bool
    small_centre: bool
    break_glass: bool
    duty_at_posts: bool


class SettingsBody(Body):
    supervisors_need_duty: bool | None = None
    attestors_hear: bool | None = None
    department_approves: bool | None = None
    small_centre: bool | None = None
    break_glass: bool | None = None
    duty_at_posts: bool | None = None


@router.get("/mine")
def mine(user: Me) -> MineAnswer:
    """One's roles, with those one has for a time, and what they let one do."""
    acts = [rule.act for rule in RULES if rule.roles is None or rule.roles & user.roles]
    return MineAnswer(roles=sorted(user.roles), acts=acts)


@router.get("/settings")
def settings(user: Me, parts: ThePartsOf) -> SettingsAnswer:
    """The settings as they are."""
    with parts.database.read() as orm:
        return _answer(business.rights_policy(orm))


@router.patch("/settings")
def change_settings(body: SettingsBody, user: Me, parts: ThePartsOf) -> SettingsAnswer:
    """Change settings; what is open is asked again and ends within seconds."""
    chosen = {name: value for name, value in body.model_dump().items() if value is not None}
    with parts.database.write() as orm:
        return _answer(business.set_rights(orm, user.who, parts.clock.utc_us(), chosen))


def _answer(policy: RightsPolicy) -> SettingsAnswer:
    return SettingsAnswer(**asdict(policy))

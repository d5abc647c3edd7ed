"""Who is on duty by the rosters, and who stands in."""

from support.api import put_on_duty
from support.clock import FakeClock
from support.factories import HOUR

from bidwitness.rights import Scope
from bidwitness.storage import people
from bidwitness.storage.attending import attending, on_duty_for
from bidwitness.storage.index.audit import Who
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.models import Roster, Substitution, User
from bidwitness.words import Role

NAMES = ("turn", "unapproved", "ended", "disabled", "over", "standing-in", "stood-in")


def a_user(index: Database, name: str, role: Role = Role.SUPERVISOR) -> str:
    with index.write() as orm:
        return people.create_user(
            orm, Who("test"), 0, username=name, name=name, roles=[role], password_hash="x"
        ).id


def test_turns_of_approved_rosters_and_substitutes(index: Database) -> None:
    now = FakeClock().utc_us()
    ids = {name: a_user(index, name) for name in NAMES}
    ids["op"] = a_user(index, "op", Role.OPERATOR)
    with index.write() as orm:
        rosters = {name: put_on_duty(orm, ids[name]) for name in (*NAMES[:4], "op")}
        orm.get_one(Roster, rosters["unapproved"]).approved_us = None
        orm.get_one(Roster, rosters["ended"]).ended_us = now
        orm.get_one(User, ids["disabled"]).disabled = True
        put_on_duty(orm, ids["over"], until_us=now)
        for substitute, until in (("standing-in", now + HOUR), ("stood-in", now)):
            orm.add(
                Substitution(
                    user_id=ids[substitute],
                    absent_id=ids["turn"],
                    role=Role.SUPERVISOR,
                    from_us=now - HOUR,
                    until_us=until,
                    reason="r",
                    made_us=0,
                    made_by="t",
                )
            )
    with index.read() as orm:
        found = attending(orm, now)
    # Who is no supervisor watches nothing, whatever the roster says.
    assert [one.username for one in found] == ["standing-in", "turn"]
    assert [one.username for one in on_duty_for(Scope(department="test"), found)] == [
        "standing-in",
        "turn",
    ]
    assert on_duty_for(Scope(department="水利局"), found) == []
    assert len(on_duty_for(Scope(site_id="s"), found)) == 2

"""Recovery of an account by two administrators, over the API."""

from contextlib import ExitStack

import httpx
from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of
from support.authenticators import enrol_totp
from support.clock import FakeClock

from bidwitness.storage.index.models import ApiToken, AuditEntry, Authenticator
from bidwitness.words import Role

APPROVALS = "/api/v1/approvals"
LOGIN = "/api/v1/auth/login"


def recovery(client: httpx.Client, user_id: str) -> httpx.Response:
    body = {"kind": "user.recover", "content": {"user_id": user_id}, "reason": "lost telephone"}
    return client.post(APPROVALS, json=body)


def exactly(row: dict[str, str]) -> dict[str, str]:
    return {"content_sha256": row["content_sha256"]}


def test_two_administrators_recover_an_account(api_on_both: RunningApi, clock: FakeClock) -> None:
    api = api_on_both
    with ExitStack() as stack:
        one = stack.enter_context(api.as_user("root", Role.SYSTEM_ADMIN))
        two = stack.enter_context(api.as_user("toor", Role.SECURITY_ADMIN))
        lost = stack.enter_context(api.as_user("wang", Role.AUDITOR))
        user_id = api.add_user("other", Role.AUDITOR)
        enrol_totp(lost, clock.utc_us())
        lost.post("/api/v1/account/tokens", json={"name": "robot", "days": 9, "password": PASSWORD})
        people = one.get("/api/v1/users").json()["items"]
        (user_id,) = [user["id"] for user in people if user["username"] == "wang"]

        asked = recovery(one, user_id)
        assert asked.status_code == 201, asked.text
        row = asked.json()
        assert (row["state"], row["subject_name"], row["may_vote"]) == ("pending", "wang", False)
        at = f"{APPROVALS}/{row['id']}"
        problem_of(one.post(f"{at}/approve", json=exactly(row)), 403, "forbidden")
        problem_of(one.post(f"{at}/execute", json=exactly(row)), 409, "conflict")

        (waiting,) = two.get(APPROVALS).json()["items"]
        assert waiting["may_vote"] is True and waiting["content"] == {"user_id": user_id}
        other = {"content_sha256": "0" * 64}
        problem_of(two.post(f"{at}/approve", json=other), 409, "conflict")
        agreed = two.post(f"{at}/approve", json=exactly(waiting)).json()
        assert (agreed["state"], agreed["may_execute"]) == ("approved", True)
        assert lost.get("/api/v1/auth/me").status_code == 200

        done = one.post(f"{at}/execute", json=exactly(row)).json()
        assert done["state"] == "executed" and set(done["told"]) == {"password"}
        problem_of(one.post(f"{at}/execute", json=exactly(row)), 409, "conflict")
        assert done["told"]["password"] not in one.get(at).text
        problem_of(lost.get("/api/v1/auth/me"), 401, "unauthenticated")
        assert [item["state"] for item in two.get(f"{APPROVALS}?closed=true").json()["items"]] == [
            "executed"
        ]

    with api.client() as back:
        body = {"username": "wang", "password": done["told"]["password"]}
        assert back.post(LOGIN, json=body).json()["must_change_password"] is True
    with api.database.read() as orm:
        assert orm.scalars(select(Authenticator)).all() == []
        assert orm.scalars(select(ApiToken)).one().revoked_us == clock.utc_us()
        entries = orm.scalars(select(AuditEntry)).all()
        assert done["told"]["password"] not in repr([(e.facts, e.reason) for e in entries])
        (entry,) = [one for one in entries if one.action == "user.recover"]
        assert entry.facts == {"totp": True, "keys": 0, "tokens": 1, "oidc": False}


def test_administrators_of_one_kind_are_not_enough(api: RunningApi) -> None:
    user_id = api.add_user("wang", Role.AUDITOR)
    with (
        api.as_user("root", Role.SYSTEM_ADMIN) as one,
        api.as_user("twin", Role.SYSTEM_ADMIN) as two,
        api.as_user("look", Role.AUDIT_ADMIN) as three,
    ):
        problem_of(recovery(three, user_id), 403, "forbidden")
        row = recovery(one, user_id).json()
        at = f"{APPROVALS}/{row['id']}"
        problem_of(two.post(f"{at}/approve", json=exactly(row)), 403, "forbidden")
        assert three.post(f"{at}/approve", json=exactly(row)).json()["state"] == "approved"


def test_whom_it_does_not_concern_sees_nothing_of_it(api: RunningApi) -> None:
    user_id = api.add_user("wang", Role.AUDITOR)
    with api.as_user("root", Role.SYSTEM_ADMIN) as one, api.as_user("li", Role.SUPERVISOR) as li:
        problem_of(recovery(li, user_id), 403, "forbidden")
        row = recovery(one, user_id).json()
        at = f"{APPROVALS}/{row['id']}"
        assert li.get(APPROVALS).json()["items"] == []
        problem_of(li.get(at), 404, "not-found")
        for act in ("approve", "reject", "execute"):
            problem_of(li.post(f"{at}/{act}", json=exactly(row)), 404, "not-found")
        problem_of(li.post(f"{at}/withdraw"), 404, "not-found")


def test_one_takes_back_and_another_rejects(api: RunningApi, clock: FakeClock) -> None:
    user_id = api.add_user("wang", Role.AUDITOR)
    with (
        api.as_user("root", Role.SYSTEM_ADMIN) as one,
        api.as_user("toor", Role.SECURITY_ADMIN) as two,
    ):
        first, second, third = (recovery(one, user_id).json() for _ in range(3))
        at = [f"{APPROVALS}/{row['id']}" for row in (first, second, third)]
        problem_of(two.post(f"{at[0]}/withdraw"), 403, "forbidden")
        assert one.post(f"{at[0]}/withdraw").json()["state"] == "withdrawn"
        problem_of(two.post(f"{at[0]}/approve", json=exactly(first)), 409, "conflict")
        body = {**exactly(second), "opinion": "她没有来过"}
        rejected = two.post(f"{at[1]}/reject", json=body).json()
        assert rejected["state"] == "rejected" and rejected["votes"][0]["opinion"] == "她没有来过"
        clock.sleep(86_400)
    with api.as_user("toor") as two:
        problem_of(two.post(f"{at[2]}/approve", json=exactly(third)), 409, "conflict")
        assert two.get(at[2]).json()["state"] == "expired"


def test_what_is_no_request_is_refused(api: RunningApi) -> None:
    with api.as_user("root", Role.SYSTEM_ADMIN) as root:
        for kind, content, status in (
            ("user.melt", {}, 422),
            ("user.recover", {}, 422),
            ("user.recover", {"user_id": "a" * 16, "more": 1}, 422),
            ("user.recover", {"user_id": ["x"]}, 422),
            ("user.recover", {"user_id": "a" * 16}, 404),
        ):
            body = {"kind": kind, "content": content, "reason": "because"}
            assert root.post(APPROVALS, json=body).status_code == status, (kind, content)

"""Users over the API."""

from sqlalchemy import select
from support.api import PASSWORD, RunningApi, problem_of

from bidwitness.storage.index.models import AuditEntry
from bidwitness.words import Role

USERS = "/api/v1/users"


def test_a_user_is_made_with_a_password_told_once(api_on_both: RunningApi) -> None:
    with api_on_both.as_user("root", Role.SECURITY_ADMIN) as root:
        made = root.post(USERS, json={"username": "li", "name": "李", "roles": ["auditor"]})
        assert made.status_code == 201
        password = made.json()["password"]
        assert made.json()["must_change_password"] is True
        assert "password" not in root.get(USERS).text.replace("must_change_password", "")
        with api_on_both.client() as li:
            answer = li.post("/api/v1/auth/login", json={"username": "LI", "password": password})
            assert answer.json()["username"] == "li"
            problem_of(li.get("/api/v1/rooms"), 403, "password-change-required")
            assert li.get("/api/v1/auth/me").status_code == 200
        problem_of(root.post(USERS, json={"username": "Li", "roles": ["auditor"]}), 409, "conflict")
    with api_on_both.database.read() as orm:
        told = repr([(e.facts, e.reason) for e in orm.scalars(select(AuditEntry))])
    assert password not in told


def test_what_is_no_user_is_refused(api: RunningApi) -> None:
    good = {"username": "li", "roles": ["auditor"]}
    with api.as_user("root", Role.SECURITY_ADMIN) as root:
        for change, field in (
            ({"username": "l i"}, "username"),
            ({"roles": []}, "roles"),
            ({"roles": ["god"]}, "roles.0"),
            ({"roles": ["system_admin", "auditor"]}, "roles"),
            ({"password": "short"}, "password"),
            ({"admin": True}, "admin"),
        ):
            answer = root.post(USERS, json={**good, **change})
            assert field in problem_of(answer, 422, "invalid-input")["fields"], change


def test_users_are_changed_shut_out_and_listed_in_pages(api_on_both: RunningApi) -> None:
    api = api_on_both
    with api.as_user("root", Role.SECURITY_ADMIN) as root, api.as_user("li", Role.AUDITOR) as li:
        page = root.get(f"{USERS}?limit=1").json()
        assert [u["username"] for u in page["items"]] == ["li"]
        rest = root.get(USERS, params={"cursor": page["next_cursor"]}).json()
        assert [u["username"] for u in rest["items"]] == ["root"] and not rest["next_cursor"]
        at = f"{USERS}/{page['items'][0]['id']}"
        changed = root.patch(at, json={"name": "李", "roles": ["supervisor"]}).json()
        assert (changed["name"], changed["roles"]) == ("李", ["supervisor"])
        assert li.get("/api/v1/auth/me").json()["roles"] == ["supervisor"]
        problem_of(li.get(USERS), 403, "forbidden")
        assert root.patch(at, json={"disabled": True}).json()["disabled"] is True
        problem_of(li.get("/api/v1/auth/me"), 401, "unauthenticated")
        body = {"username": "li", "password": PASSWORD}
        problem_of(li.post("/api/v1/auth/login", json=body), 401, "unauthenticated")
        again = {"disabled": False, "password": "Another-horse-9"}
        assert root.patch(at, json=again).json()["must_change_password"] is True
        body = {"username": "li", "password": "Another-horse-9"}
        assert li.post("/api/v1/auth/login", json=body).status_code == 200
        own = f"{USERS}/{rest['items'][0]['id']}"
        problem_of(root.patch(own, json={"disabled": True}), 409, "conflict")
        problem_of(root.patch(f"{USERS}/{'a' * 16}", json={"name": "x"}), 404, "not-found")

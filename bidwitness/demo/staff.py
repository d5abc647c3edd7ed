"""The people of a small centre as one client: each request is made by whoever may make it."""

from collections.abc import Mapping
from typing import Any

from bidwitness.demo.cast import DEPARTMENT
from bidwitness.demo.client import ApiClient

DAY_US = 86_400_000_000
DUTY_DAYS = 7
# Who of the cast does what, by the beginning of the path; the first that fits.
DOES = {
    "users": "security",
    "scopes": "security",
    "substitutions": "security",
    "rights": "security",
    "policies": "security",
    "rosters": "security",
    "grants": "security",
    "register": "archivist",
    "audit": "audit",
    "holds": "archivist",
    "markers": "supervisor",
    "sessions": "venue",
    "projects": "venue",
    "lots": "venue",
    "events": "venue",
}
# And by its end.
ACTS = {
    "verify": "archivist",
    "evidence-reports": "archivist",
    "department": "supervisor",
    "approve": "director",
}
# Cameras, rooms, alarms, the store, jobs.
ELSE = "admin"


class Staff(ApiClient):
    """A client that signs in as each of the cast when it is that person's turn."""

    def __init__(self, base: str, passwords: Mapping[str, str]) -> None:
        super().__init__(base)
        self._passwords = passwords
        self._people: dict[str, ApiClient] = {}

    def __exit__(self, *_: object) -> None:
        for person in self._people.values():
            person.__exit__()
        super().__exit__()

    def person(self, username: str) -> ApiClient:
        """Give one of the cast, signed in."""
        if username not in self._people:
            client = ApiClient(self._base)
            self._people[username] = client
            client.login(username, self._passwords[username])
        return self._people[username]

    def grant(self, body: Mapping[str, Any]) -> Any:
        """Have a right asked for, agreed to and given, and the supervising department agree."""
        wish = dict(body)
        session, purpose = wish.pop("session_id"), wish.pop("reason")
        content = {
            "unit": "示范 demonstration",
            "document_no": "示范 1",
            "days": 30,
            **wish,
            "session_ids": [session],
            "purpose": purpose,
        }
        archivist = self.person("archivist")
        asked = {"kind": "grant.request", "content": content, "reason": purpose}
        row = archivist.post("approvals", asked)
        at, exactly = f"approvals/{row['id']}", {"content_sha256": row["content_sha256"]}
        for name in ("director", "security"):
            self.person(name).post(f"{at}/approve", exactly)
        archivist.post(f"{at}/execute", exactly)
        grants = self.person("archivist").get(f"grants?session_id={session}")["items"]
        made = next(one for one in grants if one["approval_id"] == row["id"])
        return self.post(f"grants/{made['id']}/department")

    def put_on_duty(self, now_us: int) -> None:
        """Have the supervisor watch everything for a week."""
        shifts = [
            {
                "username": "supervisor",
                "from": now_us + day * DAY_US,
                "until": now_us + (day + 1) * DAY_US,
            }
            for day in range(DUTY_DAYS)
        ]
        roster = {"department": DEPARTMENT, "shifts": shifts, "reason": "示范 demonstration"}
        self.post(f"rosters/{self.post('rosters', roster)['id']}/approve")

    def _send(self, method: str, path: str, **more: Any) -> Any:
        return self.person(who_does(method, path))._send(method, path, **more)


def who_does(method: str, path: str) -> str:
    """Name the user of the cast who makes a request. Pure."""
    parts = path.partition("?")[0].strip("/").split("/")
    if method != "GET" and parts[-1] in ACTS:
        return ACTS[parts[-1]]
    return DOES.get(parts[0], ELSE)

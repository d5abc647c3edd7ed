"""A client that is all of a centre's people: each request is made by whoever may make it."""

from collections.abc import Generator

import httpx

from bidwitness.api.app import PREFIX, ROUTERS
from bidwitness.api.rules import Rule, rule_of
from bidwitness.words import Role

# Whose turn it is where several may.
FIRST = (
    Role.SYSTEM_ADMIN,
    Role.VENUE,
    Role.SECURITY_ADMIN,
    Role.ARCHIVIST,
    Role.AUDIT_ADMIN,
    Role.DIRECTOR,
    Role.SUPERVISOR,
)
# They know all grants.
FIRST_OF_GRANTS = (Role.SECURITY_ADMIN, Role.SUPERVISOR)


def username_of(role: Role) -> str:
    return f"staff.{role}"


def role_for(method: str, path: str) -> Role | None:
    """Say who of the staff makes a request; nobody, if anybody may or there is no such route."""
    rule = _rule(method, path)
    if rule is None or not rule.roles:
        return None
    order = FIRST_OF_GRANTS if path.startswith(f"{PREFIX}/grants") else FIRST
    return next(role for role in order if role in rule.roles)


def _rule(method: str, path: str) -> Rule | None:
    inner = path.removeprefix(PREFIX)
    for router in ROUTERS:
        for route in router.routes:
            methods = getattr(route, "methods", None) or set()
            if method in methods and route.path_regex.match(inner):  # type: ignore[attr-defined]
                return rule_of(route.endpoint)  # type: ignore[attr-defined]
    return None


class StaffAuth(httpx.Auth):
    """Gives each request the token of the one whose turn it is."""

    def __init__(self, tokens: dict[Role, str]) -> None:
        self._tokens = tokens

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        named = request.headers.pop("X-Acts-As", None)
        role = role_for(request.method, request.url.path) or Role.SYSTEM_ADMIN
        role = Role(named) if named else role
        request.headers["Authorization"] = f"Bearer {self._tokens[role]}"
        yield request

"""Who may use which route: one table, asked before any route or WebSocket does anything.

``RULES`` names every route by its module and function. One that is not there is refused to
everybody, and fails a test. What of a session's footage somebody may see is decided further in, by
``bidwitness.access.may``; the routes that show it let everybody who is signed in come as far as
there, so that refusals are noted as well.
"""

from dataclasses import dataclass

from fastapi import Depends
from sqlalchemy import select
from starlette.requests import HTTPConnection

from bidwitness.api.deps import Parts, TheFront, ThePartsOf, current_user, signed_in
from bidwitness.errors import Forbidden
from bidwitness.storage.index.models import User, UserRole
from bidwitness.words import Role

_R = Role
# Everybody who signs in: service accounts stand in the few rules that name them.
EVERYBODY = frozenset(Role) - {_R.SERVICE}
# The people of the centre and of the supervising departments, as apart from who administers.
_HOUSE = frozenset(
    {_R.SUPERVISOR, _R.VENUE, _R.ATTESTOR, _R.ARCHIVIST, _R.AUDITOR, _R.OPERATOR, _R.DIRECTOR}
)
# Who reads what is written about sessions, each within her scope or grants.
_READERS = frozenset({*_HOUSE, _R.SECURITY_ADMIN}) - {_R.OPERATOR}


@dataclass(frozen=True, slots=True)
class Rule:
    """``act``: what the routes do. ``roles`` empty: nobody has to be signed in, or the route finds
    out itself who asks."""

    act: str
    roles: frozenset[Role] | None
    routes: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.routes.split())


def _only(*roles: Role) -> frozenset[Role]:
    return frozenset(roles)


RULES: tuple[Rule, ...] = (
    Rule("be asked by anybody", None, "health.health health.ready health.metrics system.system"),
    Rule("read the public log and the pages", None, "log.checkpoint log.cosigned log.tile"),
    Rule("show the pages", None, "pages.page"),
    # They find out who asks, or are about oneself alone.
    Rule(
        "sign in and keep one's account",
        None,
        "auth.* second_step.* oidc.* account.* factors.* tokens.*",
    ),
    # A display is nobody: these know its credential, all others ask for a person.
    Rule("be a display", None, "display.pair display.renew display.state display.live"),
    # A player outside the browser is nobody: the address that it was given says whose viewing it is.
    Rule(
        "watch by a ticket",
        None,
        "ticketed.master ticketed.playlist ticketed.init ticketed.entry",
    ),
    # Each kind of act says who may ask for it and who may agree.
    Rule(
        "ask for and agree to what takes several people",
        EVERYBODY,
        "approvals.approvals approvals.ask approvals.approval approvals.approve approvals.reject"
        " approvals.withdraw approvals.execute",
    ),
    Rule("know one's rights", EVERYBODY, "rights.mine jobs.jobs jobs.job jobs.cancel jobs.retry"),
    # May decides, and every answer is noted.
    Rule("see live", EVERYBODY, "live.live"),
    Rule(
        "see what was recorded",
        EVERYBODY,
        "playbacks.open_viewing playbacks.close_viewing playbacks.new_ticket playbacks.revoke_ticket"
        " play.master play.playlist play.init play.entry"
        " keyframes.keys keyframes.key_piece thumbnails.thumbnails thumbnails.sheet",
    ),
    # Of one's own viewings; whoever reads the audit trail, of everybody's.
    Rule(
        "have records of viewings",
        EVERYBODY,
        "viewing_records.new_record viewing_records.record"
        " viewing_records.document viewing_records.facts",
    ),
    Rule(
        "have copies",
        EVERYBODY,
        "snapshots.new_snapshot snapshots.snapshot snapshots.picture"
        " exports.exports exports.new_export exports.export exports.package",
    ),
    Rule(
        "read about sessions",
        _READERS,
        "timeline.timeline timeline.timeline_csv timeline.timeline_json"
        " events.events markers.markers"
        " evidence_reports.reports evidence_reports.document",
    ),
    Rule("know the sessions", _READERS | {_R.SERVICE}, "sessions.sessions sessions.one"),
    Rule("remark", _READERS - {_R.SECURITY_ADMIN}, "markers.mark markers.remove"),
    Rule(
        "run sessions",
        _only(_R.VENUE),
        "sessions.start sessions.suspend sessions.recess"
        " sessions.resume sessions.extend sessions.end sessions.undo_end"
        " sessions.claim sessions.relate sessions.seal"
        " events.report scopes.assign_attestor",
    ),
    # A service account only before the session begins: see ``bidwitness.session``.
    Rule(
        "announce projects and sessions",
        _only(_R.VENUE, _R.SERVICE),
        "sessions.plan sessions.change sessions.move sessions.cancel"
        " projects.create projects.phase",
    ),
    Rule("verify sessions", _only(_R.ARCHIVIST), "sessions.verify"),
    # The session's machine lets archivists alone, and who else asked is noted.
    Rule("ask for an evidence report", _READERS, "evidence_reports.new_report"),
    Rule("know the projects", (_READERS | {_R.SERVICE}) - {_R.AUDITOR}, "projects.projects"),
    Rule("know the rooms", frozenset(Role) - {_R.AUDIT_ADMIN}, "rooms.sites rooms.rooms"),
    Rule(
        "configure places and cameras",
        _only(_R.SYSTEM_ADMIN),
        "rooms.create_room rooms.change_room rooms.add_seat rooms.link_places"
        " cameras.camera cameras.create cameras.change cameras.remove cameras.probe"
        " cameras.discover system.accept",
    ),
    Rule(
        "know how cameras are",
        _only(_R.SYSTEM_ADMIN, _R.OPERATOR, _R.SUPERVISOR),
        "cameras.cameras",
    ),
    Rule(
        "know how the store is",
        _only(_R.SYSTEM_ADMIN, _R.OPERATOR, _R.ARCHIVIST),
        "system.store system.surplus_versions",
    ),
    Rule(
        "watch alarms",
        _only(_R.SYSTEM_ADMIN, _R.OPERATOR, _R.SUPERVISOR, _R.VENUE),
        "alarms.alarms alarms.acknowledge",
    ),
    Rule("know of grants", EVERYBODY - {_R.SYSTEM_ADMIN}, "grants.grants"),
    # They are asked for, and given by several people: see "approvals".
    Rule("end grants", _only(_R.SECURITY_ADMIN, _R.DIRECTOR), "grants.revoke"),
    Rule("agree for the department", _only(_R.SUPERVISOR), "grants.agree"),
    Rule(
        "read the register",
        _only(_R.ARCHIVIST, _R.DIRECTOR, _R.SECURITY_ADMIN, _R.AUDIT_ADMIN),
        "register.register register.entry register.table",
    ),
    Rule(
        "write on in the register",
        _only(_R.ARCHIVIST),
        "register.hand_over register.prove",
    ),
    # Neither reviewer sees footage, and no role is joined with theirs.
    Rule("break the glass", _only(_R.SUPERVISOR), "break_glass.take"),
    Rule("review break-glass", _only(_R.DIRECTOR, _R.AUDIT_ADMIN), "break_glass.review"),
    Rule(
        "know of break-glass",
        _only(_R.SUPERVISOR, _R.DIRECTOR, _R.SECURITY_ADMIN, _R.AUDIT_ADMIN),
        "break_glass.uses",
    ),
    Rule(
        "know what is to be destroyed, and what was",
        _only(_R.ARCHIVIST, _R.DIRECTOR, _R.SUPERVISOR),
        "disposals.due disposals.exact_list disposals.disposals",
    ),
    Rule("hold", _only(_R.ARCHIVIST, _R.SUPERVISOR), "holds.place"),
    Rule("know of holds", _only(_R.ARCHIVIST, _R.SUPERVISOR, _R.DIRECTOR), "holds.holds"),
    Rule(
        "know the policies",
        _only(_R.SECURITY_ADMIN, _R.ARCHIVIST, _R.DIRECTOR),
        "policies.policies rights.settings",
    ),
    Rule(
        "set policies",
        _only(_R.SECURITY_ADMIN),
        "policies.set_policy policies.remove rights.change_settings",
    ),
    Rule("manage users", _only(_R.SECURITY_ADMIN), "users.change users.end_logins users.unlink"),
    # The first administrator, too, as long as there is none for security: see ``_founds``.
    Rule("make users", _only(_R.SECURITY_ADMIN), "users.create"),
    Rule(
        "manage service accounts",
        _only(_R.SECURITY_ADMIN),
        "services.create services.change services.all_tokens services.make_token services.revoke",
    ),
    # Both may ask for the recovery of an account.
    Rule("know the users", _only(_R.SECURITY_ADMIN, _R.SYSTEM_ADMIN), "users.users"),
    Rule(
        "say where roles hold",
        _only(_R.SECURITY_ADMIN),
        "scopes.scopes scopes.make scopes.end scopes.substitutions scopes.substitute"
        " scopes.end_substitution",
    ),
    Rule(
        "register displays and the networks of duty",
        _only(_R.SECURITY_ADMIN),
        "displays.displays displays.register displays.new_code displays.rename displays.revoke"
        " displays.duty_networks displays.list_network displays.end_network",
    ),
    Rule("write rosters", _only(_R.SECURITY_ADMIN), "rosters.make rosters.end"),
    Rule("approve rosters", _only(_R.DIRECTOR), "rosters.approve"),
    Rule(
        "know the rosters",
        _only(_R.SECURITY_ADMIN, _R.DIRECTOR, _R.SUPERVISOR),
        "rosters.rosters",
    ),
    Rule("read the audit trail", _only(_R.AUDIT_ADMIN), "audit.audit audit.entry audit.sheet"),
    Rule(
        "have reports of the audit trail",
        _only(_R.AUDIT_ADMIN),
        "audit_reports.reports audit_reports.new_report audit_reports.document",
    ),
    Rule(
        "hold the audit trail against the log",
        _only(_R.AUDIT_ADMIN),
        "reconciliation.reconciliation reconciliation.walk",
    ),
)
FOUNDING = frozenset({"users.create"})
_BY_NAME = {name: rule for rule in RULES for name in rule.names}


def name_of(endpoint: object) -> str:
    """Give the name by which the table knows a route: its module and function."""
    module = getattr(endpoint, "__module__", "").rsplit(".", 1)[-1]
    return f"{module}.{getattr(endpoint, '__name__', '')}"


def rule_of(endpoint: object) -> Rule | None:
    """Give the rule of a route; none: it is refused to everybody."""
    name = name_of(endpoint)
    return _BY_NAME.get(name) or _BY_NAME.get(f"{name.partition('.')[0]}.*")


def check_rule(connection: HTTPConnection, parts: ThePartsOf, front: TheFront) -> None:
    """Let only those pass whom the route's rule names. A dependency of every route.

    Raises ``Unauthenticated``, ``Forbidden``.
    """
    endpoint = connection.scope.get("endpoint")
    rule = rule_of(endpoint)
    if rule is None:
        raise Forbidden("Nobody may do this: the route has no rule.")
    if rule.roles is None:
        return
    user = current_user(signed_in(connection, parts, front))
    if user.roles & rule.roles:
        return
    if name_of(endpoint) in FOUNDING and _founds(user.roles, parts):
        return
    raise Forbidden(f"Only {', '.join(sorted(rule.roles))} may do this: {rule.act}.")


def _founds(roles: frozenset[Role], parts: Parts) -> bool:
    """Say whether the first administrator still has to make the administrator of security."""
    if Role.SYSTEM_ADMIN not in roles:
        return False
    with parts.database.read() as orm:
        there = orm.scalar(
            select(User.id)
            .join(UserRole, UserRole.user_id == User.id)
            .where(UserRole.role == Role.SECURITY_ADMIN, User.disabled.is_(False))
            .limit(1)
        )
    return there is None


Ruled = Depends(check_rule)

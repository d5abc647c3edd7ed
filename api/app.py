"""The API as one application: its parts, its routers, its border."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from bidwitness import __version__
from bidwitness.api import (
    account,
    alarms,
    approvals,
    audit,
    audit_reports,
    auth,
    break_glass,
    cameras,
    display,
    displays,
    disposals,
    events,
    evidence_reports,
    exports,
    factors,
    grants,
    health,
    holds,
    jobs,
    keyframes,
    live,
    log,
    markers,
    oidc,
    play,
    playbacks,
    policies,
    problems,
    projects,
    reconciliation,
    register,
    rights,
    rooms,
    rosters,
    scopes,
    second_step,
    services,
    sessions,
    snapshots,
    system,
    thumbnails,
    ticketed,
    timeline,
    tokens,
    users,
    viewing_records,
)
from bidwitness.api.deps import Parts
from bidwitness.api.hints import Hints
from bidwitness.api.limits import BY_CODES, LoginLimiter, Tries
from bidwitness.api.oidc_flow import Spent
from bidwitness.api.oidc_provider import provider_of
from bidwitness.api.openapi import Described
from bidwitness.api.pages import pages
from bidwitness.api.rules import Ruled
from bidwitness.api.security import Guard
from bidwitness.clock import Clock, SystemClock
from bidwitness.config import Settings
from bidwitness.secrets import SecretBox
from bidwitness.storage.approval_kinds import approval_kinds
from bidwitness.storage.index.database import Database, open_index
from bidwitness.storage.people import Passwords

logger = logging.getLogger(__name__)

PREFIX = "/api/v1"
# Routes that wait for the index run in so many threads: no more than it has connections.
THREADS = 15

# Under /api/v1, one module a resource. Add yours here.
ROUTERS: tuple[APIRouter, ...] = (
    account.router,
    alarms.router,
    approvals.router,
    audit.router,
    audit_reports.router,
    auth.router,
    break_glass.router,
    cameras.router,
    disposals.router,
    display.router,
    displays.router,
    events.router,
    factors.router,
    grants.router,
    holds.router,
    jobs.router,
    markers.router,
    oidc.router,
    playbacks.router,
    policies.router,
    projects.router,
    reconciliation.router,
    register.router,
    rights.router,
    rooms.router,
    rosters.router,
    scopes.router,
    second_step.router,
    services.router,
    sessions.router,
    snapshots.router,
    evidence_reports.router,
    exports.router,
    live.router,
    system.router,
    timeline.router,
    tokens.router,
    users.router,
    viewing_records.router,
)
# At the root: /play, /health, …
ROOT_ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    log.router,
    ticketed.router,
    play.router,
    keyframes.router,
    thumbnails.router,
)


def create_app(
    settings: Settings,
    *,
    database: Database | None = None,
    clock: Clock | None = None,
    passwords: Passwords | None = None,
) -> FastAPI:
    """Build the application. What is not given is made from ``settings``; nothing is opened.

    The index must have this version's tables: ``storage.index.database.upgrade`` sees to it.
    """
    clock = clock or SystemClock()
    passwords = passwords or Passwords()
    secrets = SecretBox(settings.secret_key_file)
    parts = Parts(
        settings=settings,
        database=database or open_index(settings),
        clock=clock,
        passwords=passwords,
        limiter=LoginLimiter(clock),
        code_limiter=LoginLimiter(clock, BY_CODES),
        secrets=secrets,
        tries=Tries(),
        hints=Hints(settings),
        kinds=approval_kinds(
            passwords.hash, secrets, clock, allow_loopback=settings.allow_loopback_cameras
        ),
        provider=provider_of(settings, clock),
        spent=Spent(),
    )
    app = Described(
        title="BidWitness",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_name,
        lifespan=_life,
    )
    app.state.parts = parts
    problems.install(app)
    app.add_middleware(Guard, settings=settings)
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX, dependencies=[Ruled])
    for router in ROOT_ROUTERS:
        app.include_router(router, dependencies=[Ruled])
    app.include_router(pages(), dependencies=[Ruled])
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """Run while the application does: bounds its threads, closes the index at the end."""
    parts: Parts = app.state.parts
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    try:
        yield
    finally:
        parts.database.close()


def _operation_name(route: APIRoute) -> str:
    """Name operations for generated clients by resource and function: ``cameras_probe``."""
    return "_".join((*(str(tag) for tag in route.tags[:1]), route.name))

"""What this installation is, and whether it is well."""

from typing import Annotated

from fastapi import APIRouter, Depends

from bidwitness import __version__
from bidwitness.api.deps import CurrentUser, ThePartsOf, TheSettings, require_role
from bidwitness.api.schemas import Answer
from bidwitness.storage.measures import late_locks, newest_lock_test
from bidwitness.words import LockLevel, Role

Watcher = Annotated[CurrentUser, Depends(require_role(Role.SYSTEM_ADMIN, Role.SUPERVISOR))]

router = APIRouter(tags=["system"])


class SystemAnswer(Answer):
    name: str
    version: str
    undo_seconds: int
    demo: bool


@router.get("/system")
def system(settings: TheSettings) -> SystemAnswer:
    """What the pages need before anybody has signed in."""
    return SystemAnswer(
        name=settings.name,
        version=__version__,
        undo_seconds=settings.undo_seconds,
        demo=settings.demo,
    )


class LockStep(Answer):
    step: str
    ok: bool
    said: str


class StoreAnswer(Answer):
    """What the newest lock self-test found; nothing before the first has ended."""

    # Who refuses to remove what is locked.
    level: LockLevel | None
    passed: bool | None
    tested_at: int | None
    findings: list[LockStep]
    # Whether a store whose locks do not hold is used all the same.
    accepted: bool
    # Stored objects whose lock should have been looked at an hour ago.
    late: int


@router.get("/system/store")
def store(user: Watcher, parts: ThePartsOf) -> StoreAnswer:
    """Whether the store itself forbids the removal of what it must keep, and how that is known."""
    with parts.database.read() as orm:
        test = newest_lock_test(orm)
        late = late_locks(orm, parts.clock.utc_us())
    return StoreAnswer(
        level=test.level if test else None,
        passed=test.passed if test else None,
        tested_at=test.at_us if test else None,
        findings=[LockStep.model_validate(finding) for finding in test.findings] if test else [],
        accepted=parts.settings.accept_unlocked_store,
        late=late,
    )

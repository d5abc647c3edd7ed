"""What this installation is, and whether it is well."""

from fastapi import APIRouter

from bidwitness import __version__
from bidwitness.api.deps import TheSettings
from bidwitness.api.schemas import Answer

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

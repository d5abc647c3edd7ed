"""Which changes stop a pull: pure, over the pulls of a camera as they were and as they would be."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pull:
    """A stream that is pulled. ``door``: all that it is dialled by, compared and nothing else.

    ``alive``: footage has just come of it. What is dead may be dialled otherwise by one person:
    that is how it is brought back.
    """

    stream_id: str
    room_id: str
    door: tuple[object, ...]
    alive: bool


def stopped(before: Iterable[Pull], after: Iterable[Pull]) -> tuple[Pull, ...]:
    """Give the pulls of a camera that a change stops, as they were: those whose room is another,
    living ones that are gone or dialled otherwise, and dead ones, if none is left."""
    now = {pull.stream_id: pull for pull in after}

    def stops(pull: Pull) -> bool:
        then = now.get(pull.stream_id)
        if then is None:
            return pull.alive or not now
        return then.room_id != pull.room_id or (pull.alive and then.door != pull.door)

    return tuple(pull for pull in before if stops(pull))

"""Key frames of a playback's stream, for fast and backward play: a list, and pieces of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from bidwitness.api.deps import Me, ThePartsOf
from bidwitness.api.openapi import gives
from bidwitness.api.play import TYPES, Counted, RunPath, TheViewer
from bidwitness.api.schemas import MAX_US, Answer, IdPath
from bidwitness.errors import InvalidInput
from bidwitness.intervals import Interval
from bidwitness.player.keyframes import LIST_US, STEPS_US, key_frames, key_pieces
from bidwitness.player.pieces import SETTLE_US
from bidwitness.words import Medium

router = APIRouter(prefix="/play", tags=["play"])

Instant = Annotated[int, Query(ge=0, le=MAX_US)]
# The numbers of fragments, so many at most as a piece is worth being long.
Ordinals = Annotated[str, Path(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9}){0,31}$")]


class KeyAnswer(Answer):
    """A key frame: it is the picture of ``[at, to)``, µs UTC."""

    at: int
    to: int


class KeyPieceAnswer(Answer):
    """Key frames that are fetched together, from ``address`` (relative to the list's own)."""

    address: str
    init: str
    keys: list[KeyAnswer]


class KeysAnswer(Answer):
    """``settled``: nothing more will come in this time."""

    from_us: int = Field(serialization_alias="from")
    to_us: int = Field(serialization_alias="to")
    step: int
    settled: bool
    pieces: list[KeyPieceAnswer]


@router.get("/{playback}/{stream}/keys")
def keys(
    playback: IdPath,
    stream: IdPath,
    user: Me,
    parts: ThePartsOf,
    viewer: TheViewer,
    from_us: Annotated[Instant, Query(alias="from")],
    to_us: Annotated[Instant, Query(alias="to")],
    step: Instant = STEPS_US[0],
) -> KeysAnswer:
    """The key frames that stand within a time, one a ``step`` at most, as the viewing may show them."""
    scope = viewer.scope(user, playback, stream, Medium.PICTURE)
    time = _time(from_us, to_us, step)
    found = key_frames(viewer.pieces.shown(scope, time), step)
    reach = to_us if scope.until_us is None else min(to_us, scope.until_us)
    return KeysAnswer(
        from_us=from_us,
        to_us=to_us,
        step=step,
        settled=parts.clock.utc_us() >= reach + SETTLE_US,
        pieces=[
            KeyPieceAnswer(
                address=piece.address,
                init=piece.held.init,
                keys=[KeyAnswer(at=key.at_us, to=key.to_us) for key in piece.keys],
            )
            for piece in key_pieces(found, time)
        ],
    )


def _time(from_us: int, to_us: int, step: int) -> Interval:
    fields: dict[str, str] = {}
    if to_us <= from_us:
        fields["to"] = "give a time after `from`"
    elif to_us - from_us > LIST_US:
        fields["to"] = f"at most {LIST_US} µs after `from`"
    if step not in STEPS_US:
        fields["step"] = f"one of {', '.join(str(known) for known in STEPS_US)}"
    if fields:
        listed = "; ".join(f"{name}: {why}" for name, why in fields.items())
        raise InvalidInput(f"Key frames are not listed so. {listed}.", fields=fields)
    return Interval(from_us, to_us)


@router.get(
    "/{playback}/{stream}/keys/{run}-{run_seq}/{ordinals}.m4s",
    response_class=Response,
    responses=gives(TYPES[0]),
)
def key_piece(
    playback: IdPath,
    stream: IdPath,
    run: RunPath,
    run_seq: Counted,
    ordinals: Ordinals,
    user: Me,
    viewer: TheViewer,
) -> Response:
    """The key frames that begin these fragments of a segment, each as a fragment of its own."""
    scope = viewer.scope(user, playback, stream, Medium.PICTURE)
    wanted = [int(ordinal) for ordinal in ordinals.split(".")]
    cut = viewer.pieces.keys(scope, run, run_seq, wanted)
    viewer.seen(user, scope, run, run_seq, cut.interval)
    return Response(cut.data, media_type=TYPES[0], headers={"ETag": cut.etag})

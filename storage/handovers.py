"""What the archivist writes on in the register: copies handed over, signed for, returned, destroyed."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.storage.evidence.canonical import JsonValue
from bidwitness.storage.index.audit import Who, leave_audit_entry
from bidwitness.storage.index.models import RegisterEntry
from bidwitness.storage.register import enter_about
from bidwitness.words import RegisterKind

# What ends the duty to give a copy back.
ENDS = frozenset({RegisterKind.RETURN, RegisterKind.DESTRUCTION})
PROOFS = ENDS | {RegisterKind.SIGNED}


@dataclass(frozen=True, slots=True)
class NewHandover:
    """``copies``: the ids of exports' and snapshots' derivatives, as the register names them."""

    copies: tuple[str, ...]
    medium_serial: str
    verification: str
    verified: bool
    receivers: tuple[str, ...]
    watermark: str | None = None


def hand_over(
    orm: Orm, who: Who, at_us: int, first: RegisterEntry, new: NewHandover
) -> RegisterEntry:
    """Enter a handover: files, bytes and digests are those that were registered when the copies
    were made.

    Raises ``InvalidInput`` for a copy that was not made by this grant, or one that was not checked.
    """
    if not new.verified:
        raise InvalidInput(
            "What does not verify is not handed over.", fields={"verified": "must be true"}
        )
    made = _made(orm, first)
    unknown = [copy for copy in new.copies if copy not in made]
    if unknown:
        raise InvalidInput(
            "Not all of these copies were made by this grant.",
            fields={"copies": f"not of this grant: {', '.join(unknown)}"},
        )
    files = [file for copy in new.copies for file in made[copy]]
    facts: dict[str, JsonValue] = {
        "copies": list(new.copies),
        "files": files,
        "medium_serial": new.medium_serial,
        "verification": new.verification,
        "receivers": list(new.receivers),
        "watermark": new.watermark,
    }
    content = f"{RegisterKind.HANDOVER.zh} {len(files)} 个文件，介质 {new.medium_serial}"
    row = enter_about(
        *(orm, who, at_us, first, RegisterKind.HANDOVER),
        content=content,
        reason=new.verification,
        facts=facts,
    )
    _note(orm, who, "register.handover", first, row, at_us)
    return row


def prove(
    orm: Orm,
    who: Who,
    at_us: int,
    first: RegisterEntry,
    kind: RegisterKind,
    document_sha256: str,
    note: str,
) -> RegisterEntry:
    """Enter a paper: the signed list, or the proof of return or destruction.

    Raises ``InvalidInput`` for another kind, ``Conflict`` if nothing was handed over, or all of it
    was returned or destroyed before.
    """
    if kind not in PROOFS:
        raise InvalidInput(
            "A proof is of signature, return or destruction.", fields={"kind": "is none of these"}
        )
    kinds = {row.kind for row in _later(orm, first)}
    if RegisterKind.HANDOVER not in kinds:
        raise Conflict("Nothing was handed over.")
    if kind in ENDS and kinds & ENDS:
        raise Conflict("Its return or destruction was proved before.")
    row = enter_about(
        *(orm, who, at_us, first, kind),
        content=kind.zh,
        reason=note,
        facts={"document_sha256": document_sha256},
    )
    _note(orm, who, f"register.{kind.value}", first, row, at_us)
    return row


def _made(orm: Orm, first: RegisterEntry) -> dict[str, list[JsonValue]]:
    """Give the files of each copy that was made by the grant."""
    made: dict[str, list[JsonValue]] = {}
    for row in _later(orm, first):
        if row.kind is RegisterKind.COPY and row.facts:
            made[str(row.facts["copy"])] = list(row.facts["files"])
    return made


def _later(orm: Orm, first: RegisterEntry) -> Sequence[RegisterEntry]:
    query = select(RegisterEntry).where(RegisterEntry.about_id == first.id)
    return orm.scalars(query.order_by(RegisterEntry.id)).all()


def _note(
    orm: Orm, who: Who, action: str, first: RegisterEntry, row: RegisterEntry, at_us: int
) -> None:
    facts = {"number": first.number, "row": row.id}
    leave_audit_entry(orm, who, action, f"register:{first.id}", at_us, facts=facts)

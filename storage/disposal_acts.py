"""The act that destroys sessions' footage whose period is over: by an exact list, by three roles."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy.orm import Session as Orm

from bidwitness.clock import Clock
from bidwitness.errors import InvalidInput
from bidwitness.storage.approvals import Act, Content, Kind, Rule
from bidwitness.storage.disposals import begin, check_due
from bidwitness.storage.grant_forms import Form, Id, Sha256, read_form
from bidwitness.storage.logins import DAY_US
from bidwitness.words import Role

DISPOSE = "session.dispose"


class ListedSession(Form):
    """A session and the digest of the list of its segments, as ``GET disposals/due`` gives it."""

    session_id: Id
    list_sha256: Sha256


class DisposeForm(Form):
    sessions: Annotated[tuple[ListedSession, ...], Field(min_length=1, max_length=20)]


def dispose_kind(clock: Clock) -> Kind:
    """Give the kind of act: the archivist asks, director and supervising department agree, and there
    is a week to think again."""

    def check(orm: Orm, content: Content) -> None:
        now = clock.utc_us()
        for one in read_form(DisposeForm, content).sessions:
            check_due(orm, one.session_id, one.list_sha256, now)

    return Kind(
        name=DISPOSE,
        rule=Rule(
            requesters=frozenset({Role.ARCHIVIST}),
            approvers=frozenset({Role.DIRECTOR, Role.SUPERVISOR}),
            needed=2,
            cool_off_us=7 * DAY_US,
            lives_us=30 * DAY_US,
        ),
        read=_read,
        check=check,
        execute=_execute,
    )


def _read(content: Mapping[str, Any]) -> tuple[Content, str]:
    form = read_form(DisposeForm, content)
    ids = [one.session_id for one in form.sessions]
    if len(set(ids)) != len(ids):
        raise InvalidInput(
            "A session is named twice.", fields={"content.sessions": "holds one twice"}
        )
    ordered = sorted(form.sessions, key=lambda one: one.session_id)
    subject = f"session:{ids[0]}" if len(ids) == 1 else "sessions"
    return {"sessions": [one.model_dump() for one in ordered]}, subject


def _execute(orm: Orm, act: Act) -> None:
    for one in read_form(DisposeForm, act.content).sessions:
        begin(orm, act.who, act.at_us, act.row.id, one.session_id, one.list_sha256)

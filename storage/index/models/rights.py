"""Where a role holds, who stands in for whom, who is on duty when, and the rights settings.

Rows are ended, never removed: what somebody was allowed at some time can be said for good.
"""

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidwitness.storage.index.models.base import (
    Base,
    Id,
    Json,
    Number,
    Text_,
    Us,
    ref,
    word,
)
from bidwitness.words import ProjectCategory, Role, RoomKind


class RoleScope(Base):
    """Where a user's role holds. Several of one role are alternatives; none is the whole site."""

    __tablename__ = "role_scopes"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    role: Mapped[Role] = word(Role)
    site_id: Mapped[str | None] = ref("sites", index=False)
    room_kind: Mapped[RoomKind | None] = word(RoomKind)
    category: Mapped[ProjectCategory | None] = word(ProjectCategory)
    department: Mapped[Text_ | None]
    session_id: Mapped[str | None] = ref("sessions")
    reason: Mapped[Text_]
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    ended_us: Mapped[Us | None]
    ended_by: Mapped[str | None] = mapped_column(String(120))


class Substitution(Base):
    """``user_id`` stands in for ``absent_id`` (AB 角): has her scopes and turns for a time."""

    __tablename__ = "substitutions"
    id: Mapped[Id]
    user_id: Mapped[str] = ref("users")
    absent_id: Mapped[str] = ref("users", index=False)
    role: Mapped[Role] = word(Role)
    from_us: Mapped[Us]
    until_us: Mapped[Us]
    reason: Mapped[Text_]
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    ended_us: Mapped[Us | None]
    ended_by: Mapped[str | None] = mapped_column(String(120))


class Roster(Base):
    """A department's duty roster (值守): of no effect until somebody else has approved it."""

    __tablename__ = "rosters"
    id: Mapped[Id]
    department: Mapped[Text_]
    # Which of its sessions: by category or project; both empty: all.
    categories: Mapped[Json]
    projects: Mapped[Json]
    reason: Mapped[Text_]
    document_no: Mapped[str | None] = mapped_column(String(200))
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    approved_us: Mapped[Us | None]
    approved_by: Mapped[str | None] = mapped_column(String(120))
    ended_us: Mapped[Us | None]
    ended_by: Mapped[str | None] = mapped_column(String(120))
    shifts: Mapped[list["Shift"]] = relationship(order_by="Shift.from_us")


class Shift(Base):
    """One person's turn of a roster."""

    __tablename__ = "shifts"
    __table_args__ = (Index("ix_shifts_user_until", "user_id", "until_us"),)
    id: Mapped[Number]
    roster_id: Mapped[str] = ref("rosters")
    user_id: Mapped[str] = ref("users", index=False)
    from_us: Mapped[Us]
    until_us: Mapped[Us]


class BreakGlass(Base):
    """A right that a supervisor took upon herself, and what a person of another role said of it."""

    __tablename__ = "break_glasses"
    grant_id: Mapped[str] = ref("grants", primary_key=True, index=False)
    user_id: Mapped[str] = ref("users")
    # By when it is to be reviewed.
    due_us: Mapped[Us]
    reviewed_us: Mapped[Us | None]
    reviewed_by: Mapped[str | None] = mapped_column(String(120))
    justified: Mapped[bool | None]
    opinion: Mapped[Text_ | None]


class RightsSetting(Base):
    """A field of ``bidwitness.rights.RightsPolicy`` that is not as it was delivered."""

    __tablename__ = "rights_settings"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    chosen: Mapped[bool]
    changed_us: Mapped[Us]
    changed_by: Mapped[str] = mapped_column(String(120))

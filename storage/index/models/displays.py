"""Registered displays (显示终端), and the networks that duty may be done from.

Rows are revoked or ended, never removed: what was shown where can be said for good.
"""

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from bidwitness.storage.index.models.base import Base, Id, Json, Text_, Us, ref, word
from bidwitness.words import ProjectCategory, RoomKind


class Display(Base):
    """A screen with a credential of its own. It shows live pictures within its scope.

    Where it stands is a room or, in words, a place. Its pairing code and its credential are kept
    as SHA-256; ``next_sha256`` is the credential it was offered and has not used yet.
    """

    __tablename__ = "displays"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(120))
    room_id: Mapped[str | None] = ref("rooms", index=False)
    place: Mapped[str | None] = mapped_column(String(200))
    # What it shows: all parts that are given have to fit; no rooms: all of them.
    site_id: Mapped[str | None] = ref("sites", index=False)
    room_kind: Mapped[RoomKind | None] = word(RoomKind)
    category: Mapped[ProjectCategory | None] = word(ProjectCategory)
    department: Mapped[Text_ | None]
    room_ids: Mapped[Json]
    # The address or network that it is bound to, if any.
    network: Mapped[str | None] = mapped_column(String(64))
    reason: Mapped[Text_]
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    code_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    code_until_us: Mapped[Us | None]
    paired_us: Mapped[Us | None]
    token_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    next_sha256: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    renewed_us: Mapped[Us | None]
    seen_us: Mapped[Us | None]
    seen_from: Mapped[str | None] = mapped_column(String(64))
    revoked_us: Mapped[Us | None]
    revoked_by: Mapped[str | None] = mapped_column(String(120))


class DutyNetwork(Base):
    """A network that duty may be done from, where the centre wants a post for it."""

    __tablename__ = "duty_networks"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(120))
    network: Mapped[str] = mapped_column(String(64))
    made_us: Mapped[Us]
    made_by: Mapped[str] = mapped_column(String(120))
    ended_us: Mapped[Us | None]
    ended_by: Mapped[str | None] = mapped_column(String(120))

"""Projects, their lots, and the phases a lot goes through."""

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidwitness.storage.index.models.base import Base, Id, Number, Text_, Us, ref, word
from bidwitness.words import LotPhase, ProjectCategory

NO_LOT = "-"


class Project(Base):
    __tablename__ = "projects"
    id: Mapped[Id]
    code: Mapped[str] = mapped_column(String(120), unique=True)
    # 统一交易标识码
    trade_code: Mapped[str | None] = mapped_column(String(120))
    name: Mapped[Text_]
    category: Mapped[ProjectCategory] = word(ProjectCategory)
    method: Mapped[str | None] = mapped_column(String(120))
    initiator: Mapped[Text_ | None]
    agency: Mapped[Text_ | None]
    department: Mapped[Text_ | None]
    owner: Mapped[Text_ | None]
    created_us: Mapped[Us]
    lots: Mapped[list["Lot"]] = relationship(back_populates="project")


class Lot(Base):
    """A 标段; a project without one has the lot ``-``. Retention hangs on it."""

    __tablename__ = "lots"
    __table_args__ = (UniqueConstraint("project_id", "code"),)
    id: Mapped[Id]
    project_id: Mapped[str] = ref("projects", index=False)
    code: Mapped[str] = mapped_column(String(64), default=NO_LOT)
    name: Mapped[Text_ | None]
    phase: Mapped[LotPhase] = word(LotPhase)
    # From when the legal period counts, and when it ends; unknown until the trade says so.
    retention_from_us: Mapped[Us | None]
    retention_until_us: Mapped[Us | None]
    project: Mapped[Project] = relationship(back_populates="lots")


class PhaseChange(Base):
    __tablename__ = "phase_changes"
    id: Mapped[Number]
    lot_id: Mapped[str] = ref("lots")
    phase: Mapped[LotPhase] = word(LotPhase)
    at_us: Mapped[Us]
    by: Mapped[str] = mapped_column(String(120))
    document_no: Mapped[str | None] = mapped_column(String(200))
    recorded_us: Mapped[Us]

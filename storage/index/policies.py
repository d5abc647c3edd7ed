"""The retention policies an installation begins with. An administrator may change every one."""

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.config import Settings
from bidwitness.storage.index.models import RetentionPolicy
from bidwitness.words import ProjectCategory, RoomKind

# What goes on in them is secret, and complaints about it come late.
LONG_LOOP = frozenset({RoomKind.EVALUATION, RoomKind.NEGOTIATION, RoomKind.CLARIFICATION})
# People rest there: no camera, so no loop.
NO_LOOP = frozenset({RoomKind.REST})
PUBLIC_PLACES = frozenset({RoomKind.PUBLIC, RoomKind.CORRIDOR})
PUBLIC_LAW = "《公共安全视频图像信息系统管理条例》第十七条: 不少于三十日"
OWN_RULE = "本单位规定"
PROCUREMENT_YEARS = 15
PROCUREMENT_LAW = "《政府采购法》第四十二条: 自采购结束之日起至少十五年"
MADE_BY = "bidwitness"


def default_loop_days(kind: RoomKind, settings: Settings) -> int:
    """Give how long footage that nobody claims is kept, by the kind of its room."""
    return settings.evaluation_loop_days if kind in LONG_LOOP else settings.loop_days


def seed_policies(orm: Orm, settings: Settings, now_us: int) -> int:
    """Add the first policies to an index that has none; give how many. Call under a lock.

    Years are set only where a law names them: footage whose period is not known is kept.
    """
    if orm.scalars(select(RetentionPolicy.id).limit(1)).first() is not None:
        return 0
    added = [
        RetentionPolicy(
            room_kind=kind,
            loop_days=default_loop_days(kind, settings),
            basis=PUBLIC_LAW if kind in PUBLIC_PLACES else OWN_RULE,
            changed_us=now_us,
            changed_by=MADE_BY,
        )
        for kind in RoomKind
        if kind not in NO_LOOP
    ]
    years = RetentionPolicy(
        category=ProjectCategory.PROCUREMENT,
        keep_years=PROCUREMENT_YEARS,
        basis=PROCUREMENT_LAW,
        changed_us=now_us,
        changed_by=MADE_BY,
    )
    orm.add_all([*added, years])
    orm.flush()
    return len(added) + 1

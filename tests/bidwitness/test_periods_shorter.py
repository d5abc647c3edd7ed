"""Whether other policies let footage go sooner."""

import pytest

from bidwitness.periods import Policy, shortens
from bidwitness.words import ProjectCategory, RoomKind, SessionKind

DEFAULTS = dict.fromkeys(RoomKind, 90)
LAND = ProjectCategory.LAND
EVALUATION = RoomKind.EVALUATION


@pytest.mark.parametrize(
    ("before", "after", "sooner"),
    [
        ([], [], False),
        ([], [Policy(loop_days=90)], False),
        ([], [Policy(loop_days=89)], True),
        ([], [Policy(room_kind=EVALUATION, loop_days=180)], False),
        ([Policy(room_kind=EVALUATION, loop_days=180)], [], True),
        # A policy of its own wins over the one for any room, also where it is shorter.
        (
            [Policy(loop_days=200)],
            [Policy(loop_days=200), Policy(room_kind=EVALUATION, loop_days=180)],
            True,
        ),
        # Without a period footage is kept for ever: each period is shorter than none.
        ([], [Policy(category=LAND, keep_years=100)], True),
        ([Policy(category=LAND, keep_years=30)], [], False),
        ([Policy(category=LAND, keep_years=15)], [Policy(category=LAND, keep_years=16)], False),
        ([Policy(category=LAND, keep_years=15)], [Policy(category=LAND, keep_years=14)], True),
        (
            [Policy(category=LAND, keep_years=15)],
            [
                Policy(category=LAND, keep_years=15),
                Policy(session_kind=SessionKind.OPENING, category=LAND, keep_years=10),
            ],
            True,
        ),
    ],
)
def test_what_goes_sooner(before: list[Policy], after: list[Policy], sooner: bool) -> None:
    assert shortens(before, after, DEFAULTS) is sooner

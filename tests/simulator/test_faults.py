"""Faults are read strictly and end when they should."""

import pytest

from bidwitness.errors import InvalidInput
from bidwitness.simulator.faults import Fault, FaultBoard, FaultKind, fault_from

SECOND = 1_000_000


def test_a_fault_ends_by_itself() -> None:
    board = FaultBoard()
    board.set(fault_from({"kind": "stall", "seconds": 1.5}), now_us=0)
    assert board.names(SECOND) == ["stall"]
    assert board.get(FaultKind.DROP, SECOND) is None
    assert board.get(FaultKind.STALL, 3 * SECOND // 2) is None
    assert board.names(0) == []


def test_a_lasting_fault_ends_when_cleared() -> None:
    board = FaultBoard()
    board.set(fault_from({"kind": "skew", "ms": -700}), now_us=0)
    assert board.get(FaultKind.SKEW, 10**12) == Fault(FaultKind.SKEW, None, ms=-700)
    board.clear()
    assert board.names(10**12) == []


@pytest.mark.parametrize(
    "item",
    [
        {},
        {"kind": "fire"},
        {"kind": "drop"},
        {"kind": "stall", "seconds": 0},
        {"kind": "stall", "seconds": "1"},
        {"kind": "skew", "ms": 1.5},
        {"kind": "resolution", "width": 640},
        {"kind": "resolution", "width": 641, "height": 360},
    ],
)
def test_a_wrong_fault_is_refused(item: dict[str, object]) -> None:
    with pytest.raises(InvalidInput):
        fault_from(item)

"""What a fragment refuses to hold (reading back is proved in test_boxes)."""

import pytest

from bidwitness.storage.media.fragments import Sample, write_fragment


def test_a_fragment_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a sample"):
        write_fragment(1, 1, 0, [])


@pytest.mark.parametrize(
    ("dts", "sample"), [(-1, Sample(b"x", 1, True)), (0, Sample(b"x", 2**32, True))]
)
def test_figures_that_do_not_fit_are_refused(dts: int, sample: Sample) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        write_fragment(1, 1, dts, [sample])


def test_equal_durations_are_said_once() -> None:
    same = write_fragment(1, 1, 0, [Sample(b"x", 3600, i == 0) for i in range(12)])
    other = write_fragment(1, 1, 0, [Sample(b"x", 3600 + i, i == 0) for i in range(12)])
    assert len(other) - len(same) == 12 * 4

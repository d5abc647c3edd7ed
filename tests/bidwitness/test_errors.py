"""The tree of errors is what its drawing says."""

import re

from bidwitness import errors
from bidwitness.errors import BidWitnessError


def test_the_drawing_tells_the_truth() -> None:
    assert errors.__doc__ is not None
    drawn = re.findall(r"[├└]── (\w+) +(?:(\d+) / (\d+))?", errors.__doc__)
    for name, status, code in drawn:
        kind = getattr(errors, name)
        assert issubclass(kind, BidWitnessError)
        if status:
            assert (kind.status, kind.exit_code) == (int(status), int(code)), name
    every = {n for n in vars(errors) if isinstance(getattr(errors, n), type)} - {"BidWitnessError"}
    classes = {n for n in every if issubclass(getattr(errors, n), BidWitnessError)}
    assert {name for name, _, _ in drawn} == classes


def test_kinds_are_names_of_their_own() -> None:
    kinds = [
        c.kind
        for c in vars(errors).values()
        if isinstance(c, type) and issubclass(c, BidWitnessError)
    ]
    assert len(kinds) == len(set(kinds))

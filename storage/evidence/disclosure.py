"""A segment of which only some pieces are handed out, proved against the root of them all.

The hashes of what is withheld stand in for it, so that the recipient rebuilds the root that the
record names and learns nothing of the rest.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bidwitness.storage.evidence.canonical import BadRecord, JsonValue, canonical
from bidwitness.storage.evidence.merkle import root_from_disclosed, withheld_hashes
from bidwitness.storage.evidence.schema import Count, Day, Hex32, Name, from_json, to_json

DISCLOSURE = {"v": 1, "t": "disclosure"}


@dataclass(frozen=True)
class WithheldFacts:
    """Roots of the largest subtrees without a piece that is handed out, from left to right."""

    sha256: tuple[Hex32, ...]
    sm3: tuple[Hex32, ...]


@dataclass(frozen=True)
class DisclosureFacts:
    """Which pieces of a segment a package holds: ranges of their numbers, ends included."""

    stream: Name
    day: Day
    seq: Count
    kept: tuple[tuple[Count, Count], ...]
    withheld: WithheldFacts

    def __post_init__(self) -> None:
        last = -1
        for first, final in self.kept:
            if not last < first <= final:
                raise BadRecord("kept: ranges must ascend and not overlap")
            last = final

    def count(self) -> int:
        """Give how many pieces are kept."""
        return sum(final - first + 1 for first, final in self.kept)

    def numbers(self) -> Iterable[int]:
        for first, final in self.kept:
            yield from range(first, final + 1)


def ranges(numbers: Collection[int]) -> tuple[tuple[int, int], ...]:
    """Give sorted numbers as ranges with both ends included."""
    out: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if out and number == out[-1][1] + 1:
            out[-1] = (out[-1][0], number)
        else:
            out.append((number, number))
    return tuple(out)


def disclose(
    stream: str,
    day: str,
    seq: int,
    leaves: Mapping[str, Sequence[bytes]],
    keep: Collection[int],
) -> DisclosureFacts:
    """State which pieces are handed out. ``leaves``: all the segment's leaf hashes, by hash."""
    hashes = {
        name: tuple(item.hex() for item in withheld_hashes(all_of_it, keep, name))
        for name, all_of_it in leaves.items()
    }
    withheld = WithheldFacts(hashes["sha256"], hashes["sm3"])
    return DisclosureFacts(stream, day, seq, ranges(keep), withheld)


def disclosed_root(
    facts: DisclosureFacts, size: int, kept: Sequence[bytes], hash_name: str
) -> bytes:
    """Rebuild the root from the kept pieces' leaf hashes. Raises ``ValueError`` if they cannot be
    what the disclosure says."""
    if facts.count() != len(kept):
        raise ValueError(f"{facts.count()} pieces are announced, {len(kept)} are there")
    named = facts.withheld.sha256 if hash_name == "sha256" else facts.withheld.sm3
    by_number = dict(zip(facts.numbers(), kept, strict=True))
    return root_from_disclosed(size, by_number, [bytes.fromhex(item) for item in named], hash_name)


def disclosure_line(facts: DisclosureFacts) -> bytes:
    """Give the canonical line of a disclosure."""
    return canonical({**DISCLOSURE, **to_json(facts)})


def read_disclosure(obj: dict[str, JsonValue]) -> DisclosureFacts:
    """Read a disclosure of unknown origin. Raises ``BadRecord``."""
    rest = dict(obj)
    version, kind = rest.pop("v", None), rest.pop("t", None)
    if version is True or {"v": version, "t": kind} != DISCLOSURE:
        raise BadRecord("$.t: not a disclosure of a known version")
    facts: DisclosureFacts = from_json(DisclosureFacts, rest)
    return facts

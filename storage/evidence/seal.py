"""What a session's close record says: stretches of its streams' chains, coverage, and damage."""

from collections.abc import Callable, Iterable, Sequence
from typing import IO

from bidwitness.intervals import Interval, intersect, subtract, total
from bidwitness.storage.evidence.chain import Link, record_name
from bidwitness.storage.evidence.checkfile import check_source
from bidwitness.storage.evidence.footage import overlapping, recorded_spans
from bidwitness.storage.evidence.records import SegmentFacts, StreamRecord
from bidwitness.storage.evidence.session_records import CoverageFacts, HeadFacts


def heads_of(links: Sequence[Link], claimed: Iterable[Interval]) -> list[HeadFacts]:
    """Give the stretches of a stream's chain that concern some claimed times.

    ``links``: the stream's records in the order of the chain, at least those of the claimed days.
    Stretches of a day that meet become one.
    """
    days: dict[str, dict[int, Link]] = {}
    for link in links:
        days.setdefault(link.facts.place.day, {})[link.facts.place.seq] = link
    heads: list[HeadFacts] = []
    for day, by_seq in sorted(days.items()):
        stretches: list[tuple[int, int]] = []
        for span in sorted(claimed):
            touched = [seq for seq, link in by_seq.items() if overlapping(link.facts, [span])]
            if touched:
                stretches.append((min(touched), max(touched)))
        for first, last in _merged(stretches):
            stream = by_seq[last].facts.place.stream
            heads.append(HeadFacts(stream, day, first, last, by_seq[last].leaf))
    return heads


def _merged(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for first, last in sorted(stretches):
        if out and first <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], last))
        else:
            out.append((first, last))
    return out


def coverage_facts(
    stream: str,
    medium: str,
    due: Sequence[Interval],
    records: Sequence[StreamRecord],
    spare: Sequence[StreamRecord] = (),
) -> CoverageFacts:
    """Give how much of what was due of a medium is recorded, by the records that the close names.

    ``spare``: the records of the camera's sub-stream, where only it has the footage: degraded.
    The verifier computes the same from the same records.
    """
    held = recorded_spans(records, medium)
    missing = subtract(due, held)
    return CoverageFacts(
        stream=stream,
        medium=medium,
        due_us=total(due),
        recorded_us=total(intersect(due, held)),
        degraded_us=total(intersect(missing, recorded_spans(spare, medium))),
    )


def damage(
    segments: Iterable[tuple[SegmentFacts, Callable[[], IO[bytes]]]],
) -> list[str]:
    """Read every named segment again; name those that are missing or differ from their record.

    Lets errors of the store itself pass: a store that does not answer is no damage. An opener
    raises ``FileNotFoundError`` for bytes that are not there.
    """
    found: list[str] = []
    for facts, opener in segments:
        name = record_name(facts)
        try:
            source = opener()
        except FileNotFoundError:
            found.append(f"{name}: missing")
            continue
        with source:
            finding = check_source(source, facts)
        if finding.wrong:
            found.append(f"{name}: {'; '.join(finding.wrong)}")
    return found

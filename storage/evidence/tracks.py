"""What a package holds of each track: one medium of a stream, in the form it is stored in."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bidwitness.storage.evidence.chain import Problem
from bidwitness.storage.evidence.checkfile import SoundFinding
from bidwitness.storage.evidence.records import SegmentFacts, TrackFacts

# Stored as the camera sent it, as the record says: there is nothing to turn back.
AS_RECEIVED = "as_received"
# What was received was rebuilt, and has the digest that the record states of it.
REBUILT = "rebuilt"
DIFFERS = "differs"
NOT_REBUILT = "not_checked"
# Turned into another form, and the record has no digest of what was received.
NOT_STATED = "not_stated"
# Of the sound nothing is handed out.
WITHHELD = "withheld"
_WORST_FIRST = (DIFFERS, NOT_REBUILT, NOT_STATED, REBUILT, AS_RECEIVED, WITHHELD)
_MEDIA = frozenset(("picture", "sound", "screen"))


@dataclass
class TrackReport:
    """A track in the package. ``conversion``: one of the words above, the worst of its files;
    ``rebuilt`` of ``fragments`` gave back what was received."""

    medium: str
    codec: str
    source_codec: str | None
    files: int = 0
    conversion: str = WITHHELD
    fragments: int = 0
    rebuilt: int = 0
    problems: int = 0


def tracks_of(
    files: Iterable[tuple[SegmentFacts, str]], sounds: Mapping[str, SoundFinding]
) -> list[TrackReport]:
    """Give the tracks of some files, each by its record and name. ``sounds``: by the file's name."""
    found: dict[tuple[str, str, str], TrackReport] = {}
    for facts, name in files:
        filled = {media.track for media in facts.media if media.frames}
        for track in facts.tracks:
            if track.id not in filled:
                continue
            key = (track.medium, track.codec, track.source_codec or "")
            report = found.setdefault(
                key, TrackReport(track.medium, track.codec, track.source_codec)
            )
            report.files += 1
            _add_conversion(report, facts, track, sounds.get(name))
    return [found[key] for key in sorted(found)]


def _add_conversion(
    report: TrackReport, facts: SegmentFacts, track: TrackFacts, sound: SoundFinding | None
) -> None:
    stated = facts.g711
    if track.source_codec is None:
        now = AS_RECEIVED
    elif stated is None or stated.codec != track.source_codec:
        now = NOT_STATED
    elif sound is None:
        report.fragments += len(stated.sha256)
        now = NOT_REBUILT
    else:
        report.fragments += sound.fragments
        report.rebuilt += sound.rebuilt
        now = DIFFERS if sound.wrong else REBUILT if sound.fragments else WITHHELD
    report.conversion = min(report.conversion, now, key=_WORST_FIRST.index)


def concerns(problem: Problem, stream: str, medium: str | None = None) -> bool:
    """Say whether a problem is of a stream, and of a medium of it: if it names one, it is of no
    other."""
    whole = rf"(?<![A-Za-z0-9._:-]){re.escape(stream)}(?![A-Za-z0-9._:-])"
    if not re.search(whole, problem.where):
        return False
    named = _MEDIA.intersection(problem.where.split(" ")[1:])
    return medium is None or not named or medium in named


def count_problems(problems: Sequence[Problem], stream: str, tracks: Sequence[TrackReport]) -> int:
    """Give how many problems a stream has; put down how many each of its tracks has."""
    for track in tracks:
        track.problems = sum(concerns(problem, stream, track.medium) for problem in problems)
    return sum(concerns(problem, stream) for problem in problems)

"""Holding the files of a package, each read once, against manifests, records and one another."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from bidwitness.intervals import Interval
from bidwitness.storage.evidence.bag import Bag
from bidwitness.storage.evidence.chain import Link, Problem
from bidwitness.storage.evidence.checkfile import (
    FileFinding,
    SoundCheck,
    SoundFinding,
    Task,
    check_file,
)
from bidwitness.storage.evidence.disclosure import DisclosureFacts
from bidwitness.storage.evidence.footage import media_path, overlapping
from bidwitness.storage.evidence.records import SegmentFacts

RECORDINGS = "data/media/"
# Hashing leaves the interpreter's lock alone; two files at least are worked on at once.
WORKERS = min(16, max(4, os.cpu_count() or 1))


@dataclass
class StreamPart:
    """What has been read of one stream."""

    links: list[Link]
    disclosures: dict[tuple[str, int], DisclosureFacts] = field(default_factory=dict)
    claimed: list[Interval] = field(default_factory=list)
    covered: list[Link] = field(default_factory=list)


@dataclass
class MediaFindings:
    """What is wrong; and of each recording whose sound was rebuilt, by its name, how that went."""

    problems: list[Problem] = field(default_factory=list)
    sounds: dict[str, SoundFinding] = field(default_factory=dict)


def check_media(
    bag: Bag,
    streams: Mapping[str, StreamPart],
    check_sound: SoundCheck | None,
    *,
    recordings: bool,
) -> MediaFindings:
    """Read every file once, the recordings only if they are asked for."""
    found = MediaFindings()
    tasks = _tasks(bag, streams, found)
    expected = {task.name for task in tasks if task.facts}
    for name in bag.payload:
        if name.startswith(RECORDINGS) and name not in expected:
            detail = "belongs to no record of the package"
            found.problems.append(Problem("inserted", name, detail))
    if not recordings:
        tasks = [task for task in tasks if not task.name.startswith(RECORDINGS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda task: check_file(bag.files, task, check_sound), tasks))
    owners = {task.facts.file.sha256: task.name for task in tasks if task.facts is not None}
    for task, finding in zip(tasks, answers, strict=True):
        _judge(task, finding, owners, found)
    return found


def _tasks(bag: Bag, streams: Mapping[str, StreamPart], found: MediaFindings) -> list[Task]:
    """List every file to be read: payload and tag files, media with their records."""
    media: dict[str, Task] = {}
    sizes = bag.files.sizes()
    for stream in streams.values():
        for link in stream.links:
            if not isinstance(link.facts, SegmentFacts):
                continue
            name = media_path(link.facts.place, link.facts.start)
            disclosure = stream.disclosures.get(link.key)
            if name in sizes:
                media[name] = Task(name, bag.listed(name), link.facts, disclosure)
            elif overlapping(link.facts, stream.claimed) and (
                disclosure is None or disclosure.kept
            ):
                detail = f"the file of {link.name} is not there"
                found.problems.append(Problem("missing", name, detail))
    others = [Task(name, bag.listed(name)) for name in sorted(sizes) if name not in media]
    return [*media.values(), *others]


def _judge(
    task: Task, finding: FileFinding, owners: Mapping[str, str], found: MediaFindings
) -> None:
    if finding.sound is not None:
        found.sounds[task.name] = finding.sound
        if finding.sound.wrong and not finding.wrong:
            # The file is the one of the record, so that the record contradicts itself.
            detail = "; ".join(finding.sound.wrong)
            found.problems.append(Problem("inconsistent", f"{task.name} sound", detail))
    if not finding.wrong:
        return
    other = owners.get(finding.sha256)
    if task.facts is not None and other not in (None, task.name):
        found.problems.append(Problem("swapped", task.name, f"holds the bytes of {other}"))
    else:
        found.problems.append(Problem(finding.kind, task.name, "; ".join(finding.wrong)))

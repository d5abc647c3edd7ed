"""Verifying a package offline: every file, every record, every chain, and what they cover.

Without keys from outside the package nobody says who made it: a package in which everything fits
together is then ``unproven``, never ``authentic``.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from bidwitness.intervals import Interval, intersect, subtract, total
from bidwitness.storage.evidence.attached import ReportCheck, hold_reports
from bidwitness.storage.evidence.bag import TAG_MANIFEST, Bag, Unreadable, open_files
from bidwitness.storage.evidence.canonical import BadRecord, parse
from bidwitness.storage.evidence.chain import (
    Link,
    Problem,
    claimed_spans,
    follows,
    link_of_line,
    record_name,
    verify_links,
    verify_order,
    verify_runs,
    verify_session_chain,
    within_heads,
)
from bidwitness.storage.evidence.checkfile import SoundCheck, SoundFinding
from bidwitness.storage.evidence.disclosure import read_disclosure
from bidwitness.storage.evidence.footage import (
    gaps_within,
    media_of,
    media_path,
    overlapping,
    recorded_spans,
    records_path,
)
from bidwitness.storage.evidence.material import trust
from bidwitness.storage.evidence.media_check import StreamPart, check_media
from bidwitness.storage.evidence.merkle import available, hash_leaf
from bidwitness.storage.evidence.policy import BadPolicy, Policy
from bidwitness.storage.evidence.proof import (
    LOG_FOLDER,
    LogClaims,
    LogVerification,
    witness_words,
)
from bidwitness.storage.evidence.records import SegmentFacts
from bidwitness.storage.evidence.report import (
    AUTHENTIC,
    FALSE,
    NO_MEDIA,
    NO_SM3,
    NOT_CHECKED,
    UNPROVEN,
    UNREADABLE,
    UNSEALED,
    Report,
    StreamReport,
)
from bidwitness.storage.evidence.session_records import (
    CloseFacts,
    HeadFacts,
    SessionRecord,
    SpanFacts,
    SupplementFacts,
)
from bidwitness.storage.evidence.stamps import NO_TOKEN_CHECK, TokenCheck
from bidwitness.storage.evidence.tracks import tracks_of


def verify_package(
    path: Path,
    policy: Path | None = None,
    *,
    policy_key: str | None = None,
    media: bool = True,
    check_token: TokenCheck | None = None,
    check_report: ReportCheck | None = None,
    check_sound: SoundCheck | None = None,
) -> Report:
    """Verify a package: a zip, a bag's base folder, or a folder that holds exactly one bag.

    Never raises for what the package holds: the report tells. ``policy``: trust material from
    outside; without it nothing is ever authentic. ``policy_key``: a key, or its fingerprint, that
    published trust material must be signed by. Without ``media`` the recordings themselves are
    not read, only that they are there is seen; then nothing is authentic either. ``check_token``
    knows who may sign time stamps; without it only what they are over is looked at, and that is said.
    ``check_report`` in the same way knows signatures of evidence reports, ``check_sound`` how to
    rebuild the G.711 that was received.
    """
    report = Report(str(path))
    try:
        told = None if policy is None else trust(policy.read_bytes(), policy_key)
        with open_files(path) as files:
            trusted = told.policy if told else None
            run = _Verification(Bag(files), report, trusted, check_token, check_sound, media=media)
            run.run()
            run.check_reports(check_report)
    except (Unreadable, BadPolicy, OSError) as error:
        report.problems.append(Problem("unreadable", path.name, str(error)))
        report.exit_code = UNREADABLE
        return report
    if told is not None:
        report.trust = told.facts
        report.notes += told.notes
    report.not_checked += NOT_CHECKED
    if not available("sm3"):
        report.not_checked.append(NO_SM3)
    if not media:
        report.not_checked.append(NO_MEDIA)
        report.unproven.append(NO_MEDIA)
    proven = AUTHENTIC if not report.unproven else UNPROVEN
    report.exit_code = FALSE if report.problems else proven
    report.assign_problems()
    report.not_checked += report.unchecked_sounds()
    return report


class _Verification:
    def __init__(
        self,
        bag: Bag,
        report: Report,
        policy: Policy | None,
        check_token: TokenCheck | None,
        check_sound: SoundCheck | None,
        *,
        media: bool,
    ) -> None:
        self._bag = bag
        self._policy = policy
        self._check_token = check_token
        self._check_sound = check_sound
        self._media = media
        self._report = report
        self._streams: dict[str, StreamPart] = {}
        self._session: list[SessionRecord] = []
        self._leaves: list[str] = []
        self._sounds: dict[str, SoundFinding] = {}

    def run(self) -> None:
        """Fill the report."""
        self._report.info = dict(self._bag.info)
        self._report.digest = hashlib.sha256(self._bag.files.text(TAG_MANIFEST)).hexdigest()
        self._check_bag()
        self._read_session()
        self._read_streams()
        self._check_chains()
        self._check_media()
        self._check_coverage()
        self._check_log()

    def _wrong(self, kind: str, where: str, detail: str) -> None:
        self._report.problems.append(Problem(kind, where, detail))

    def _check_bag(self) -> None:
        for name in self._bag.missing():
            self._wrong("missing", name, "is listed and not there")
        for name in self._bag.unlisted():
            self._wrong("inserted", name, "is there and not listed in every manifest")
        for name in self._bag.strangers():
            self._report.notes.append((f"清单之外的文件 {name}", f"{name} is in no manifest"))
        sizes = self._bag.files.sizes()
        found = f"{sum(sizes[n] for n in self._bag.payload)}.{len(self._bag.payload)}"
        stated = self._bag.info.get("Payload-Oxum", found)
        if stated != found:
            self._wrong("inconsistent", "bag-info.txt", f"Payload-Oxum {stated} is {found}")

    def _lines(self, name: str) -> Iterable[tuple[str, bytes]]:
        """Give a file's lines, each with its place."""
        try:
            data = self._bag.files.text(name)
        except Unreadable as error:
            self._wrong("unreadable", name, str(error))
            return
        lines = data.split(b"\n")
        if lines.pop():
            self._wrong("modified", name, "its last line does not end")
        for number, line in enumerate(lines, 1):
            yield f"{name} line {number}", line

    def _files(self, folder: str) -> list[str]:
        return sorted(
            n
            for n in self._bag.payload
            if n.startswith(f"data/{folder}/") and n.endswith(".ndjson")
        )

    def _read_session(self) -> None:
        files = self._files("session")
        if len(files) != 1:
            self._wrong("missing", "data/session", f"one file is needed, {len(files)} are there")
        for name in files[:1]:
            try:
                lines = [line for _, line in self._lines(name)]
                facts, problems = verify_session_chain([parse(line) for line in lines])
            except BadRecord as error:
                self._wrong("modified", name, str(error))
                continue
            self._session = facts
            self._leaves = [hash_leaf(line).hex() for line in lines]
            self._report.problems += problems
            if facts:
                self._report.session = facts[0].place.session
        close = self._close()
        self._report.sealed = close is not None
        if close is None:
            self._report.notes.append(UNSEALED)
            self._report.unproven.append(UNSEALED)

    def _close(self) -> CloseFacts | None:
        return next((item for item in self._session if isinstance(item, CloseFacts)), None)

    def _read_streams(self) -> None:
        for name in self._files("records"):
            for where, line in self._lines(name):
                try:
                    link = link_of_line(line)
                except BadRecord as error:
                    self._wrong("modified", where, str(error))
                    continue
                place = link.facts.place
                if records_path(place.stream, place.day) != name:
                    self._wrong("swapped", name, f"holds a record of {record_name(link.facts)}")
                self._streams.setdefault(place.stream, StreamPart([])).links.append(link)
        for name in self._files("disclosures"):
            for where, line in self._lines(name):
                try:
                    facts = read_disclosure(parse(line))
                except BadRecord as error:
                    self._wrong("modified", where, str(error))
                    continue
                stream = self._streams.setdefault(facts.stream, StreamPart([]))
                if (facts.day, facts.seq) in stream.disclosures:
                    self._wrong("inserted", name, f"speaks twice of {facts.day}#{facts.seq}")
                stream.disclosures[facts.day, facts.seq] = facts
        claimed = claimed_spans(self._session)
        for stream_id, stream in self._streams.items():
            # An open claim reaches as far as there are records.
            known = [Interval(0, max((x.facts.end for x in stream.links), default=1))]
            spans = claimed.get(stream_id, [])
            stream.claimed = spans if self._report.sealed else intersect(spans, known)
            if not stream.claimed and self._session:
                self._wrong("inserted", stream_id, "the session claims nothing of this stream")
        for stream_id in sorted(set(claimed) - set(self._streams)):
            self._report.notes.append(
                (f"本包不含码流 {stream_id}", f"stream {stream_id} is not in this package")
            )

    def _heads(self) -> list[HeadFacts]:
        """Give the stretches that close and supplements name."""
        return [
            head
            for item in self._session
            if isinstance(item, CloseFacts | SupplementFacts)
            for head in item.heads
        ]

    def _check_chains(self) -> None:
        heads = self._heads()
        for stream_id, stream in sorted(self._streams.items()):
            if not self._report.sealed:
                self._report.problems += verify_links(stream.links)
                stream.covered = sorted(stream.links, key=lambda link: link.key)
                self._report.problems += verify_runs([link.facts for link in stream.covered])
                continue
            mine = sorted(
                (head for head in heads if head.stream == stream_id),
                key=lambda head: (head.day, head.first),
            )
            self._check_heads(stream_id, stream, mine)

    def _check_heads(self, stream_id: str, stream: StreamPart, heads: Sequence[HeadFacts]) -> None:
        """Each stretch that the close names must be there whole and end in its head."""
        rest = {id(link) for link in stream.links}
        self._report.problems += verify_order(stream.links)
        stream.covered = within_heads(stream.links, heads)
        end: Link | None = None
        for head in heads:
            part = within_heads(stream.covered, [head])
            rest -= {id(link) for link in part}
            self._check_stretch(stream_id, head, part)
            joined = [end, *part] if end and part and follows(end, part[0]) else part
            self._report.problems += verify_links(joined)
            self._report.problems += verify_runs([link.facts for link in joined])
            end = part[-1] if part else None
        if rest:
            name = next(link.name for link in stream.links if id(link) in rest)
            self._wrong("inserted", name, f"{len(rest)} record(s) the close does not speak of")

    def _check_stretch(self, stream_id: str, head: HeadFacts, part: Sequence[Link]) -> None:
        there = {link.facts.place.seq for link in part}
        name = f"{stream_id}/{head.day}#"
        lost = [seq for seq in (head.first, head.last) if seq not in there]
        if len(there) < head.last - head.first + 1:
            shown = f"{name}{lost[0]}" if lost else f"{name}{head.first} to {head.last}"
            count = head.last - head.first + 1 - len(there)
            self._wrong("removed", shown, f"{count} record(s) that the close names are missing")
        elif not part or part[-1].leaf != head.head:
            where = part[-1].name if part else f"{name}{head.last}"
            self._wrong("modified", where, "is not the record that the close names")

    def _check_media(self) -> None:
        found = check_media(self._bag, self._streams, self._check_sound, recordings=self._media)
        self._report.problems += found.problems
        self._sounds = found.sounds

    def _check_coverage(self) -> None:
        for stream_id, stream in sorted(self._streams.items()):
            self._report.streams.append(self._describe(stream_id, stream))
        close = self._close()
        for item in self._session:
            if close is not None and isinstance(item, CloseFacts | SupplementFacts):
                self._recompute(item, close.due)

    def _recompute(self, stated: CloseFacts | SupplementFacts, due: Sequence[SpanFacts]) -> None:
        """Hold what a close or supplement states against the records that it names itself."""
        streams = {entry.stream for entry in stated.coverage}
        named = {
            stream_id: [link.facts for link in within_heads(stream.covered, stated.heads)]
            for stream_id, stream in self._streams.items()
            if stream_id in streams
        }
        for entry in stated.coverage:
            if entry.stream not in named:
                continue
            wanted = [
                Interval(s.start, s.end)
                for s in due
                if s.stream == entry.stream and s.end > s.start
            ]
            spans = recorded_spans(named[entry.stream], entry.medium)
            due_us, recorded_us = total(wanted), total(intersect(wanted, spans))
            if (entry.due_us, entry.recorded_us) != (due_us, recorded_us):
                said = f"{entry.recorded_us} of {entry.due_us} µs recorded"
                shown = f"the records show {recorded_us} of {due_us}"
                where = f"{entry.stream} {entry.medium} in the {stated.T}"
                self._wrong("inconsistent", where, f"{said}; {shown}")

    def _check_log(self) -> None:
        """Hold records and stretches against the log; streams not in the package are not asked."""
        files: dict[str, bytes] = {}
        for name in (n for n in self._bag.payload if n.startswith(LOG_FOLDER)):
            try:
                files[name] = self._bag.files.text(name)
            except Unreadable as error:
                self._wrong("unreadable", name, str(error))
        heads = [head for head in self._heads() if head.stream in self._streams]
        times = [item.place.at for item in self._session]
        named = list(dict.fromkeys(heads))
        claims = LogClaims(self._report.session or "", self._leaves, named, times)
        found = LogVerification(files, self._policy, self._check_token).run(claims)
        self._report.problems += found.problems
        self._report.unproven += found.unproven
        self._report.logs = found.logs
        self._report.stamps = [vars(stamp) for stamp in found.stamps]
        if found.stamps and self._check_token is None:
            self._report.not_checked.append(NO_TOKEN_CHECK)
        words = witness_words(self._policy) if self._policy is not None else None
        self._report.notes += [words] if words else []

    def check_reports(self, check: ReportCheck | None) -> None:
        """Hold evidence reports beside the payload against the records. Call after ``run``."""
        signers = self._policy.reports if self._policy is not None else ()
        found = hold_reports(self._bag.files, self._report.session, self._leaves, signers, check)
        self._report.problems += found.problems
        self._report.notes += found.notes
        self._report.reports = found.reports
        self._report.not_checked += found.not_checked

    def _describe(self, stream_id: str, stream: StreamPart) -> StreamReport:
        report = StreamReport(stream_id, stream.claimed)
        sizes = self._bag.files.sizes()
        segments = [item.facts for item in stream.links if isinstance(item.facts, SegmentFacts)]
        named = [(facts, media_path(facts.place, facts.start)) for facts in segments]
        for facts, name in named:
            disclosure = stream.disclosures.get((facts.place.day, facts.place.seq))
            if name in sizes:
                report.segments += 1
                report.bytes += sizes[name]
                report.partial += disclosure is not None
            elif overlapping(facts, stream.claimed):
                report.withheld += intersect([Interval(facts.start, facts.end)], stream.claimed)
        covered = [link.facts for link in stream.covered]
        for medium in sorted({m for item in segments for m in media_of(item)}):
            spans = intersect(recorded_spans(covered, medium), stream.claimed)
            report.recorded_us[medium] = total(spans)
        report.tracks = tracks_of([pair for pair in named if pair[1] in sizes], self._sounds)
        held = [Interval(item.start, item.end) for item in segments]
        found = gaps_within(covered, stream.claimed)
        report.gaps = [(gap.cause, gap.medium, part) for gap, part in found]
        report.unexplained = subtract(stream.claimed, [*held, *(part for _, part in found)])
        return report

"""What a playback gets: playlists, entries cut out of the footage, the init of one track.

Everything is asked of a ``Scope`` that was checked a moment ago. Bytes of another track, of another
session or of beyond a grant never come out of here, whatever address was guessed.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bidwitness.clock import Clock
from bidwitness.errors import DamageFound, NotFound
from bidwitness.intervals import Interval
from bidwitness.player.cache import Lru
from bidwitness.player.cutting import TrackFragment, adjoins
from bidwitness.player.gops import ROUNDING_US, Gop, GopPart, up_to
from bidwitness.player.keyframes import key_alone
from bidwitness.player.plans import Plan
from bidwitness.player.playbacks import Scope
from bidwitness.player.playlist import SILENCE_US, FragmentSource, Line, Source, lay_out, render
from bidwitness.player.segments import (
    Held,
    being_written,
    committed,
    committed_one,
    committed_with,
    pieces_of,
    track_fragments,
)
from bidwitness.player.tables import Reader, Tables, WholeSource
from bidwitness.player.uncommitted import closed_uncommitted
from bidwitness.seam import visible
from bidwitness.storage.index.database import Database
from bidwitness.storage.index.footage import MAX_SEGMENT_US
from bidwitness.storage.index.models import Init
from bidwitness.storage.media.boxes import one_track_init
from bidwitness.storage.spool.reading import read_range
from bidwitness.words import Medium

# So far beyond an edge footage is looked at, to see whose a GOP on it is.
AROUND_US = 120_000_000
# Footage up to the end of a playback may take so long to be committed.
SETTLE_US = 30_000_000
ENTRY_LIMIT = 64 * 1024 * 1024
INITS = 200


SECOND = 1_000_000

_Key = tuple[str, int]


@dataclass(frozen=True, slots=True)
class EntryBytes:
    """A cut entry, a tag that names exactly these bytes, and the time that they show."""

    data: bytes
    etag: str
    interval: Interval


@dataclass(frozen=True, slots=True)
class Permitted:
    """Which fragments of a track may be shown: of some segments all, of others those listed."""

    whole: frozenset[_Key]
    parts: Mapping[_Key, frozenset[int]]

    def allows(self, run: str, run_seq: int, ordinal: int) -> bool:
        """Say whether fragment ``ordinal`` of a segment's track may be shown."""
        key = (run, run_seq)
        return key in self.whole or ordinal in self.parts.get(key, ())


@dataclass(frozen=True, slots=True)
class _Shown:
    """What of one track of a segment may be shown; ``finished``: no more of it will be."""

    fragments: tuple[TrackFragment, ...]
    finished: bool


class Pieces:
    """Cuts what playbacks ask for. Remembers how segments are cut, never their bytes."""

    def __init__(self, spool: Path, database: Database, clock: Clock, footage: Reader) -> None:
        self._spool = spool
        self._database = database
        self._clock = clock
        self._footage = footage
        self._tables = Tables(database, footage)
        self._inits: Lru[tuple[str, Medium], bytes] = Lru(INITS)

    def playlist(self, scope: Scope) -> str:
        """Write the playlist of what the scope may show."""
        lines, ended = self.lines(scope)
        return render(lines, ended=ended)

    def lines(self, scope: Scope) -> tuple[list[Line], bool]:
        """Lay out what the scope may show; say whether that is all there will be."""
        now = self._clock.utc_us()
        window, until = scope.window, scope.until_us
        reach = now if until is None else min(until, now)
        sources = self._sources(scope, self._held(scope.stream_id, window.start, reach))
        last = max((source.to_us for source in sources), default=window.start)
        if (
            until is not None
            and now >= until
            and (now >= until + SETTLE_US or adjoins(last, until) or last > until)
        ):
            return lay_out(sources, window.start, until, now_us=now), True
        seen = now if until is None else min(now, until + SILENCE_US)
        return lay_out(sources, window.start, None, now_us=seen), False

    def entry(self, scope: Scope, run: str, run_seq: int, first: int, last: int) -> EntryBytes:
        """Cut the fragments ``first`` to ``last`` of the scope's track out of a segment.

        Raises ``NotFound`` unless the scope may show each of them.
        """
        held, track, shown = self._segment(scope, run, run_seq)
        wanted = [fragment for fragment in shown if first <= fragment.ordinal <= last]
        if not wanted or len(wanted) != last - first + 1:
            raise _not_held()
        offset = wanted[0].offset
        length = wanted[-1].offset + wanted[-1].size - offset
        if length > ENTRY_LIMIT:
            raise NotFound("No entry is that long.")
        # One ranged read; what lies between, of other tracks, is left out.
        data = self._read(held, offset, length)
        parts = [data[f.offset - offset : f.offset - offset + f.size] for f in wanted]
        # The bytes of a fragment never change, also not when its segment is closed.
        tag = _tag(f"{scope.stream_id} {run} {run_seq} {track} {first} {last}")
        return EntryBytes(b"".join(parts), tag, _time_of(wanted))

    def shown(self, scope: Scope, time: Interval) -> list[tuple[Held, Sequence[TrackFragment]]]:
        """Give what the scope may show of its track in a time and about it, as for entries.

        It comes segment by segment in the order of the recording.
        """
        held = self._held(scope.stream_id, time.start, time.end)
        edge, _ = self._sort(scope, held)
        judged = self._judge(scope, [found for found in held if found.key in edge])
        out: list[tuple[Held, Sequence[TrackFragment]]] = []
        for found in held:
            track = found.track(scope.medium)
            if found.key in edge:
                seen = judged.get(found.key)
                out.append((found, seen.fragments if seen is not None else ()))
            elif track is not None:
                out.append((found, track_fragments(self._tables.table(found), track)))
        return out

    def keys(self, scope: Scope, run: str, run_seq: int, ordinals: Sequence[int]) -> EntryBytes:
        """Cut the key frames that begin the given fragments of a segment out of it.

        Raises ``NotFound`` unless they are in order, the scope may show each, and each is one.
        """
        held, track, shown = self._segment(scope, run, run_seq)
        wanted = [f for f in shown if f.key and f.ordinal in set(ordinals)]
        if not wanted or [f.ordinal for f in wanted] != list(ordinals):
            raise _not_held()
        if sum(f.size for f in wanted) > ENTRY_LIMIT:
            raise NotFound("No piece is that long.")
        parts = [
            key_alone(self._read(held, f.offset, f.size), place)
            for place, f in enumerate(wanted, start=1)
        ]
        tag = _tag(f"{scope.stream_id} {run} {run_seq} {track} keys {list(ordinals)}")
        return EntryBytes(b"".join(parts), tag, _time_of(wanted))

    def init(self, scope: Scope, init_id: str) -> bytes:
        """Give the init of the scope's track alone. Raises ``NotFound``."""
        with self._database.read() as orm:
            held = committed_with(orm, scope.stream_id, self._time(scope), init_id)
        if held is None:
            spooled = self._spooled(scope.stream_id, (), self._recently(scope))
            held = next((found for found in spooled if found.init == init_id), None)
        track = held.track(scope.medium) if held is not None else None
        if held is None or track is None:
            raise _not_held()
        return self._inits.get_or_make(
            (init_id, scope.medium), lambda: one_track_init(self._init_body(held), track)
        )

    def permitted(self, scope: Scope, time: Interval) -> Permitted:
        """Say which fragments of the scope's track in a time it may show, as for entries."""
        held = self._held(scope.stream_id, time.start, time.end)
        edge, _ = self._sort(scope, held)
        shown = self._judge(scope, [found for found in held if found.key in edge])
        return Permitted(
            frozenset(found.key for found in held if found.key not in edge),
            {key: frozenset(f.ordinal for f in seen.fragments) for key, seen in shown.items()},
        )

    def gop_at(self, scope: Scope, at_us: int) -> Gop:
        """Read the pictures from the key frame before an instant up to it.

        Raises ``NotFound`` if there is no picture then, or the scope may not show all of them.
        """
        held = self._held(scope.stream_id, at_us, at_us + 1)
        near = [f for f in held if f.from_us <= at_us < f.to_us + ROUNDING_US]
        for found in reversed(near):
            track = found.track(scope.medium)
            if track is None:
                continue
            chosen = up_to(self._run_of(scope, held, found, track), at_us)
            if chosen:
                parts = tuple(GopPart(h, f, self._read(h, f.offset, f.size)) for h, f in chosen)
                init = one_track_init(self._init_body(found), track)
                return Gop(found.init, init, track, self._tables.table(found), parts)
        raise NotFound("There is no picture at that instant, or none that may be shown.")

    def _run_of(
        self, scope: Scope, held: Sequence[Held], found: Held, track: int
    ) -> list[tuple[Held, TrackFragment]]:
        """Give what may be shown of a segment, behind that of the one it may go on from."""
        before = (found.run, found.run_seq - 1)
        both = [one for one in held if one.key == before and one.init == found.init]
        return [
            (one, fragment)
            for one in [*both, found]
            for fragment in self._fragments(scope, one, track)
        ]

    def _init_body(self, held: Held) -> bytes:
        with self._database.read() as orm:
            row = orm.get(Init, held.init)
        if row is not None:
            return row.body
        if held.path is None:
            raise DamageFound(f"The init {held.init} is not in the index.")
        return read_range(self._spool, held.path, 0, held.init_size)

    def _time(self, scope: Scope) -> Interval:
        """Give the scope's window, as far as it can hold footage."""
        end = min(scope.window.end, self._clock.utc_us() + 1)
        return Interval(scope.window.start, max(end, scope.window.start + 1))

    def _recently(self, scope: Scope) -> int:
        """What is not committed is not old: the index answers, so committing goes on."""
        return max(scope.window.start, self._clock.utc_us() - MAX_SEGMENT_US)

    def _one(self, scope: Scope, run: str, run_seq: int) -> Held | None:
        with self._database.read() as orm:
            held = committed_one(orm, scope.stream_id, self._time(scope), run, run_seq)
        if held is not None:
            return held
        spooled = self._spooled(scope.stream_id, (), self._recently(scope))
        return next((found for found in spooled if found.key == (run, run_seq)), None)

    def _segment(
        self, scope: Scope, run: str, run_seq: int
    ) -> tuple[Held, int, Sequence[TrackFragment]]:
        """Give a segment, the scope's track in it, and what of that it may show."""
        held = self._one(scope, run, run_seq)
        track = held.track(scope.medium) if held is not None else None
        if held is None or track is None:
            raise _not_held()
        return held, track, self._fragments(scope, held, track)

    def _held(self, stream_id: str, from_us: int, to_us: int) -> list[Held]:
        """Give the segments of a time and about it, what is being written now included."""
        start, end = from_us - AROUND_US, max(from_us, to_us) + AROUND_US
        with self._database.read() as orm:
            held = committed(orm, stream_id, start, end)
        if end < self._clock.utc_us():
            return held
        known = {found.key for found in held}
        return held + [
            found
            for found in self._spooled(stream_id, known, start)
            if found.from_us < end and found.to_us > start
        ]

    def _spooled(self, stream_id: str, known: Collection[_Key], from_us: int) -> list[Held]:
        """Give what lies in the spool and is not committed: closed or being written."""
        # In this order: a segment that is closed in between is found, perhaps twice.
        writing = being_written(self._spool, stream_id, known)
        closed = closed_uncommitted(self._spool, stream_id, known, from_us)
        done = {found.key for found in closed}
        return closed + [found for found in writing if found.key not in done]

    def _read(self, held: Held, offset: int, length: int) -> bytes:
        if held.row is not None:
            return self._footage.read(held.row, offset, length)
        assert held.path is not None
        return read_range(self._spool, held.path, offset, length)

    def _fragments(self, scope: Scope, held: Held, track: int) -> Sequence[TrackFragment]:
        """Give the fragments of one segment that the scope may show."""
        around = self._held(scope.stream_id, held.from_us, held.to_us)
        edge, _ = self._sort(scope, around)
        if held.key not in edge:
            return track_fragments(self._tables.table(held), track)
        shown = self._judge(scope, [found for found in around if found.key in edge])
        seen = shown.get(held.key)
        return seen.fragments if seen is not None else ()

    def _sources(self, scope: Scope, held: Sequence[Held]) -> list[Source]:
        """Give what the scope may show of each segment, in order."""
        edge, plans = self._sort(scope, held)
        shown = self._judge(scope, [found for found in held if found.key in edge])
        sources: list[Source] = []
        for found in held:
            names = (found.run, found.run_seq, found.init)
            if found.key in edge:
                seen = shown.get(found.key)
                if seen is not None:
                    sources.append(FragmentSource(*names, seen.fragments, seen.finished))
            elif found.key in plans:
                fresh = partial(self._tables.fresh, found, scope.medium)
                sources.append(WholeSource(*names, plans[found.key], fresh))
        return sources

    def _sort(self, scope: Scope, held: Sequence[Held]) -> tuple[set[_Key], dict[_Key, Plan]]:
        """Say which segments must be judged by the fragment, and give the plans of the others."""
        inside: list[Held] = []
        reached = 0
        for found in held:
            # Recorded after a clock was set back: the seam has to know what came before.
            if found.from_us >= reached - SECOND and _is_inside(scope, found):
                inside.append(found)
            reached = max(reached, found.to_us)
        pictures = self._tables.plans(inside, Medium.PICTURE)
        edge = {found.key for found in held} - {found.key for found in inside}
        for found in reversed(held):
            if not self._opens(found, pictures.get(found.key)):
                # Its first GOP began in the segment before: both are judged together.
                edge |= {found.key, (found.run, found.run_seq - 1)}
        if scope.medium is Medium.PICTURE:
            return edge, pictures
        plain = [found for found in inside if found.key not in edge]
        return edge, self._tables.plans(plain, scope.medium)

    def _opens(self, held: Held, picture: Plan | None) -> bool:
        """Say whether a segment begins with a key frame, or has no picture."""
        if picture is not None:
            return picture.opens
        track = held.track(Medium.PICTURE)
        if track is None:
            return True
        first = (f.key for f in self._tables.table(held).fragments if f.track == track)
        return next(first, True)

    def _judge(self, scope: Scope, held: Sequence[Held]) -> dict[_Key, _Shown]:
        """Ask the seam, fragment by fragment."""
        pieces = pieces_of([(found, self._tables.table(found)) for found in held])
        allowed = visible(scope.permission.spans, scope.permission.others, pieces)
        out: dict[_Key, _Shown] = {}
        for place, found in enumerate(held):
            mine = [p for p in pieces if p.place == place and p.medium == scope.medium]
            seen = [
                p
                for p in allowed
                if p.place == place and p.medium == scope.medium and p.gop.overlaps(scope.window)
            ]
            if seen:
                finished = found.finished or seen[-1] is not mine[-1]
                out[found.key] = _Shown(tuple(p.fragment for p in seen), finished)
        return out


def _is_inside(scope: Scope, held: Held) -> bool:
    """Say whether a committed segment lies so far inside what may be shown that no edge matters."""
    if held.row is None:
        return False
    near = Interval(held.from_us - AROUND_US, held.to_us + AROUND_US)
    return (
        scope.window.start <= held.from_us
        and held.to_us <= scope.window.end
        and any(s.start <= held.from_us and held.to_us <= s.end for s in scope.permission.spans)
        and not any(other.overlaps(near) for other in scope.permission.others)
    )


def _tag(name: str) -> str:
    return f'"{hashlib.sha256(name.encode()).hexdigest()[:32]}"'


def _time_of(fragments: Sequence[TrackFragment]) -> Interval:
    start = fragments[0].from_us
    return Interval(start, max(fragments[-1].to_us, start + 1))


def _not_held() -> NotFound:
    return NotFound("The playback does not hold this.")

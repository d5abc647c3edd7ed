"""Read what the index knows of the footage that a session claims, in a few questions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.intervals import Interval
from bidwitness.storage.index.footage import Part, committed_ends, gaps_of, parts_of
from bidwitness.storage.index.models import Claim, Init, StreamStatus, Track
from bidwitness.storage.sessions.report import JOIN_US, Footage, NotedGap
from bidwitness.words import GapCause, Health, Medium

# A recorder that was heard of since then still writes, as far as anybody can say.
FRESH_US = 15_000_000


def read_committed(
    orm: Orm, claims: Mapping[str, Sequence[Claim]], until_us: int
) -> dict[str, Footage]:
    """Give the committed footage of each claimed stream up to ``until_us``."""
    spans = {stream: _spans(rows, until_us) for stream, rows in claims.items()}
    every = [span for parts in spans.values() for span in parts]
    first = min((span.start for span in every), default=0)
    last = max((span.end for span in every), default=0)
    segments = parts_of(orm, spans, first, last, join_us=JOIN_US)
    gaps = gaps_of(orm, spans, first, last)
    media = _media_of(orm, {part.init for parts in segments.values() for part in parts})
    tracks: dict[str, set[Medium]] = {}
    query = select(Track.stream_id, Track.medium).where(Track.stream_id.in_(list(spans)))
    for stream, medium in orm.execute(query):
        tracks.setdefault(stream, set()).add(medium)
    found: dict[str, Footage] = {}
    for stream, parts in spans.items():
        rows = [row for row in segments.get(stream, ()) if _concern(row.from_us, row.to_us, parts)]
        found[stream] = Footage(
            stream,
            tuple(parts),
            tuple(
                (Interval(start, end), media.get(init, frozenset()))
                for start, end, init in joined(rows)
            ),
            tuple(
                NotedGap(
                    Interval(gap.from_us, gap.to_us),
                    gap.cause,
                    Medium(gap.medium) if gap.medium in set(Medium) else None,
                )
                for gap in gaps.get(stream, ())
                if _concern(gap.from_us, gap.to_us, parts)
            ),
            frozenset(tracks.get(stream, ())),
            tuple((Interval(r.from_us, r.to_us), r.run) for r in rows if r.to_us > r.from_us),
        )
    return found


def _spans(claims: Iterable[Claim], until_us: int) -> list[Interval]:
    return [
        Interval(claim.from_us, end)
        for claim in claims
        if (end := min(claim.to_us or until_us, until_us)) > claim.from_us
    ]


def _concern(start: int, end: int, spans: Sequence[Interval]) -> bool:
    return any(start < span.end and span.start < end for span in spans)


def joined(rows: Iterable[Part]) -> list[tuple[int, int, str]]:
    """Make one of footage (from, to, init) that goes on, whatever run it is of."""
    out: list[tuple[int, int, str]] = []
    for start, end, init, _ in sorted(rows):
        if end <= start:
            continue
        if out and out[-1][2] == init and start <= out[-1][1] + JOIN_US:
            first, last, _ = out[-1]
            out[-1] = (first, max(last, end), init)
        else:
            out.append((start, end, init))
    return out


def _media_of(orm: Orm, inits: set[str]) -> dict[str, frozenset[Medium]]:
    rows = orm.execute(select(Init.id, Init.tracks).where(Init.id.in_(inits)))
    return {key: frozenset(Medium(track["medium"]) for track in tracks) for key, tracks in rows}


def with_what_is_open(
    orm: Orm, footage: Mapping[str, Footage], until_us: int, now_us: int
) -> dict[str, Footage]:
    """Add what the recorder says of the segments it still writes, or of a silence."""
    statuses = {
        row.stream_id: row
        for row in orm.scalars(
            select(StreamStatus).where(StreamStatus.stream_id.in_(list(footage)))
        )
    }
    # Their last claims ended before now: only what is committed tells of them.
    over = {
        stream
        for stream, known in footage.items()
        if stream in statuses
        and (not known.claims or max(span.end for span in known.claims) < until_us)
    }
    committed = committed_ends(orm, over) if over else {}
    out: dict[str, Footage] = {}
    for stream, known in footage.items():
        status = statuses.get(stream)
        if stream in over:
            reaches = committed.get(stream, 0)
        else:
            reaches = max((span.end for span in known.known()), default=0)
        out[stream] = known if status is None else _open(known, status, reaches, until_us, now_us)
    return out


def _open(
    footage: Footage, status: StreamStatus, committed_us: int, until_us: int, now_us: int
) -> Footage:
    """Add what the recorder says of the segment it still writes, or of a silence. Pure."""
    if status.last_us is None:
        return footage
    if status.state in (Health.OK, Health.DEGRADED):
        begins = max(status.since_us, committed_us)
        fresh = now_us - status.last_us <= FRESH_US
        end = max(status.last_us, until_us) if fresh else status.last_us
        if end <= begins:
            return footage
        media = footage.media or frozenset({Medium.PICTURE})
        return replace(footage, segments=(*footage.segments, (Interval(begins, end), media)))
    begins = max(status.last_us, committed_us)
    if until_us <= begins:
        return footage
    silent = NotedGap(Interval(begins, until_us), status.cause or GapCause.OFFLINE)
    return replace(footage, gaps=(*footage.gaps, silent))

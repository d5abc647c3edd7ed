"""Writing fragments: one ``moof`` and one ``mdat`` of one track. Pure.

We write them ourselves instead of through libav's muxer, because a fragment then ends exactly
where we say (no interleaver holds bytes back while another track is silent), sound fragments and
the G.711 bytes behind them match one to one, and a timestamp can never make a muxer refuse.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

_SYNC = 0x02000000  # depends on no other sample
_NON_SYNC = 0x01010000  # depends on others, is no sync sample
_U32 = 0xFFFFFFFF


class Sample(NamedTuple):
    """One coded picture or block of sound. ``duration`` and ``cts`` are in ticks of the track."""

    data: bytes
    duration: int
    key: bool
    cts: int = 0


def write_fragment(sequence: int, track: int, dts: int, samples: Sequence[Sample]) -> bytes:
    """Give a fragment of ``samples`` whose first is decoded at ``dts``.

    Raises ``ValueError`` for no samples or a figure that the boxes cannot hold.
    """
    if not samples:
        raise ValueError("a fragment needs a sample")
    same_duration = all(sample.duration == samples[0].duration for sample in samples)
    has_cts = any(sample.cts for sample in samples)
    first_flags, rest_flags, mixed = _flags(samples)
    columns: list[list[int]] = []
    if not same_duration:
        columns.append([sample.duration for sample in samples])
    columns.append([len(sample.data) for sample in samples])
    if mixed:
        columns.append([_SYNC if sample.key else _NON_SYNC for sample in samples])
    if has_cts:
        columns.append([sample.cts & _U32 for sample in samples])
    run_flags = 0x000201 | (0 if same_duration else 0x100)
    run_flags |= (0x400 if mixed else 0x004) | (0x800 if has_cts else 0)
    figures = [figure for row in zip(*columns, strict=True) for figure in row]
    head = [] if mixed else [first_flags]
    trun_size = 20 + 4 * (len(head) + len(figures))
    traf_size = 8 + 24 + 20 + trun_size
    moof_size = 8 + 16 + traf_size
    body_size = sum(len(sample.data) for sample in samples)
    try:
        moof = struct.pack(
            ">I4s I4sII I4s I4sIIII I4sIQ",
            *(moof_size, b"moof", 16, b"mfhd", 0, sequence & _U32),
            *(traf_size, b"traf"),
            *(24, b"tfhd", 0x020028, track, samples[0].duration, rest_flags),
            *(20, b"tfdt", 0x01000000, dts),
        )
        trun = struct.pack(
            f">I4sIIi{len(head) + len(figures)}I",
            *(trun_size, b"trun", 0x01000000 | run_flags, len(samples), moof_size + 8),
            *head,
            *figures,
        )
        mdat = struct.pack(">I4s", 8 + body_size, b"mdat")
    except struct.error as error:
        raise ValueError(f"a fragment cannot hold this: {error}") from None
    return b"".join((moof, trun, mdat, *(sample.data for sample in samples)))


def _flags(samples: Sequence[Sample]) -> tuple[int, int, bool]:
    """Give the flags of the first sample, those of the rest, and whether the rest are mixed."""
    first = _SYNC if samples[0].key else _NON_SYNC
    rest = {sample.key for sample in samples[1:]}
    if len(rest) > 1:
        return first, _NON_SYNC, True
    default = _SYNC if rest == {True} or (not rest and samples[0].key) else _NON_SYNC
    return first, default, False

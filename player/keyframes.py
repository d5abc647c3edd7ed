"""Key frames of a track alone, for fast and backward play: which there are, and each cut out. Pure.

A key frame stands for what comes after it: until the next one, or until the footage that may be
shown ends. Its bytes are the recorded ones; only the boxes around it are our own.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from bidwitness.errors import DamageFound
from bidwitness.intervals import Interval
from bidwitness.player.cutting import TrackFragment, adjoins
from bidwitness.player.segments import Held
from bidwitness.storage.media.boxes import read_fragment, read_samples
from bidwitness.storage.media.fragments import Sample, write_fragment

# One key frame for each of these lengths at most. Half a second is what a fragment may be long, so
# of a source that has nothing but key frames (MJPEG) the first of each fragment is taken.
STEPS_US = (500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000)
# So long a time may be listed at once, and so many key frames sent in one piece.
LIST_US = 600_000_000
PER_PIECE = 8


@dataclass(frozen=True, slots=True)
class KeyFrame:
    """A key frame, the first of fragment ``ordinal``. It stands from ``at_us`` until ``to_us``."""

    held: Held
    ordinal: int
    at_us: int
    to_us: int

    @property
    def interval(self) -> Interval:
        return Interval(self.at_us, max(self.to_us, self.at_us + 1))


@dataclass(frozen=True, slots=True)
class KeyPiece:
    """Key frames of one segment that are fetched together."""

    keys: tuple[KeyFrame, ...]

    @property
    def held(self) -> Held:
        return self.keys[0].held

    @property
    def address(self) -> str:
        """Give its address relative to the stream of its playback."""
        ordinals = ".".join(str(key.ordinal) for key in self.keys)
        return f"keys/{self.held.run}-{self.held.run_seq}/{ordinals}.m4s"


def key_frames(
    shown: Iterable[tuple[Held, Sequence[TrackFragment]]], step_us: int
) -> list[KeyFrame]:
    """Give the key frames of what may be shown, in the order of the recording.

    Of those within one step of UTC the first is given, and the first after each hole. What is
    between two of them belongs to the earlier.
    """
    out: list[KeyFrame] = []
    for key in _standing(shown):
        last = out[-1] if out else None
        if last is not None and last.to_us == key.at_us and _slot(last, step_us, key):
            out[-1] = KeyFrame(last.held, last.ordinal, last.at_us, key.to_us)
        else:
            out.append(key)
    return out


def _slot(last: KeyFrame, step_us: int, key: KeyFrame) -> bool:
    return last.at_us // step_us == key.at_us // step_us


def _standing(shown: Iterable[tuple[Held, Sequence[TrackFragment]]]) -> Iterator[KeyFrame]:
    """Give every key frame with the time for which it stands."""
    key: KeyFrame | None = None
    end = 0
    for held, fragments in shown:
        for fragment in fragments:
            goes_on = key is not None and adjoins(end, fragment.from_us)
            if key is not None and (fragment.key or not goes_on):
                # Ticks are rounded: where the next follows at once, no instant is left between.
                until = fragment.from_us if goes_on else end
                yield KeyFrame(key.held, key.ordinal, key.at_us, max(until, key.at_us))
                key = None
            if fragment.key:
                key = KeyFrame(held, fragment.ordinal, fragment.from_us, fragment.to_us)
            if key is not None:
                end = fragment.to_us
    if key is not None:
        yield KeyFrame(key.held, key.ordinal, key.at_us, max(end, key.at_us))


def key_pieces(keys: Iterable[KeyFrame], time: Interval) -> list[KeyPiece]:
    """Put the key frames that stand within a time into pieces of one segment each."""
    wanted = [key for key in keys if key.interval.overlaps(time)]
    out: list[KeyPiece] = []
    for _, group in groupby(wanted, key=lambda key: key.held.key):
        mine = tuple(group)
        out += [KeyPiece(mine[n : n + PER_PIECE]) for n in range(0, len(mine), PER_PIECE)]
    return out


def key_alone(fragment: bytes, sequence: int) -> bytes:
    """Give the key frame that a fragment begins with as a fragment of its own.

    The picture's bytes and times are the recorded ones. Raises ``DamageFound`` if it begins with
    none.
    """
    facts = read_fragment(fragment)
    first = read_samples(fragment)[0]
    if not first.key:
        raise DamageFound("A fragment does not begin with the key frame that its table names.")
    data = fragment[first.offset : first.offset + first.size]
    sample = Sample(data, first.duration, True, first.cts)
    return write_fragment(sequence, facts.track, first.dts, [sample])

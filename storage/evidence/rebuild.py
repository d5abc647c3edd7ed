"""Rebuilding the G.711 that a camera sent from the FLAC that is stored, to compare their digests.

The verifier in one file has no decoder of FLAC, and says that it did not look.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

from bidwitness.errors import DamageFound
from bidwitness.storage.evidence.checkfile import SoundFinding
from bidwitness.storage.evidence.records import G711Facts, SegmentFacts
from bidwitness.storage.media.boxes import read_fragment, read_samples

if TYPE_CHECKING:
    from bidwitness.storage.evidence.received import ReceivedSound

_DECODER = "bidwitness.storage.evidence.received"
# One bad fragment is as bad as a thousand, and nobody reads more.
_NAMED = 3
# So much sound is worked on at once: fragment by fragment, between the hashing of pictures, it costs
# twice as much, for nothing is in the processor's cache any more.
_AT_ONCE = 1 << 20
_FIRST_BOX = b"\0\0\0\x10mfhd"
_Digests = Callable[[tuple[int, ...]], str]


@cache
def load_decoder() -> None:
    """Begin to load libav and NumPy, once: it takes as long as hashing a file, which goes on."""
    Thread(target=import_module, args=(_DECODER,), name="decoder").start()


class G711Rebuild:
    """Takes a file's fragments one by one and holds their sound against what a record states.

    ``partial``: the file holds only some of the segment's fragments; each must then be one of
    those stated, in their order.
    """

    def __init__(self, facts: SegmentFacts, stated: G711Facts, *, partial: bool) -> None:
        self._stated = stated
        self._partial = partial
        self._tracks = {t.id: t.timescale for t in facts.tracks if t.source_codec == stated.codec}
        self._sound: ReceivedSound | None = None
        self._next = 0
        self._bad: list[str] = []
        self._fragments = self._rebuilt = 0
        self._held: list[tuple[bytes, int]] = []
        self._held_bytes = 0

    def take(self, piece: memoryview) -> None:
        """Look at a fragment; those of other tracks pass. Never raises for its bytes."""
        try:
            track = _track_in_front(piece)
            if track is None:
                track = read_fragment(bytes(piece)).track
        except DamageFound as error:
            # It may have been of sound: then its place is not to be counted.
            self._bad.append(str(error))
            return
        if track in self._tracks:
            self._held.append((bytes(piece), self._tracks[track]))
            self._held_bytes += len(piece)
            if self._held_bytes > _AT_ONCE:
                self._work()

    def _work(self) -> None:
        held, self._held, self._held_bytes = self._held, [], 0
        for data, timescale in held:
            try:
                self._take_sound(data, timescale)
            except DamageFound as error:
                self._bad.append(str(error))

    def _take_sound(self, data: bytes, timescale: int) -> None:
        self._fragments += 1
        samples = read_samples(data)
        at = f"{samples[0].dts * 1000 // timescale} ms"
        frames = [data[s.offset : s.offset + s.size] for s in samples]
        try:
            found = self._find(self._turned().digests(frames))
        except ValueError as error:
            self._next += 1
            self._bad.append(f"the sound at {at} cannot be turned back: {error}")
            return
        if found is None:
            self._next += 1
            self._bad.append(f"the sound at {at} is not what the record says was received")
        else:
            self._next = found + 1
            self._rebuilt += 1

    def _turned(self) -> "ReceivedSound":
        if self._sound is None:
            # Here: not loaded for a package without sound, nor waited for before there is some.
            from bidwitness.storage.evidence.received import ReceivedSound

            self._sound = ReceivedSound(self._stated.codec)
        return self._sound

    def _find(self, digest: _Digests) -> int | None:
        """Give which of those stated a fragment is; nothing if it is none."""
        stated = self._stated
        if not self._partial:
            first = range(self._next, min(self._next + 1, len(stated.sha256)))
        else:
            first = range(self._next, len(stated.sha256))
        for number in first:
            try:
                if digest(stated.negative_zeros[number]) == stated.sha256[number]:
                    return number
            except ValueError:
                # Places of zeros that are no zeros here: of another fragment, if one may be left out.
                if not self._partial:
                    raise
        return None

    def finish(self) -> SoundFinding:
        """Say what was found, after the last fragment."""
        self._work()
        if not self._tracks:
            self._bad.append(f"the record names no track that came as {self._stated.codec}")
        elif not self._partial and self._next != len(self._stated.sha256):
            count = len(self._stated.sha256)
            self._bad.append(f"{count} fragments of sound are recorded, {self._next} are there")
        more = len(self._bad) - _NAMED
        wrong = [*self._bad[:_NAMED], *([f"and {more} more"] if more > 0 else [])]
        return SoundFinding(self._fragments, self._rebuilt, wrong)


def _track_in_front(piece: memoryview) -> int | None:
    """Give the track of a fragment whose boxes stand as ours do; most are of pictures, and to read
    each of those whole would cost as much as the sound."""
    if len(piece) < 48 or bytes(piece[8:16]) != _FIRST_BOX:
        return None
    if bytes(piece[28:32]) != b"traf" or bytes(piece[36:40]) != b"tfhd":
        return None
    return int.from_bytes(piece[44:48], "big")

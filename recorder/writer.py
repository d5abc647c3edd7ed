"""Writes what all streams of a process record to one volume: one thread, one fsync round a second.

Streams hand over pieces and never wait for the disk. What the disk cannot take is not dropped
silently: the stream is told (``trouble``), stops handing over, and states the gap.
"""

import errno
import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from bidwitness.beat import AFTER_US, until_beat
from bidwitness.clock import Clock
from bidwitness.errors import DamageFound
from bidwitness.recorder.chain import Chain
from bidwitness.recorder.gaps import SLICE_US
from bidwitness.recorder.spooling import StreamFiles
from bidwitness.recorder.values import ALL, Begin, End, GapNote, Piece
from bidwitness.storage.spool.blob import US
from bidwitness.storage.spool.files import Files
from bidwitness.storage.spool.table import AnchorPoint
from bidwitness.storage.volumes import Admission, VolumeRoom, admission, room_on
from bidwitness.words import GapCause

log = logging.getLogger(__name__)

LIMIT_BYTES = 64 << 20
SYNC_US = US
# After a failed write the disk is tried again this often.
RETRY_US = 2 * US
NO_ROOM = "The disk is nearly full: only sessions are recorded."
NO_ROOM_AT_ALL = "The disk is full to its last reserve: nothing is recorded."

Op = Begin | Piece | AnchorPoint | End | GapNote


class _Step(NamedTuple):
    sink: "StreamSink"
    op: Op
    size: int
    # Which trouble it was handed over before: what is older is lost, and stated as such.
    troubles: int


class StreamSink:
    """One stream's way to its volume: a ``SegmentSink``. Made by ``VolumeWriter.sink``.

    The upper half is called by the stream's thread, the lower half by the writer's.
    """

    def __init__(self, writer: "VolumeWriter", files: StreamFiles) -> None:
        self.trouble: GapCause | None = None
        self.kept_until_us = files.written_until_us
        # The end of the last gap stated, while no footage was taken since.
        self._stated_us: int | None = None
        self._writer = writer
        self._files = files
        self._taking = False
        self._leading = 0
        self._seen = False
        self._troubles = 0
        # The files are in no known state: only recovery may touch them.
        self._broken = False
        self._retry_at_us = 0
        self._waiting_gaps: list[GapNote] = []
        # Whether a session has the stream now or soon: its footage comes first.
        self.in_session = True
        # What there is no room for is refused: trouble ``disk`` without a failure.
        self.refusal: str | None = None

    @property
    def durable_until_us(self) -> int | None:
        """Give the end of what would survive a power cut."""
        return self._files.durable_until_us

    @property
    def accounted_us(self) -> int | None:
        """Give until when everything is either footage taken or stated to be missing."""
        known = [at for at in (self.kept_until_us, self._stated_us) if at is not None]
        return max(known, default=None)

    def begin(self, begin: Begin) -> None:
        self._taking = self.trouble is None
        self._leading = begin.header.tracks[0][0]
        if self._taking:
            self._submit(begin, len(begin.init))

    def piece(self, piece: Piece) -> None:
        if piece.track == self._leading:
            self._refuse_if_full()
        if self.trouble is not None or not self._taking:
            return
        if not self._submit(piece, len(piece.data)):
            self._seen = False
            self.trouble = GapCause.WRITER
        elif piece.track == self._leading:
            self.kept_until_us, self._stated_us = piece.end_us, None

    def anchor(self, anchor: AnchorPoint) -> None:
        if self._taking:
            self._submit(anchor, 0)

    def end(self, end: End) -> None:
        if self._taking:
            self._submit(end, 0)
        self._taking = False

    def gap(self, gap: GapNote) -> None:
        if gap.medium == ALL:
            self._stated_us = gap.end_us
        self._submit(gap, 0)

    def trouble_seen(self) -> None:
        self._seen = True

    def _refuse_if_full(self) -> None:
        why = self._writer.refusal(in_session=self.in_session)
        if why is not None and self.trouble is None:
            self.refusal, self._seen = why, False
            self.trouble = GapCause.DISK

    def look_for_room(self) -> None:
        """Refuse, or admit again, a stream that hands over nothing at present."""
        if self._taking:
            return
        if self.refusal is not None:
            self._mend_refusal()
        self._refuse_if_full()

    def _mend_refusal(self) -> None:
        self.refusal = self._writer.refusal(in_session=self.in_session)
        self.trouble = self.trouble if self.refusal else None

    def missed(self, utc_us: int) -> GapNote | None:
        """Give what a refusal has come to so far, if that is ten minutes or more."""
        since = self.kept_until_us
        if self.refusal is None or since is None or utc_us - since < SLICE_US:
            return None
        self.kept_until_us = utc_us
        return GapNote(GapCause.DISK, ALL, since, utc_us, self.refusal)

    def _submit(self, op: Op, size: int) -> bool:
        return self._writer.submit(_Step(self, op, size, self._troubles))

    def apply(self, step: _Step, now_us: int) -> None:
        """Do one step. A failing disk ends the segment and is tried again later."""
        op = step.op
        if isinstance(op, GapNote):
            self._waiting_gaps.append(op)
            if self._broken:
                return
        elif self._broken or step.troubles != self._troubles:
            # The end of a segment, too, may come after the trouble: a torn file is not closed.
            return
        try:
            self._apply(op)
        except OSError as error:
            self._break(error, now_us)

    def _apply(self, op: Op) -> None:
        if isinstance(op, GapNote):
            self._write_gaps()
        elif isinstance(op, Begin):
            self._files.begin(op)
        elif isinstance(op, Piece):
            self._files.piece(op)
        elif isinstance(op, AnchorPoint):
            self._files.anchor(op)
        else:
            self._files.end(op)

    def _write_gaps(self) -> None:
        while self._waiting_gaps:
            self._files.gap(self._waiting_gaps[0])
            del self._waiting_gaps[0]

    def start_sync(self) -> None:
        """Let the system begin with what ``sync`` will wait for."""
        self._files.start_sync()

    def sync(self, now_us: int) -> None:
        """Take part in the round that makes everything durable."""
        if self._broken:
            return
        try:
            self._files.sync()
        except OSError as error:
            self._break(error, now_us)

    def _break(self, error: OSError, now_us: int) -> None:
        self._troubles += 1
        self._broken = True
        self.kept_until_us = self._files.written_until_us
        self._retry_at_us = now_us + RETRY_US
        self._seen = False
        self.refusal = None
        self.trouble = GapCause.DISK
        code = errno.errorcode.get(error.errno or 0, str(error))
        log.error(
            "the disk does not take a stream's footage",
            extra={"facts": {"stream": self._files.stream, "error": code}},
        )

    def mend(self, now_us: int, *, room: bool) -> None:
        """Take footage again once the stream has seen the trouble and its cause is gone."""
        if self.trouble is None or not self._seen:
            return
        if self.refusal is not None:
            self._mend_refusal()
        elif not self._broken:
            self.trouble = None if room else self.trouble
        elif now_us >= self._retry_at_us:
            self._retry_at_us = now_us + RETRY_US
            try:
                self._files.recover()
                self._write_gaps()
            except (OSError, DamageFound):
                log.debug("the disk still fails", exc_info=True)
                return
            self.kept_until_us = self._files.written_until_us
            self._broken = False
            self.trouble = None

    def let_go(self) -> None:
        """Close the files as they are; the next start recovers them."""
        try:
            self._files.let_go()
        except OSError:
            log.debug("closing failed", exc_info=True)


class VolumeWriter:
    """The one writer of a process to a volume.

    ``start`` runs it in a thread of its own; tests call ``work`` instead.
    """

    def __init__(
        self,
        volume: Path,
        files: Files,
        clock: Clock,
        *,
        site: str,
        recorder: str,
        limit_bytes: int = LIMIT_BYTES,
        measure: Callable[[Path], VolumeRoom] = room_on,
        spool: Path | None = None,
    ) -> None:
        self.volume = volume
        # Where journals lie, whatever volume the segments are on.
        self._spool = spool or volume
        self._files = files
        self._clock = clock
        self._site = site
        self._recorder = recorder
        self._limit = limit_bytes
        self._measure = measure
        self._measured_us: int | None = None
        self._admission = Admission.ALL
        self._queue: deque[_Step] = deque()
        self._waiting_bytes = 0
        self._lock = threading.Lock()
        # One at a time works on the queue.
        self._working = threading.Lock()
        self._stopping = threading.Event()
        self._sinks: list[StreamSink] = []
        self._synced_us = clock.monotonic_us()
        self._thread = threading.Thread(target=self._run, name="volume-writer", daemon=True)

    def sink(self, stream: str, *, in_session: bool = True) -> StreamSink:
        """Bring a stream in order on the volume and give its sink.

        ``in_session``: whether there is room for it even when there is little.

        Raises ``OSError`` as the disk does, ``DamageFound`` if its journal is broken.
        """
        chain = Chain(self._spool, stream, self._files, site=self._site, recorder=self._recorder)
        files = StreamFiles(self.volume, stream, self._files, chain, self._spool)
        files.recover()
        sink = StreamSink(self, files)
        sink.in_session = in_session
        self._look_for_room(self._clock.monotonic_us())
        sink.look_for_room()
        with self._lock:
            self._sinks.append(sink)
        return sink

    def refusal(self, *, in_session: bool) -> str | None:
        """Say why footage finds no room on the volume, if so."""
        if self._admission is Admission.NONE:
            return NO_ROOM_AT_ALL
        return NO_ROOM if self._admission is Admission.SESSIONS and not in_session else None

    def _look_for_room(self, now_us: int) -> None:
        if self._measured_us is not None and now_us - self._measured_us < SYNC_US:
            return
        self._measured_us = now_us
        try:
            room = self._measure(self.volume)
        except OSError:
            # Whoever writes will be told.
            return
        before, self._admission = self._admission, admission(room, self._admission)
        if self._admission is not before:
            facts = {"volume": str(self.volume), "free": room.free, "total": room.total}
            log.error("records now: %s", self._admission.name.lower(), extra={"facts": facts})

    def elsewhere(self, _sink: StreamSink) -> bool:
        """Say whether another volume would take what this one does not: there is no other."""
        return False

    def release(self, sink: StreamSink) -> None:
        """A stream ends: what it handed over is written, its files are closed."""
        self.work(sync=True)
        with self._lock:
            self._sinks.remove(sink)
        sink.let_go()

    def submit(self, step: _Step) -> bool:
        """Queue a step; False if footage finds no room. Never blocks."""
        with self._lock:
            if isinstance(step.op, Piece) and self._waiting_bytes + step.size > self._limit:
                return False
            self._queue.append(step)
            self._waiting_bytes += step.size
        return True

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write and sync all that was handed over, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.work(sync=True)
        for sink in self._sinks:
            sink.let_go()

    def _run(self) -> None:
        # What waits here a kill would lose. (At half the pace 2 of 616 losses were up to 60 ms above a
        # second, on a machine that was asked for five times what it has.)
        while not self._stopping.wait(until_beat(self._clock.monotonic_us(), AFTER_US)):
            self.work()

    def work(self, *, sync: bool = False) -> None:
        """Do all queued steps; sync if a second has passed since the last time, or ``sync``."""
        with self._working:
            now_us = self._clock.monotonic_us()
            self._drain(now_us)
            with self._lock:
                sinks = list(self._sinks)
                room = self._waiting_bytes * 2 <= self._limit
            if sync or now_us - self._synced_us >= SYNC_US:
                self._synced_us = now_us
                # All begin before the first is waited for: the file system's journal is then
                # written once or twice for them all, not twice for each.
                for sink in sinks:
                    sink.start_sync()
                for sink in sinks:
                    sink.sync(now_us)
                    # What came meanwhile does not wait for the other streams' syncs: what is
                    # written outlives a killed process.
                    self._drain(now_us)
            self._look_for_room(now_us)
            for sink in sinks:
                sink.look_for_room()
                sink.mend(now_us, room=room)

    def _drain(self, now_us: int) -> None:
        while (step := self._next()) is not None:
            step.sink.apply(step, now_us)
            with self._lock:
                self._waiting_bytes -= step.size

    def _next(self) -> _Step | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None

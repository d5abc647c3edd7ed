"""Records one stream for as long as it is wanted: connect, record, state what is missing, again."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from bidwitness.addresses import CameraAddress
from bidwitness.clock import Clock
from bidwitness.errors import BidWitnessError, DamageFound
from bidwitness.log import redact
from bidwitness.recorder.anchor import ClockAnchor
from bidwitness.recorder.attaching import downtime, lock_stream
from bidwitness.recorder.back_off import back_off
from bidwitness.recorder.checks import Checks
from bidwitness.recorder.gaps import GapKeeper
from bidwitness.recorder.marker import NotWanted
from bidwitness.recorder.meters import Meter, Since
from bidwitness.recorder.packets import (
    OpenSource,
    Packet,
    PacketSource,
    SourceLost,
    SourceTrack,
    picture_of,
)
from bidwitness.recorder.sound import unkept_sound
from bidwitness.recorder.sound_segmenter import AnySegmenter, segmenter_of
from bidwitness.recorder.status import StreamState, faults_of
from bidwitness.recorder.tapping import Tap, tapped
from bidwitness.recorder.values import GapNote
from bidwitness.recorder.writer import StreamSink, VolumeWriter
from bidwitness.recorder.writer_pool import WriterPool
from bidwitness.storage.spool.blob import US
from bidwitness.storage.wanted import WantedStream
from bidwitness.words import DEGRADING, GapCause, Health, Medium, StreamFault

log = logging.getLogger(__name__)

Got = TypeVar("Got")
HEALTHY_US = 60 * US
CHANGE_US = 10 * US
# After these the next connection, if there is to be one, is made without waiting.
AT_ONCE = (GapCause.SOURCE_CHANGED, GapCause.CLOCK, GapCause.CLASSIFIED, GapCause.DISK)
# No picture for so long, though its sound may come: the camera has stopped.
PICTURE_STALL_US = 5 * US
# The first picture of a connection may take longer: some cameras wait for a key frame.
FIRST_PICTURE_US = 12 * US
# Fragments of half a second that are written every tenth of one are never older than this.
FRESH_US = 5 * US // 2


@dataclass(frozen=True)
class Desk:
    """What the workers of one process share."""

    open_source: OpenSource
    dial: Callable[[WantedStream], CameraAddress]
    writer: VolumeWriter | WriterPool
    # The spool: journals and locks lie there, whatever volume the segments are on.
    volume: Path
    clock: Clock
    anchor: ClockAnchor
    segment_us: int
    tap: Tap | None = None


class StreamWorker:
    """One stream. ``run`` is the body of its thread; the other methods are for other threads."""

    def __init__(
        self,
        wanted: WantedStream,
        desk: Desk,
        *,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._wanted = wanted
        self._desk = desk
        self._clock = desk.clock
        self._anchor = desk.anchor
        self._marker = NotWanted(desk.volume, wanted.stream_id)
        self._stopping = threading.Event()
        self._pause = pause or self._stopping.wait
        self._restart = False
        self._not_wanted = False
        self._keeper = GapKeeper()
        # Steps of the clock that the keeper's and the sink's instants know of.
        self._stepped_us = desk.anchor.stepped_us
        self._sink: StreamSink | None = None
        self._segmenter: AnySegmenter | None = None
        self._source: PacketSource | None = None
        self._connected = False
        self._had_sound = False
        self._described: tuple[SourceTrack, ...] | None = None
        self._message: str | None = None
        self._meter = Meter()
        self._since = Since()
        self._checks = Checks()

    def stop(self, *, not_wanted: bool = False) -> None:
        """End soon. ``not_wanted``: what is missing from now on is nobody's gap."""
        self._not_wanted = not_wanted
        self._stopping.set()

    def change(self, wanted: WantedStream) -> None:
        """Take new cuts and classified times; connect anew if anything else has changed."""
        before, self._wanted = self._wanted, wanted
        if self._sink is not None:
            self._sink.in_session = wanted.in_session
        if not wanted.dials_as(before):
            self._restart = True
        if self._segmenter is not None:
            self._segmenter.cuts = wanted.cuts

    def run(self) -> None:
        """Record until ``stop``. A failure is waited out, longer each time."""
        lock = self._attach()
        if lock is None or self._sink is None:
            return
        failures = 0
        try:
            while not self._stopping.is_set():
                if self._wait_while_classified():
                    failures = 0
                    continue
                began_us = self._clock.monotonic_us()
                sink = self._on_a_volume()
                if sink is None:
                    break
                at_once = self._try_once(sink)
                lasted_us = self._clock.monotonic_us() - began_us
                well = lasted_us >= (CHANGE_US if at_once else HEALTHY_US)
                failures = 0 if well else failures + 1
                # A change is followed at once; one after the other is a failure like any.
                self._wait(back_off(failures - 1 if at_once else failures))
        finally:
            self._detach(lock)

    def _try_once(self, sink: StreamSink) -> bool:
        """Record one run; say whether to connect again without waiting."""
        self._restart = False
        try:
            self.run_once(sink)
        except SourceLost as lost:
            self._message = redact(lost.detail)
            self._note_end(sink, lost.cause, self._message)
            return lost.cause in AT_ONCE
        except BidWitnessError as error:
            self._message = redact(error.detail)
            if self._connected:
                # It was being recorded: footage is missing since before this moment.
                self._note_end(sink, GapCause.OFFLINE, self._message)
            self._follow_clock()
            self._gap(self._keeper.not_connected(self._anchor.utc_us(), self._message))
        finally:
            self._connected = False
            self._segmenter = None
        return False

    def _wait_while_classified(self) -> bool:
        """Stay away from the camera while its room is classified; say whether that was so."""
        found = False
        while not self._stopping.is_set():
            now_us = self._anchor.utc_us()
            until_us = self._wanted.classified_until(now_us)
            if until_us is None:
                break
            if self._keeper.cause is not GapCause.CLASSIFIED:
                began = [start for start, end in self._wanted.classified if start <= now_us < end]
                at_us = max(began) if self._keeper.cause is not None else now_us
                self._gap(self._keeper.turned(at_us, GapCause.CLASSIFIED))
            found, self._message = True, None
            self._wait(min(1, (until_us - now_us) / US))
        return found

    def run_once(self, sink: StreamSink) -> None:
        """Connect and record until the connection ends or the worker shall stop.

        Raises ``SourceLost`` with the gap's cause, or why there was no connection at all.
        """
        wanted = self._wanted
        source = self._desk.open_source(self._desk.dial(wanted), with_sound=wanted.record_sound)
        # What came with the description is told in band as well; another coding is another source.
        described = tuple(replace(track, extradata=b"") for track in source.tracks)
        if self._described not in (None, described):
            self._keeper.explained(GapCause.SOURCE_CHANGED)
        self._described = described
        # A camera without a microphone lacks nothing; one that had one does.
        self._had_sound |= any(track.medium is Medium.SOUND for track in source.tracks)
        self._follow_clock()
        try:
            segmenter = self._segmenter = segmenter_of(
                wanted.stream_id,
                source.tracks,
                sink,
                segment_us=self._desk.segment_us,
                utc_minus_monotonic=self._anchor.utc_minus_monotonic,
                sound_wanted=wanted.record_sound and self._had_sound,
                missing=self._keeper.cause,
            )
            segmenter.cuts = wanted.cuts
            self._checks.begin(source.tracks, wanted.declared_fps)
            # What a person must do about the sound stays in sight while the picture is recorded.
            self._connected, self._message = True, unkept_sound(source.tracks)
            self._source = source
            with tapped(self._desk.tap, wanted.stream_id, source) as tap:
                self._record(source, segmenter, tap)
        finally:
            self._source = None
            source.close()

    def _record(
        self, source: PacketSource, segmenter: AnySegmenter, tap: Callable[[Packet], None]
    ) -> None:
        picture = picture_of(source.tracks)
        # A source without a picture is led by its sound.
        leading = picture or 0
        steps = self._anchor.steps
        picture_us = self._clock.monotonic_us() + FIRST_PICTURE_US - PICTURE_STALL_US
        noted = False
        try:
            for packet in source.packets():
                if self._wanted.classified and self._is_classified(packet.arrived_us):
                    raise SourceLost("The room is classified.", GapCause.CLASSIFIED)
                tap(packet)
                segmenter.push(packet)
                self._meter.count(packet, picture)
                self._checks.take(packet, picture)
                if packet.track == leading:
                    self._look_at_the_disk()
                    picture_us = packet.arrived_us
                    noted = noted or self._note_start(segmenter)
                elif packet.arrived_us - picture_us > PICTURE_STALL_US:
                    raise SourceLost("The camera sends sound, but no picture.", GapCause.STALL)
                if self._stopping.is_set():
                    return
                if self._restart:
                    raise SourceLost("The stream's settings changed.", GapCause.SOURCE_CHANGED)
                if self._anchor.steps != steps:
                    raise SourceLost("The recorder's clock was set.", GapCause.CLOCK)
        finally:
            segmenter.finish()
            self._note_start(segmenter)

    def _look_at_the_disk(self) -> None:
        """Go to another volume, if there is one. Else it may take days until there is room."""
        sink = self._sink
        if sink is None or sink.trouble is not GapCause.DISK:
            return
        if self._desk.writer.elsewhere(sink):
            raise SourceLost("The footage goes to another volume.", GapCause.DISK)
        if sink.refusal is not None:
            now_us = self._anchor.utc_us()
            missing = self._keeper.cause is not None
            self._gap(self._keeper.tick(now_us) if missing else sink.missed(now_us))

    def _is_classified(self, monotonic_us: int) -> bool:
        at_us = monotonic_us + self._anchor.utc_minus_monotonic
        return self._wanted.classified_until(at_us) is not None

    def _note_start(self, segmenter: AnySegmenter) -> bool:
        """Close the gap, once the run's first instant is known for good."""
        if segmenter.started_us is None:
            return False
        self._gap(self._keeper.resumed(segmenter.started_us))
        self._marker.take_away()
        return True

    def _note_end(self, sink: StreamSink, cause: GapCause, detail: str) -> None:
        suspended = self._segmenter.suspended if self._segmenter is not None else None
        if sink.trouble is not None or suspended is not None:
            # The end of the connection is not why footage is missing since before it.
            cause = sink.trouble or suspended or cause
            sink.trouble_seen()
        at_us = sink.accounted_us
        self._keeper.ended(self._anchor.utc_us() if at_us is None else at_us, cause, detail)
        self._follow_clock()

    def _follow_clock(self) -> None:
        """Put what is missing into the time of a clock that was set back.

        By that clock it would end before it began, and nothing would be said of it. Set forward,
        the clock leaves out an interval, of which there is no footage either.
        """
        step = self._anchor.stepped_us - self._stepped_us
        self._stepped_us += step
        if step < 0:
            self._keeper.stepped_back(-step)

    def _gap(self, note: GapNote | None) -> None:
        """Have a gap journalled, if there is one."""
        if note is not None and self._sink is not None:
            self._sink.gap(note)

    def _wait(self, seconds: float) -> None:
        while seconds > 0 and not self._stopping.is_set():
            self._pause(min(seconds, 1))
            seconds -= 1
            self._follow_clock()
            self._gap(self._keeper.tick(self._anchor.utc_us()))

    def _attach(self) -> int | None:
        """Become the one writer of the stream, and bring in order what was left of it."""
        lock = self._insist(lambda: lock_stream(self._desk.volume, self._wanted.stream_id))
        self._sink = self._insist(self._open_sink) if lock is not None else None
        if self._sink is not None:
            self._note_downtime(self._sink)
        elif lock is not None:
            os.close(lock)
            return None
        return lock

    def _on_a_volume(self) -> StreamSink | None:
        """Give the sink, on another volume if the present one takes nothing and another would."""
        writer, sink = self._desk.writer, self._sink
        leaves = sink is not None and sink.trouble is GapCause.DISK and writer.elsewhere(sink)
        if sink is not None and leaves:
            writer.release(sink)
            self._sink = self._insist(self._open_sink)
            self._keeper.reaches_back(self._sink.kept_until_us if self._sink else None)
        return self._sink

    def _open_sink(self) -> StreamSink:
        wanted = self._wanted
        return self._desk.writer.sink(wanted.stream_id, in_session=wanted.in_session)

    def _insist(self, act: Callable[[], Got]) -> Got | None:
        """Try until it is done, or nothing is wanted any more."""
        failures = 0
        while not self._stopping.is_set():
            try:
                return act()
            except BlockingIOError:
                self._message = "Another recorder still writes this stream."
            except OSError as error:
                self._message = f"The volume cannot be written: {error.strerror}."
            except DamageFound as error:
                self._message = error.detail
            log.error(self._message, extra={"facts": {"stream": self._wanted.stream_id}})
            failures += 1
            self._pause(back_off(failures))
        return None

    def _note_downtime(self, sink: StreamSink) -> None:
        """What is missing since the last durable footage is ours, unless nobody wanted it."""
        if sink.kept_until_us is not None and not self._marker.is_set:
            # A clock that was set back meanwhile hides for how long; from now on it is known.
            now_us = self._anchor.utc_us()
            since_us = min(sink.kept_until_us, now_us)
            for note in downtime(self._keeper, since_us, self._wanted.classified, now_us):
                self._gap(note)

    def _detach(self, lock: int) -> None:
        sink = self._sink
        if sink is not None:
            # What is missing up to now has its cause; the next start has one of its own.
            self._follow_clock()
            self._gap(self._keeper.resumed(self._anchor.utc_us()))
            if self._not_wanted:
                self._marker.set()
            self._desk.writer.release(sink)
        os.close(lock)

    def state(self) -> StreamState:
        """Say how the stream is doing: well, if its last finished fragment is young."""
        now_us = self._anchor.utc_us()
        sink, segmenter = self._sink, self._segmenter
        last_us = sink.kept_until_us if sink is not None else None
        monotonic_us = self._clock.monotonic_us()
        silent = segmenter is not None and segmenter.silent
        silent = silent or self._checks.soundless(monotonic_us)
        # Footage from the future is of before the clock was set back, and says nothing of now.
        fresh = last_us is not None and abs(now_us - last_us) <= FRESH_US
        cause = sink.trouble if sink is not None else None
        clock_us = segmenter.camera_offset_us if segmenter is not None else None
        source = self._source
        reception = source.reception() if source is not None else None
        verdicts: Mapping[StreamFault, bool] = {}
        if fresh and cause is None:
            # Of a stream that does not come nothing else can be said.
            self._checks.note_reception(reception, monotonic_us)
            verdicts = self._checks.verdicts(monotonic_us, clock_us)
            poor = silent or any(verdicts.get(fault) for fault in DEGRADING)
            health = Health.DEGRADED if poor else Health.OK
            cause = GapCause.NO_AUDIO if silent else None
        else:
            health = Health.STALLED if self._connected else Health.OFFLINE
            cause = cause or self._keeper.cause or GapCause.STALL
        fps, kbps = self._meter.read(monotonic_us)
        return StreamState(
            stream_id=self._wanted.stream_id,
            state=health,
            cause=cause,
            since_us=self._since.of((health, cause, faults_of(verdicts)), now_us),
            last_us=last_us,
            centi_fps=fps,
            kbps=kbps,
            message=(sink.refusal if sink is not None else None) or self._message,
            gop_ms=self._checks.gop_ms,
            centi_dbfs=self._checks.level_centi_dbfs(monotonic_us),
            clock_us=clock_us,
            loss_ppm=self._checks.loss_ppm if reception is not None else None,
            jitter_us=reception.jitter_us if reception is not None else None,
            verdicts=verdicts,
        )

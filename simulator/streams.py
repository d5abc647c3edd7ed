"""One stream of a virtual camera: its loops, its numbers, and who watches it."""

import os
import secrets
from typing import Protocol

from bidwitness.simulator.faults import Fault, FaultBoard, FaultKind
from bidwitness.simulator.genlock import Genlock
from bidwitness.simulator.loopfile import Loop
from bidwitness.simulator.rtp import (
    PICTURE_RATE,
    Template,
    fill,
    picture_templates,
    sender_report,
    sound_templates,
)
from bidwitness.simulator.spec import FPS, FRAME_US, LOOP_FRAMES, CameraSpec, Join, Sets
from bidwitness.simulator.stamps import FrameStamp, stamp_text
from bidwitness.words import StreamRole

PICTURE, SOUND = 0, 1
PICTURE_TYPE = 96
JPEG_TYPE = 26
_SOUND_TYPES = {"alaw": 8, "ulaw": 0, "aac": 97, "l16": 98, "opus": 99, "g726": 100}
_TICKS = PICTURE_RATE // FPS
_REPORT_FRAMES = 5 * FPS


class Wire(Protocol):
    """How one viewer's packets leave."""

    def packets(self, track: int, data: bytearray, starts: tuple[int, ...]) -> None: ...

    def report(self, track: int, packet: bytes) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class PicturePart:
    """A picture loop cut for sending; shared by all cameras that show the same picture."""

    def __init__(self, loop: Loop, sets: Sets = Sets.BOTH) -> None:
        self.header = loop.header
        self.type = JPEG_TYPE if loop.header["codec"] == "mjpeg" else PICTURE_TYPE
        self.templates = picture_templates(loop, self.type, sets)
        self.keys = frozenset(loop.header["keys"])
        self.shown: list[int] = loop.header["shown"]
        # With B-frames a unit is sent once the frame it shows has been taken.
        self.delay = max(shown - index for index, shown in enumerate(self.shown))


class SoundPart:
    """A sound loop cut for sending."""

    def __init__(self, loop: Loop) -> None:
        self.header = loop.header
        self.type = _SOUND_TYPES[loop.header["sound"]]
        self.templates = sound_templates(loop, self.type)
        self.rate: int = loop.header["rate"]
        self.samples: int = loop.header["samples"]

    def count_at(self, frame: int) -> int:
        """Give how many packets are whole, since T0, at a frame's instant."""
        return frame * self.rate // (FPS * self.samples)


class Counter:
    """The running numbers of one RTP source."""

    def __init__(self) -> None:
        self.ssrc = secrets.randbits(32)
        self.base = secrets.randbits(32)
        self.sequence = secrets.randbits(16)
        self.packets = 0
        self.octets = 0

    def advance(self, template: Template) -> None:
        self.sequence = (self.sequence + len(template.starts)) & 0xFFFF
        self.packets += len(template.starts)
        self.octets += template.octets


class Viewer:
    """One playing RTSP session."""

    def __init__(self, wire: Wire, tracks: frozenset[int], first_report: int) -> None:
        self.wire = wire
        self.tracks = tracks
        self.next_report = first_report
        self.started = False


class ServedStream:
    """Sends one stream, frame by frame, to all who watch it."""

    def __init__(
        self,
        spec: CameraSpec,
        role: StreamRole,
        genlock: Genlock,
        picture: PicturePart,
        sound: SoundPart | None,
    ) -> None:
        self.spec, self.role = spec, role
        self.picture, self.sound = picture, sound
        self.faults = FaultBoard()
        self.counters = (Counter(), Counter())
        if spec.wrap_seconds:
            start = genlock.frame_now() * _TICKS + spec.wrap_seconds * PICTURE_RATE
            self.counters[PICTURE].base = -start & 0xFFFFFFFF
        self.viewers: set[Viewer] = set()
        self.plays = 0
        # The first frame that was due to the last viewer.
        self.played_from = 0
        self._genlock = genlock
        self._usual = picture
        self._next_picture: PicturePart | None = None
        self._frozen: int | None = None

    @property
    def tracks(self) -> tuple[int, ...]:
        if self.spec.sound_only:
            return (SOUND,)
        return (PICTURE, SOUND) if self.sound else (PICTURE,)

    def rate(self, track: int) -> int:
        """Give a track's RTP clock rate."""
        return self.sound.rate if track == SOUND and self.sound else PICTURE_RATE

    def frame_now(self) -> int:
        """Give the number of the frame that was sent last."""
        return self._genlock.frame_now()

    def camera_clock_us(self) -> int:
        """Give what the camera takes for UTC, in µs."""
        return self._genlock.utc_us() + self._skew_us(self._genlock.now_us())

    def _skew_us(self, now: int) -> int:
        skew = self.faults.get(FaultKind.SKEW, now)
        return skew.ms * 1000 if skew else 0

    def timestamp(self, track: int, frame: int) -> int:
        """Give a track's RTP timestamp of a frame's instant."""
        elapsed = frame * self.rate(track) // FPS
        return (self.counters[track].base + elapsed + self._shift(track)) & 0xFFFFFFFF

    def _shift(self, track: int) -> int:
        jump = self.faults.get(FaultKind.JUMP, self._genlock.now_us())
        return jump.ms * self.rate(track) // 1000 if jump else 0

    def add(self, wire: Wire, tracks: frozenset[int]) -> Viewer:
        """Start sending to a viewer with the next fitting frame."""
        frame = self._genlock.frame_now() + 1
        viewer = Viewer(wire, tracks, frame + self.spec.report_delay * FPS)
        viewer.started = self.spec.join is Join.NOW
        self.viewers.add(viewer)
        self.plays += 1
        self.played_from = frame
        return viewer

    def remove(self, viewer: Viewer) -> None:
        """Stop sending to a viewer."""
        self.viewers.discard(viewer)

    def refuses(self) -> bool:
        """Tell whether the camera is to seem unreachable now."""
        return self.faults.get(FaultKind.DROP, self._genlock.now_us()) is not None

    def set_fault(self, fault: Fault) -> None:
        """Begin a fault now. A resolution's picture is given by ``change_picture``."""
        self.faults.set(fault, self._genlock.now_us())
        if fault.kind is FaultKind.DROP:
            for viewer in list(self.viewers):
                viewer.wire.close()

    def change_picture(self, picture: PicturePart) -> None:
        """Show another loop from the next key frame on."""
        self._next_picture = picture

    def clear_faults(self) -> None:
        """End all faults; the usual picture comes back with the next key frame."""
        self.faults.clear()
        self._frozen = None
        self._next_picture = self._usual if self.picture is not self._usual else None

    def send_frame(self, frame: int) -> None:
        """Send what is due at a frame's instant: a picture, and the sound since the last."""
        now = self._genlock.now_us()
        self._follow_resolution(frame, now)
        if not self.viewers or self.faults.get(FaultKind.STALL, now):
            return
        index = (frame - self.picture.delay) % LOOP_FRAMES
        if index in self.picture.keys:
            for viewer in self.viewers:
                viewer.started = True
        going = [viewer for viewer in self.viewers if viewer.started]
        if not going:
            return
        for viewer in going:
            if frame >= viewer.next_report:
                self._send_reports(viewer, frame, now)
        if not self.spec.sound_only:
            self._send_picture(frame, index, going, now)
        if self.sound and not self.faults.get(FaultKind.SILENT, now):
            self._send_sound(self.sound, frame, going, now)
        for viewer in going:
            viewer.wire.flush()

    def _follow_resolution(self, frame: int, now: int) -> None:
        if self.picture is not self._usual and self._next_picture is None:
            ended = self.faults.get(FaultKind.RESOLUTION, now) is None
            self._next_picture = self._usual if ended else None
        coming = self._next_picture
        if coming and (frame - coming.delay) % LOOP_FRAMES in coming.keys:
            self.picture, self._next_picture = coming, None

    def _send_picture(self, frame: int, index: int, going: list[Viewer], now: int) -> None:
        counter = self.counters[PICTURE]
        template = self.picture.templates[index]
        shown = frame - self.picture.delay - index + self.picture.shown[index]
        stamp = FrameStamp(
            shown, self._genlock.t0_us + shown * FRAME_US, self.spec.name, self.role.value
        )
        stamped_at = shown
        if self.faults.get(FaultKind.REPEAT, now):
            self._frozen = shown if self._frozen is None else self._frozen
            stamped_at = self._frozen
        else:
            self._frozen = None
        data = fill(
            template,
            sequence=counter.sequence,
            timestamp=counter.base + stamped_at * _TICKS + self._shift(PICTURE),
            ssrc=counter.ssrc,
            text=stamp_text(stamp),
        )
        self._send(PICTURE, template, data, going, now)

    def _send_sound(self, sound: SoundPart, frame: int, going: list[Viewer], now: int) -> None:
        counter = self.counters[SOUND]
        for number in range(sound.count_at(frame - 1), sound.count_at(frame)):
            template = sound.templates[number % len(sound.templates)]
            data = fill(
                template,
                sequence=counter.sequence,
                timestamp=counter.base + number * sound.samples + self._shift(SOUND),
                ssrc=counter.ssrc,
                text=b"",
            )
            self._send(SOUND, template, data, going, now)

    def _send(
        self, track: int, template: Template, data: bytearray, going: list[Viewer], now: int
    ) -> None:
        if self.faults.get(FaultKind.GARBAGE, now):
            _spoil(data, template.starts)
        for viewer in going:
            if track in viewer.tracks:
                viewer.wire.packets(track, data, template.starts)
        self.counters[track].advance(template)

    def _send_reports(self, viewer: Viewer, frame: int, now: int) -> None:
        viewer.next_report = frame + _REPORT_FRAMES
        for track in viewer.tracks:
            counter = self.counters[track]
            packet = sender_report(
                ssrc=counter.ssrc,
                utc_us=self._genlock.instant_us(frame) + self._skew_us(now),
                timestamp=self.timestamp(track, frame),
                packets=counter.packets,
                octets=counter.octets,
            )
            viewer.wire.report(track, packet)


def _spoil(data: bytearray, starts: tuple[int, ...]) -> None:
    """Put noise in place of every payload, behind sound headers."""
    for start, end in zip(starts, (*starts[1:], len(data)), strict=True):
        data[start + 16 : end] = os.urandom(end - start - 16)

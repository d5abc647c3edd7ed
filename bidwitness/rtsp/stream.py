"""One camera's stream, opened: its tracks, and their units as they come."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bidwitness.addresses import CameraAddress
from bidwitness.clock import Clock
from bidwitness.errors import CameraError
from bidwitness.rtsp.client import Client
from bidwitness.rtsp.datagrams import Ports, UdpFlow
from bidwitness.rtsp.flow import Ended, Flow, Silent, TcpFlow
from bidwitness.rtsp.rtp import US, Report, TrackReader
from bidwitness.rtsp.sdp import Media
from bidwitness.rtsp.tracks import payload_of, track_of
from bidwitness.rtsp.units import Raw, Track, Unit
from bidwitness.rtsp.wire import connect

ANSWER_S = 6.0
# Where a camera says that its tracks begin is believed if it is so near to how they arrive.
_NEAR_US = US
_INFO = re.compile(r"url\s*=\s*([^;,]+)[^,]*?rtptime\s*=\s*(\d{1,10})", re.IGNORECASE)

__all__ = ["Ended", "Offer", "RtspStream", "Silent", "open_stream"]


@dataclass(frozen=True, slots=True)
class Offer:
    """A track that a camera offers. ``readable``: we can take it apart."""

    track: Track
    media: Media
    readable: bool


class RtspStream:
    """What flows. Made by ``open_stream``; ``chosen`` are the places of its tracks in the offer."""

    def __init__(
        self, flow: Flow, readers: Sequence[TrackReader], starts: Sequence[int | None]
    ) -> None:
        self._flow = flow
        self._readers = readers
        self._line = _Line(readers, starts)
        self._told: list[Report | None] = [None] * len(readers)
        self._urgent: Callable[[], bool] = lambda: True

    @property
    def lost(self) -> int:
        """Count RTP packets that never came."""
        return sum(reader.lost for reader in self._readers)

    @property
    def received(self) -> int:
        """Count RTP packets that came."""
        return sum(reader.received for reader in self._readers)

    def jitter_us(self, track: int) -> int:
        """Give a track's jitter between arrivals (RFC 3550, A.8) in µs."""
        reader = self._readers[track]
        return reader.jitter * US // reader.rate

    def hurry(self, urgent: Callable[[], bool]) -> None:
        """Say who tells whether units are wanted as they come, or may be gathered."""
        self._urgent = urgent

    def units(self) -> Iterator[Unit]:
        """Give units as they come. Ends by ``Ended``, ``Silent`` or ``OSError`` only."""
        for place, raws, arrived_us in self._flow.arrivals(self._urgent):
            for raw in raws:
                yield self._unit(place, raw, arrived_us)

    def close(self) -> None:
        self._flow.close()

    def _unit(self, place: int, raw: Raw, arrived_us: int) -> Unit:
        reader = self._readers[place]
        camera_us = None
        if raw.key or reader.report is not self._told[place]:
            self._told[place] = reader.report
            camera_us = reader.camera_us(raw.stamp)
        stamp = self._line.stamp(place, raw, arrived_us)
        return Unit(place, raw.data, stamp, raw.duration, raw.key, arrived_us, camera_us)


class _Line:
    """Puts the stamps of all tracks on one line that begins with the first unit."""

    def __init__(self, readers: Sequence[TrackReader], starts: Sequence[int | None]) -> None:
        self._readers = readers
        self._starts = starts
        self._origins: list[int | None] = [None] * len(readers)
        # The track that began: its place, its first stamp (of 32 bits), when that came.
        self._first: tuple[int, int, int] | None = None

    def stamp(self, place: int, raw: Raw, arrived_us: int) -> int:
        """Give a unit's place on the line, in ticks of its track."""
        reader = self._readers[place]
        extended = reader.extended(raw.stamp)
        origin = self._origins[place]
        if origin is None:
            origin = extended - self._offset_us(place, raw, arrived_us) * reader.rate // US
            self._origins[place] = origin
        return extended - origin

    def _offset_us(self, place: int, raw: Raw, arrived_us: int) -> int:
        """Give how much later a track's first unit is than the first unit of all."""
        if self._first is None:
            self._first = (place, raw.stamp, arrived_us)
            return 0
        first, first_stamp, first_us = self._first
        here, there = self._readers[place], self._readers[first]
        by_camera = here.camera_us(raw.stamp), there.camera_us(first_stamp)
        if by_camera[0] is not None and by_camera[1] is not None:
            return by_camera[0] - by_camera[1]
        length_us = raw.duration * US // here.rate
        by_arrival = arrived_us - first_us - length_us
        starts = self._starts[place], self._starts[first]
        if starts[0] and starts[1]:
            since = _since(raw.stamp, starts[0], here.rate)
            said = since - _since(first_stamp, starts[1], there.rate)
            if abs(said - by_arrival) < _NEAR_US:
                return said
        return by_arrival


def _since(stamp: int, start: int, rate: int) -> int:
    step = stamp - start & 0xFFFFFFFF
    if step >= 1 << 31:
        step -= 1 << 32
    return step * US // rate


def open_stream(
    address: CameraAddress,
    ip: str,
    choose: Callable[[Sequence[Offer]], Sequence[int]],
    clock: Clock,
    after_us: int = 0,
) -> RtspStream:
    """Connect to ``ip``, where ``address`` resolved to; ask for the tracks that ``choose`` names.

    ``after_us``: its place after the beat on which what came is taken.

    Raises ``CameraError`` or ``InvalidInput`` with one message made for people, and whatever
    ``choose`` raises.
    """
    client = Client(connect(address, ip, ANSWER_S), address)
    ports: dict[int, Ports] = {}
    try:
        media = client.describe().media
        offers = [Offer(track_of(m), m, payload_of(m) is not None) for m in media]
        chosen = [media[place] for place in choose(offers)]
        readers = [_reader(each) for each in chosen]
        by_place = dict(enumerate(readers))
        channels: dict[int, int] = {}
        for place, each in enumerate(chosen):
            if address.scheme == "rtspu":
                ports[place] = Ports(ip, client.wire.socket.getsockname()[0])
                said = client.set_up(each.control, ports[place].transport)
                ports[place].expect(said.get("server_port", ""))
            else:
                wanted = f"RTP/AVP/TCP;unicast;interleaved={2 * place}-{2 * place + 1}"
                said = client.set_up(each.control, wanted)
                first = said.get("interleaved", "").partition("-")[0]
                channels[place] = min(int(first), 254) if first.isdigit() else 2 * place
        starts = _starts(client.play(), [each.control for each in chosen])
        flow: Flow
        if ports:
            flow = UdpFlow(client, ports, by_place, clock, after_us)
        else:
            flow = TcpFlow(client, channels, by_place, clock, after_us)
        return RtspStream(flow, readers, starts)
    except OSError as error:
        _give_up(client, ports)
        raise CameraError(f"No connection to the camera: {error.strerror or 'cut off'}.") from None
    except BaseException:
        _give_up(client, ports)
        raise


def _give_up(client: Client, ports: dict[int, Ports]) -> None:
    for pair in ports.values():
        pair.close()
    client.hang_up()


def _reader(media: Media) -> TrackReader:
    payload = payload_of(media)
    assert payload is not None, "only what can be read is chosen"
    return TrackReader(payload, media.payload_type, media.rate)


def _starts(info: str, controls: Sequence[str]) -> list[int | None]:
    """Give the stamp at which each track begins, as ``RTP-Info`` says (RFC 2326, 12.33)."""
    said = {url.strip().rpartition("/")[2]: int(stamp) for url, stamp in _INFO.findall(info)}
    return [said.get(control.rpartition("/")[2]) for control in controls]

"""Media as they arrive on RTSP's own connection: received, taken apart, answered in time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from bidwitness.beat import until_beat
from bidwitness.clock import Clock
from bidwitness.rtsp.client import Client
from bidwitness.rtsp.interleaved import Interleaved, TooStrange
from bidwitness.rtsp.rtp import TrackReader, receiver_report
from bidwitness.rtsp.units import Raw

# A camera that sends nothing for so long is taken to have stopped.
SILENT_S = 5.0
# Until its first picture or sound it may take longer: some wait for a key frame.
FIRST_S = 12.0
# At first every packet is taken as it comes: when it came says how its tracks belong together, and
# what the recorder's clock says of the run. Later the least delayed of many says it well enough.
_ATTENTIVE_US = 3_500_000
_CHUNK = 256 * 1024
_REPORT_US = 5_000_000
_OUR_NAME = 0x42_57_00_01


class Ended(Exception):
    """The camera closed the connection, or said goodbye."""


class Silent(Exception):
    """The camera has stopped sending."""


Arrival = tuple[int, list[Raw], int]


def is_silent(now_us: int, begun_us: int, unit_us: int | None) -> bool:
    """Say whether a camera has stopped: nothing of its tracks comes. Pure."""
    if unit_us is None:
        return now_us - begun_us > FIRST_S * 1_000_000
    # A wait that the kernel ended is a little shorter than was asked.
    return now_us - unit_us > SILENT_S * 990_000


def rests(
    readers: Mapping[int, TrackReader], now_us: int, *, gathered_only: bool = True
) -> Iterator[Arrival]:
    """Give what is whole and was held back; at the end of a connection, of all tracks."""
    for place, reader in readers.items():
        if (reader.gathers or not gathered_only) and (units := reader.rest()):
            yield place, units, now_us


class Flow(Protocol):
    """Gives what arrives: a track's place, its units, the monotonic µs of their arrival."""

    def arrivals(self, urgent: Callable[[], bool]) -> Iterator[Arrival]:
        """Ends by ``Ended``, ``Silent`` or ``OSError`` only."""

    def close(self) -> None: ...


@dataclass
class Courtesy:
    """What a camera must hear from us now and then, lest it stop."""

    client: Client
    readers: Mapping[int, TrackReader]
    send_report: Callable[[int, bytes], None]
    sign_us: int = 0
    report_us: int = 0

    def mind(self, now_us: int) -> None:
        """Send a sign of life and receiver reports, if it is time."""
        if not self.sign_us:
            self.sign_us, self.report_us = now_us, now_us
        # Half the time it lets pass, and at least every half minute.
        if now_us - self.sign_us >= min(self.client.session_s // 2, 30) * 1_000_000:
            self.sign_us = now_us
            self.client.keep_alive()
        if now_us - self.report_us >= _REPORT_US:
            self.report_us = now_us
            for place, reader in self.readers.items():
                if reader.received:
                    self.send_report(place, receiver_report(_OUR_NAME, reader))


class TcpFlow:
    """Media interleaved with RTSP. ``channels``: by place, the channel of its packets."""

    def __init__(
        self,
        client: Client,
        channels: Mapping[int, int],
        readers: Mapping[int, TrackReader],
        clock: Clock,
        after_us: int = 0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._after_us = after_us
        self._channels = channels
        self._readers = readers
        self._apart = Interleaved(
            {channel: (place, readers[place]) for place, channel in channels.items()}
        )
        self._courtesy = Courtesy(client, readers, self._send_report)

    def arrivals(self, urgent: Callable[[], bool]) -> Iterator[Arrival]:
        try:
            yield from self._arrivals(urgent)
        except (Ended, Silent, OSError):
            yield from rests(self._readers, self._clock.monotonic_us(), gathered_only=False)
            raise

    def _arrivals(self, urgent: Callable[[], bool]) -> Iterator[Arrival]:
        now = self._clock.monotonic_us
        wire, apart = self._client.wire, self._apart
        view = memoryview(bytearray(_CHUNK))
        wire.patience(SILENT_S)
        first_us = arrived_us = now()
        unit_us: int | None = None
        data = self._client.rest()
        while True:
            try:
                for place, units in apart.feed(data, arrived_us):
                    unit_us = arrived_us
                    yield place, units, arrived_us
            except TooStrange:
                raise Ended from None
            for arrival in rests(self._readers, arrived_us):
                unit_us = arrived_us
                yield arrival
            self._answer()
            self._courtesy.mind(arrived_us)
            is_all = len(data) < len(view)  # else more waits already
            if is_all and arrived_us - first_us > _ATTENTIVE_US and not urgent():
                # While nobody watches: waking for each packet costs a fifth more.
                self._clock.sleep(until_beat(now(), self._after_us))
            try:
                count = wire.receive_into(view)
            except TimeoutError:
                count = -1
            arrived_us = now()
            if not count:
                raise Ended
            if is_silent(arrived_us, first_us, unit_us):
                raise Silent
            data = bytes(view[: max(count, 0)])

    def close(self) -> None:
        self._client.hang_up()

    def _answer(self) -> None:
        messages, self._apart.messages = self._apart.messages, []
        goes_on = all(self._client.hear(message) for message in messages)
        if self._apart.gone or not goes_on:
            raise Ended

    def _send_report(self, place: int, report: bytes) -> None:
        head = bytes((0x24, self._channels[place] + 1)) + len(report).to_bytes(2)
        self._client.wire.send(head + report)

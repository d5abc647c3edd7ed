"""Media as datagrams (UDP): put in order, as far as they come, and within a fifth of a second."""

import selectors
import socket
import struct
from collections.abc import Callable, Iterator, Mapping

from bidwitness.beat import SHORT_BEAT_US, until_beat
from bidwitness.clock import Clock
from bidwitness.rtsp.client import Client
from bidwitness.rtsp.flow import (
    SILENT_S,
    Arrival,
    Courtesy,
    Ended,
    Silent,
    is_silent,
    rests,
)
from bidwitness.rtsp.interleaved import Interleaved, TooStrange
from bidwitness.rtsp.rtp import TrackReader

LATEST_US = 200_000
_MOST_HELD = 256
_KERNEL_BUFFER = 4 << 20
_MOST = 65_536
_HALF = 1 << 15
_TRIES = 50


class Reorder:
    """Holds datagrams that came too early, for at most ``LATEST_US``. Pure."""

    def __init__(self) -> None:
        self._next = -1
        self._held: dict[int, tuple[int, bytes]] = {}

    @property
    def due_us(self) -> int | None:
        """Give when what is held will not be held any longer."""
        return min((at for at, _ in self._held.values()), default=None)

    def push(self, data: bytes, at_us: int) -> Iterator[bytes]:
        """Take a packet; give those that are in order now."""
        if len(data) < 12:
            return
        number = data[2] << 8 | data[3]
        if self._next >= 0 and number != self._next:
            behind = number - self._next & 0xFFFF >= _HALF
            if not behind:
                self._held[number] = (at_us + LATEST_US, data)
                if len(self._held) > _MOST_HELD:
                    yield from self._give_up()
            elif not self._held:
                # Too late, or a sender that counts anew: who reads it tells the two apart.
                yield data
            return
        self._next = number + 1 & 0xFFFF
        yield data
        yield from self._following()

    def late(self, now_us: int) -> Iterator[bytes]:
        """Give what has been held for too long, and all that follows it."""
        due_us = self.due_us
        if due_us is not None and due_us <= now_us:
            yield from self._give_up()

    def _give_up(self) -> Iterator[bytes]:
        self._next = min(self._held, key=lambda number: number - self._next & 0xFFFF)
        yield from self._following()

    def _following(self) -> Iterator[bytes]:
        while self._next in self._held:
            yield self._held.pop(self._next)[1]
            self._next = self._next + 1 & 0xFFFF


class Ports:
    """The two ports of one track (RFC 3550, 11): an even one for media, the next for reports.

    ``own``: the address of this machine that the camera sees; nothing else is listened at.
    """

    def __init__(self, ip: str, own: str) -> None:
        self._ip = ip
        self.media, self.reports = _pair(own)
        self.media.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL_BUFFER)

    @property
    def transport(self) -> str:
        """Give what SETUP asks for."""
        port = self.media.getsockname()[1]
        return f"RTP/AVP;unicast;client_port={port}-{port + 1}"

    def expect(self, server_port: str) -> None:
        """Take nothing but what this camera sends, from the ports that it said, if it did."""
        first, _, second = server_port.partition("-")
        if not first.isdigit() or not 0 < int(first) < 65_535:
            return
        last = int(second) if second.isdigit() and 0 < int(second) < 65_536 else int(first) + 1
        self.media.connect((self._ip, int(first)))
        self.reports.connect((self._ip, last))
        # A first datagram opens the way through whatever stands between.
        self.media.send(struct.pack(">BBHII", 0x80, 0, 0, 0, 0))

    def send_report(self, report: bytes) -> None:
        """Send a report, if it is known where to."""
        try:
            self.reports.send(report)
        except OSError:
            return  # nobody listens for reports there

    def receive(self, connection: socket.socket) -> bytes | None:
        """Give the next datagram that has come from the camera; None if there is none."""
        while True:
            try:
                data, sender = connection.recvfrom(_MOST)
            except BlockingIOError:
                return None
            except ConnectionRefusedError:
                continue
            if sender[0] == self._ip:
                return data

    def close(self) -> None:
        self.media.close()
        self.reports.close()


def _pair(own: str) -> tuple[socket.socket, socket.socket]:
    family = socket.AF_INET6 if ":" in own else socket.AF_INET
    for _ in range(_TRIES):
        media = socket.socket(family, socket.SOCK_DGRAM)
        media.bind((own, 0))
        port = media.getsockname()[1]
        reports = socket.socket(family, socket.SOCK_DGRAM)
        try:
            if port % 2 == 0:
                reports.bind((own, port + 1))
                media.setblocking(False)
                reports.setblocking(False)
                return media, reports
        except OSError:
            port = 0  # the next one is taken
        media.close()
        reports.close()
    raise OSError("no two neighbouring ports are free")


class UdpFlow:
    """Media by UDP, RTSP beside them."""

    def __init__(
        self,
        client: Client,
        ports: Mapping[int, Ports],
        readers: Mapping[int, TrackReader],
        clock: Clock,
        after_us: int = 0,
    ) -> None:
        self._client = client
        self._ports = ports
        self._readers = readers
        self._clock = clock
        self._after_us = after_us
        self._orders = {place: Reorder() for place in ports}
        self._talk = Interleaved({})
        self._courtesy = Courtesy(client, readers, lambda p, data: ports[p].send_report(data))

    def arrivals(self, urgent: Callable[[], bool]) -> Iterator[Arrival]:
        now = self._clock.monotonic_us
        begun_us = arrived_us = now()
        unit_us: int | None = None
        self._client.wire.patience(SILENT_S)
        with selectors.DefaultSelector() as selector:
            selector.register(self._client.wire.socket, selectors.EVENT_READ)
            for ports in self._ports.values():
                selector.register(ports.media, selectors.EVENT_READ)
                selector.register(ports.reports, selectors.EVENT_READ)
            while True:
                ready = selector.select(self._wait_s(arrived_us))
                arrived_us = now()
                if any(key.fileobj is self._client.wire.socket for key, _ in ready):
                    self._hear()
                for arrival in self._take(arrived_us):
                    unit_us = arrived_us
                    yield arrival
                if is_silent(arrived_us, begun_us, unit_us):
                    raise Silent
                self._courtesy.mind(arrived_us)
                if not urgent():
                    self._clock.sleep(until_beat(now(), self._after_us, SHORT_BEAT_US))

    def close(self) -> None:
        for ports in self._ports.values():
            ports.close()
        self._client.hang_up()

    def _wait_s(self, now_us: int) -> float:
        due = [order.due_us for order in self._orders.values() if order.due_us is not None]
        return max(0.0, min([SILENT_S, *((at - now_us) / 1_000_000 for at in due)]))

    def _take(self, now_us: int) -> Iterator[Arrival]:
        for place, ports in self._ports.items():
            reader, order = self._readers[place], self._orders[place]
            while (data := ports.receive(ports.media)) is not None:
                for packet in order.push(data, now_us):
                    if units := reader.take(packet, 0, len(packet), now_us):
                        yield place, units, now_us
            for packet in order.late(now_us):
                if units := reader.take(packet, 0, len(packet), now_us):
                    yield place, units, now_us
            yield from rests({place: reader}, now_us)
            while (data := ports.receive(ports.reports)) is not None:
                if reader.take_report(data, 0, len(data)):
                    raise Ended

    def _hear(self) -> None:
        room = bytearray(_MOST)
        count = self._client.wire.receive_into(memoryview(room))
        if not count:
            raise Ended
        try:
            list(self._talk.feed(bytes(room[:count]), 0))
        except TooStrange:
            raise Ended from None
        messages, self._talk.messages = self._talk.messages, []
        if not all(self._client.hear(message) for message in messages):
            raise Ended

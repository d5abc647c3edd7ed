"""A connection that nobody watches is read on the beat, and read empty each time."""

import socket

from support.clock import FakeClock

from bidwitness.addresses import parse_camera_address
from bidwitness.rtsp.client import Client
from bidwitness.rtsp.flow import TcpFlow
from bidwitness.rtsp.rtp import TrackReader
from bidwitness.rtsp.sound_payload import PlainPayload
from bidwitness.rtsp.wire import Wire

PACKET = 1_000
# Four seconds of packets in calm; then as many as three full reads, at once.
CALM, CROWD = 200, 800


class CountingClock(FakeClock):
    """Counts how often somebody sleeps."""

    sleeps = 0

    def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        super().sleep(seconds)


class FullWire(Wire):
    """Gives one packet a read, 20 ms apart, and then a crowd that does not fit into one read."""

    def __init__(self, clock: FakeClock, end: socket.socket) -> None:
        super().__init__(end)
        self._clock = clock
        self._calm = [packet(number) for number in range(CALM)]
        self._crowd = b"".join(packet(CALM + number) for number in range(CROWD))

    def send(self, data: bytes) -> None:
        """Nobody hears what is sent."""

    def receive_into(self, buffer: memoryview) -> int:
        self._clock.advance(20_000)
        if self._calm:
            given = self._calm.pop(0)
        else:
            given = self._crowd[: len(buffer)]
            self._crowd = self._crowd[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


def packet(number: int) -> bytes:
    head = b"\x80\x60" + number.to_bytes(2) + (number * 160).to_bytes(4) + bytes(4)
    rtp = head + bytes(PACKET - len(head))
    return b"$\0" + len(rtp).to_bytes(2) + rtp


def test_a_quick_camera_is_not_kept_waiting() -> None:
    clock = CountingClock()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = Client(FullWire(clock, ours), parse_camera_address("rtsp://127.0.0.1/x"))
        reader = TrackReader(PlainPayload(160), 96, 8000)
        arrivals = TcpFlow(client, {0: 0}, {0: reader}, clock).arrivals(lambda: False)
        for _ in range(CALM):
            next(arrivals)
        calm = clock.sleeps
        assert calm > 0
        for _ in range(CROWD):
            next(arrivals)
    # One sleep before the crowd came; none between its parts.
    assert clock.sleeps == calm + 1
    assert reader.lost == 0

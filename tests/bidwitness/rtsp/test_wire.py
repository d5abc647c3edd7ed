"""What comes over TLS comes record by record; a reader that wakes now and then takes all of it."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from support.certificates import self_signed

from bidwitness.addresses import parse_camera_address
from bidwitness.rtsp.wire import Wire, connect

RECORD, RECORDS = 1_400, 60


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[tuple[Wire, ssl.SSLSocket]]:
    """Give our end of a secured connection, and the camera's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        accepted: list[ssl.SSLSocket] = []

        def accept() -> None:
            plain, _ = listener.accept()
            accepted.append(context.wrap_socket(plain, server_side=True))

        thread = threading.Thread(target=accept)
        thread.start()
        address = parse_camera_address(f"rtsps://127.0.0.1:{listener.getsockname()[1]}/x")
        wire = connect(replace(address, unproven_certificate=True), "127.0.0.1", 5)
        stack.callback(wire.close)
        thread.join()
        yield wire, stack.enter_context(accepted[0])


def test_all_that_has_come_is_given(ends: tuple[Wire, ssl.SSLSocket]) -> None:
    wire, camera = ends
    sent = b"".join(bytes([number]) * RECORD for number in range(RECORDS))
    for at in range(0, len(sent), RECORD):
        camera.sendall(sent[at : at + RECORD])
    view, got, calls = memoryview(bytearray(1 << 18)), b"", 0
    while len(got) < len(sent):
        count = wire.receive_into(view)
        got += view[:count]
        calls += 1
    assert got == sent
    # One at a time, a reader that wakes five times a second would fall behind for ever.
    assert calls < RECORDS // 4


def test_a_small_buffer_is_filled_and_nothing_lost(ends: tuple[Wire, ssl.SSLSocket]) -> None:
    wire, camera = ends
    camera.sendall(bytes(5 * RECORD))
    view = memoryview(bytearray(2 * RECORD))
    counts = [wire.receive_into(view) for _ in range(3)]
    assert counts == [2 * RECORD, 2 * RECORD, RECORD]


def test_silence_and_the_end_are_told_apart(ends: tuple[Wire, ssl.SSLSocket]) -> None:
    wire, camera = ends
    view = memoryview(bytearray(1 << 18))
    camera.sendall(b"last")
    assert wire.receive_into(view) == 4
    wire.patience(0.05)
    with pytest.raises(TimeoutError):
        wire.receive_into(view)
    camera.close()
    assert wire.receive_into(view) == 0

"""How a connection's tracks are put on one line, by what is known when a track's first unit comes."""

import pytest

from bidwitness.rtsp.rtp import Report, TrackReader
from bidwitness.rtsp.sound_payload import PlainPayload
from bidwitness.rtsp.stream import _Line
from bidwitness.rtsp.units import Raw

US = 1_000_000
UTC = 1_795_000_000_000_000
# The sound was made 40 ms before the picture, says RTP-Info 25 ms, arrived 10 ms after it; a packet
# holds 20 ms. Stamps begin anywhere.
PICTURE, SOUND = 4_000_000_000, 77_000
BY_REPORT, BY_INFO, BY_ARRIVAL = -40_000, -25_000, -10_000
INFO = (PICTURE - 9_000, SOUND - 600)


def line(reports: tuple[bool, bool], starts: tuple[int | None, int | None]) -> tuple[_Line, int]:
    """Give the line after both first units, and where the sound's was put (µs)."""
    readers = [TrackReader(PlainPayload(1), 96, rate) for rate in (90_000, 8000)]
    for reader, stamp in zip(readers, (PICTURE, SOUND), strict=True):
        reader.take(b"\x80\x60\0\1" + stamp.to_bytes(4) + bytes(4) + bytes(160), 0, 172, 0)
    if reports[0]:
        readers[0].report = Report(UTC + 40_000, PICTURE)
    if reports[1]:
        readers[1].report = Report(UTC, SOUND)
    made = _Line(readers, starts)
    assert made.stamp(0, Raw(b"", PICTURE, key=True), 9 * US) == 0
    sound = made.stamp(1, Raw(b"", SOUND, duration=160), 9 * US + 10_000)
    # What comes later is not put elsewhere: a run's stamps run on.
    readers[0].report, readers[1].report = Report(UTC + 40_000, PICTURE), Report(UTC, SOUND)
    assert made.stamp(1, Raw(b"", SOUND + 160, duration=160), 9 * US + 30_000) == sound + 160
    return made, sound * US // 8000


@pytest.mark.parametrize(
    ("reports", "starts", "placed"),
    [
        ((True, True), (None, None), BY_REPORT),
        ((True, True), INFO, BY_REPORT),
        ((True, False), INFO, BY_INFO),
        ((False, True), INFO, BY_INFO),
        ((False, False), INFO, BY_INFO),
        ((True, False), (None, None), BY_ARRIVAL),
        ((False, True), (PICTURE, None), BY_ARRIVAL),
        ((False, False), (None, None), BY_ARRIVAL),
        # A start that is minutes away from how they arrive is another line's.
        ((False, False), (PICTURE - 90_000 * 600, SOUND), BY_ARRIVAL),
    ],
)
def test_the_best_that_is_known(
    reports: tuple[bool, bool], starts: tuple[int | None, int | None], placed: int
) -> None:
    assert line(reports, starts)[1] == placed

"""From the camera's sending of a frame to its painting on the wall, in a real Chromium.

Virtual cameras, recorder, live and API are processes of their own, and Chromium is another; the
cameras are genlocked, so that the instant of each frame follows from its number, which is read from
the bar code in the painted picture. What the camera's own encoder and the screen take is not in it.

``live.p95_ms``: one tile, the 1280×720 main stream. ``live.nine_p95_ms``: nine tiles, 640×360 each.
Both after ``SETTLE_S``. ``live.first_frame_ms``: from the socket's opening to the first picture, the
median of tiles opened one after the other; ``live.first_frame_p95_ms`` the slow ones. The cameras
send a key frame a second. ``…_painted_share``: of the frames sent, how many were painted.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page
from support.browser import running_chromium

from benchmarks.site import p95, recording_site, reset, taken, watching
from bidwitness.demo.client import wait_for
from bidwitness.errors import Unavailable
from bidwitness.simulator.spec import FRAME_US, LOOP_FRAMES, CameraSpec, spec_from

SETTLE_S = 4
FIRST_ROUNDS = 12
WAIT_S = 30
FPS = 25
LOOP_US = LOOP_FRAMES * FRAME_US
# The smallest sight of all tiles that has enough numbers for a p95 and costs little to read.
READ_ONE_IN = 5
MAIN = {"width": 1280, "height": 720, "bitrate": 1_400_000}
SUB = {"sub_width": 640, "sub_height": 360, "sub_bitrate": 512_000}


def measure_live(cameras: int, seconds: int) -> dict[str, float]:
    """Give the figures of one tile and of ``cameras`` tiles, each watched for ``seconds``."""
    if cameras < 2:
        raise Unavailable("This benchmark needs two cameras or more.")
    specs = [_camera(number) for number in range(cameras)]
    with (
        tempfile.TemporaryDirectory(prefix="bidwitness-bench-") as folder,
        recording_site(Path(folder), specs) as (site, simulator),
        running_chromium() as browser,
        watching(browser, site, "supervisor") as page,
    ):
        ids = [camera["id"] for camera in site.client.all("cameras")]
        page.goto(f"/wall?n=1&cams={ids[0]}")
        one = _watch(page, 1, seconds, simulator.t0_us, every=2)
        first = _first_frames(page, [spec.name for spec in specs])
        # A wall of sixteen shows up to sixteen; there are as many tiles as cameras.
        size = next(n for n in (1, 2, 4, 6, 9, 16) if n >= cameras)
        page.goto(f"/wall?n={size}&cams={','.join(ids)}")
        many = _watch(page, cameras, seconds, simulator.t0_us, every=READ_ONE_IN)
        late_ms = simulator.status()["late_us"] / 1000
    return {
        "live.p95_ms": p95(one.delays_ms),
        "live.p50_ms": median(one.delays_ms),
        "live.painted_share": one.share,
        "live.first_frame_ms": median(first),
        "live.first_frame_p95_ms": p95(first),
        "live.nine_p95_ms": p95(many.delays_ms),
        "live.nine_p50_ms": median(many.delays_ms),
        "live.nine_painted_share": many.share,
        "live.tiles": cameras,
        "live.camera_late_ms": late_ms,
    }


def _camera(number: int) -> CameraSpec:
    """A camera whose main stream is 720p; equal titles share one encoded loop."""
    name = f"camera-{number + 1}"
    return spec_from({"name": name, "title": "bench", **MAIN, **SUB}, CameraSpec(name))


@dataclass(frozen=True)
class Watched:
    """Milliseconds from sending to painting, and painted ÷ sent."""

    delays_ms: list[float]
    share: float


def _watch(page: Page, tiles: int, seconds: int, t0_us: int, *, every: int) -> Watched:
    def shown() -> bool:
        found = taken(page)["tiles"]
        return len(found) == tiles and all(tile["paints"] for tile in found)

    wait_for(f"{tiles} tiles to paint", shown, WAIT_S)
    time.sleep(SETTLE_S)
    reset(page, every)
    time.sleep(seconds)
    found = taken(page)
    delays: list[float] = []
    shares: list[float] = []
    for tile in found["tiles"]:
        paints = tile["paints"]
        delays += delays_of(paints, found["offset"], t0_us)
        passed = (paints[-1]["at"] - paints[0]["at"]) / 1000 * FPS
        shares.append((paints[-1]["presented"] - paints[0]["presented"]) / passed)
    if len(found["tiles"]) != tiles or len(delays) < tiles:
        raise Unavailable("Not every tile showed frames whose numbers can be read.")
    return Watched(delays, sum(shares) / len(shares))


def delays_of(paints: Sequence[dict[str, Any]], offset_ms: float, t0_us: int) -> list[float]:
    """Give the ms from sending to painting of the paints whose frame numbers were read."""
    return [
        ((paint["at"] + offset_ms) * 1000 - t0_us - paint["number"] * FRAME_US) % LOOP_US / 1000
        for paint in paints
        if paint["number"] is not None
    ]


def _first_frames(page: Page, cameras: Sequence[str]) -> list[float]:
    """Open one room's tile after the other, as by clicks; give ms from socket to picture."""
    times: list[float] = []
    for turn in range(FIRST_ROUNDS):
        # The first room is on the wall already.
        name = f"room {cameras[(turn + 1) % len(cameras)]}"
        reset(page)
        page.locator("button.room", has_text=name).first.click()

        def shown() -> bool:
            found = taken(page)
            return bool(found["sockets"] and found["tiles"] and found["tiles"][-1]["paints"])

        wait_for("a first picture", shown, WAIT_S)
        found = taken(page)
        times.append(found["tiles"][-1]["paints"][0]["at"] - found["sockets"][-1]["opened"])
        # What the last tile leaves behind is not to be measured with the next.
        time.sleep(0.3)
    return times

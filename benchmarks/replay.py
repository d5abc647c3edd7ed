"""Replay in a real Chromium: how soon the first picture comes, how soon a seek, how well in step.

The footage is stored (``benchmarks/stored.py``), six cameras by their sub-streams as the page
chooses. All instants are those of painting; frames are known by the bar codes in the pictures.

``replay.first_frame_ms``: from the click on a session in the list to the first picture, at 10 Mbit/s
and 5 ms of delay by Chromium's own throttling, the median of rounds in which nothing was buffered;
``replay.all_frames_ms`` until every camera shows one. ``replay.seek_p95_ms``: from the click on the
timeline until *every* tile shows the new instant, none of which was buffered, as fast as loopback
is; ``replay.seek_10mbit_p95_ms`` the same at 10 Mbit/s. ``replay.spread_p95_frames``: over the
instants at which a screen of 60 Hz shows something, the distance of the four tiles' frames.
"""

import random
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import CDPSession, Page
from support.browser import running_chromium

from benchmarks.site import p95, reset, running_processes, taken, watching
from benchmarks.stored import record
from bidwitness.demo.client import wait_for
from bidwitness.demo.run import demo_settings
from bidwitness.errors import Unavailable
from bidwitness.simulator.spec import LOOP_FRAMES

BITS = 10_000_000
DELAY_MS = 5
FIRST_ROUNDS = 9
SEEKS = 20
PLAY_S = 12
# The controller pulls the tiles in after a start.
PULL_IN_S = 3
WAIT_S = 40
# A picture of the instant that was sought is this near to where the tile comes to rest.
NEAR_S = 0.5
SCREEN_MS = 1000 / 60

BUFFERED = """() => [...document.querySelectorAll('figure[data-tile] video')].map((video) =>
    Array.from({ length: video.buffered.length }, (_, at) => [
        video.buffered.start(at),
        video.buffered.end(at),
    ]),
)"""
MARK = """() => addEventListener(
    'pointerdown',
    (event) => (bidwitnessBench.marks.pressed = event.timeStamp),
    { capture: true },
)"""


def measure_replay(cameras: int, seconds: int) -> dict[str, float]:
    """Give the figures of ``cameras`` cameras in a session of ``seconds``."""
    with tempfile.TemporaryDirectory(prefix="bidwitness-bench-") as name:
        folder = Path(name)
        settings = demo_settings(folder / "data", None, unattended=True)
        recorded = record(settings, cameras, seconds)
        with (
            running_processes(settings, ("api",)) as site,
            running_chromium() as browser,
        ):
            for session in (recorded.all_cameras, recorded.four):
                grant = {"media": ["picture"], "actions": ["replay"], "reason": "bench"}
                site.client.grant({"username": "auditor", "session_id": session, **grant})
            with watching(browser, site, "auditor") as page:
                page.evaluate(MARK)
                line = page.context.new_cdp_session(page)
                figures = _first_frames(page, line, recorded.all_cameras, cameras)
                figures |= _seeks(page, line, cameras)
                figures |= _spread(page, recorded.four)
    return {"replay.cameras": cameras, **figures}


def _throttle(line: CDPSession, bits: int | None) -> None:
    speed = -1 if bits is None else bits // 8
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": 0 if bits is None else DELAY_MS,
            "downloadThroughput": speed,
            "uploadThroughput": speed,
        },
    )


def _first_frames(page: Page, line: CDPSession, session: str, cameras: int) -> dict[str, float]:
    _throttle(line, BITS)
    first: list[float] = []
    every: list[float] = []
    for turn in range(FIRST_ROUNDS + 1):
        _to_list(page)
        row = page.locator(f"a[href='/sessions/{session}']").first
        row.wait_for()
        # What the last round and this page left on the line is not to be measured.
        page.wait_for_load_state("networkidle")
        reset(page)
        row.click()
        _wait_for_paints(page, cameras)
        found = taken(page)
        times = [tile["paints"][0]["at"] - found["marks"]["pressed"] for tile in found["tiles"]]
        # The first round loads the page's code, once for all.
        if turn > 0:
            first.append(min(times))
            every.append(max(times))
    _throttle(line, None)
    return {
        "replay.first_frame_ms": median(first),
        "replay.first_frame_p95_ms": p95(first),
        "replay.all_frames_ms": median(every),
    }


def _to_list(page: Page) -> None:
    """Go to the list within the page, so that its code is not loaded anew."""
    page.locator("nav a[href='/sessions']").first.click()


def _wait_for_paints(page: Page, tiles: int) -> None:
    def shown() -> bool:
        found = taken(page)["tiles"]
        return len(found) == tiles and all(tile["paints"] for tile in found)

    wait_for(f"{tiles} tiles with a picture", shown, WAIT_S)


def _seeks(page: Page, line: CDPSession, cameras: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    chance = random.Random(7)
    for name, bits in (("seek", None), ("seek_10mbit", BITS)):
        _throttle(line, bits)
        every: list[float] = []
        first: list[float] = []
        for _ in range(10 + 4 * SEEKS):
            times = _one_seek(page, 0.02 + 0.96 * chance.random(), cameras)
            if times is not None:
                every.append(max(times))
                first.append(min(times))
            if len(every) == SEEKS:
                break
        if len(every) < max(1, SEEKS // 2):
            raise Unavailable("Nearly all of the session is buffered: make it longer.")
        figures[f"replay.{name}_p95_ms"] = p95(every)
        figures[f"replay.{name}_p50_ms"] = median(every)
        figures[f"replay.{name}_first_p95_ms"] = p95(first)
    _throttle(line, None)
    return figures


def _one_seek(page: Page, share: float, cameras: int) -> list[float] | None:
    """Click into the timeline; give ms until each tile showed it, or nothing if it was buffered."""
    _settled(page)
    page.wait_for_load_state("networkidle")
    buffered = page.evaluate(BUFFERED)
    reset(page)
    canvas = page.locator(".track > canvas")
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": share * box["width"], "y": box["height"] / 2})
    # Small pictures under the cursor are not what is measured.
    page.mouse.move(0, 0)
    _wait_for_paints(page, cameras)
    _settled(page)
    found = taken(page)
    times: list[float] = []
    for tile, ranges in zip(found["tiles"], buffered, strict=True):
        rest = tile["paints"][-1]["media"]
        if any(start - NEAR_S < rest < end + NEAR_S for start, end in ranges):
            return None
        there = (p["at"] for p in tile["paints"] if abs(p["media"] - rest) < NEAR_S)
        times.append(next(there) - found["marks"]["pressed"])
    return times


def _settled(page: Page) -> None:
    page.locator(".replay[aria-busy=false]").wait_for(timeout=WAIT_S * 1000)


def _spread(page: Page, session: str) -> dict[str, float]:
    page.goto(f"/sessions/{session}")
    _wait_for_paints(page, 4)
    _settled(page)
    page.keyboard.press("Space")
    time.sleep(PULL_IN_S)
    reset(page)
    time.sleep(PLAY_S)
    spreads = spreads_of([tile["paints"] for tile in taken(page)["tiles"]])
    if len(spreads) < PLAY_S * 30:
        raise Unavailable("The four tiles did not play.")
    return {
        "replay.spread_p95_frames": p95(spreads),
        "replay.spread_p50_frames": median(spreads),
        "replay.in_step_share": sum(s <= 1 for s in spreads) / len(spreads),
    }


def spreads_of(tiles: Sequence[Sequence[dict[str, Any]]]) -> list[float]:
    """Give, for each instant of a screen, the distance of the frames that the tiles show then."""
    shown = [[p for p in paints if p["number"] is not None] for paints in tiles]
    if not all(shown):
        return []
    begin = max(paints[0]["at"] for paints in shown)
    end = min(paints[-1]["at"] for paints in shown)
    places = [0] * len(shown)
    out: list[float] = []
    at = begin
    while at <= end:
        numbers = []
        for tile, paints in enumerate(shown):
            while places[tile] + 1 < len(paints) and paints[places[tile] + 1]["at"] <= at:
                places[tile] += 1
            numbers.append(paints[places[tile]]["number"])
        out.append(_apart(sorted(numbers)))
        at += SCREEN_MS
    return out


def _apart(numbers: Sequence[int]) -> float:
    """Give the distance of numbers that come round: the loop without its widest free arc."""
    arcs = [after - before for before, after in pairwise(numbers)]
    arcs.append(LOOP_FRAMES - numbers[-1] + numbers[0])
    return float(LOOP_FRAMES - max(arcs))

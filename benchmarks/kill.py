"""Recorders killed without warning, hundreds of times, at random instants; and what that cost.

Four sites record virtual cameras at the same time, each with a ``record`` of its own. Again and
again one of its processes gets SIGKILL: a worker, now and then the whole process group, now and
then ``record`` alone, whose worker then ends by itself. Instants follow from ``seed``; they fall
into start, recovery, connecting and recording alike. In the end every stored byte, record and row
is looked at (``benchmarks.killed``): ``kill.problems`` must be 0.

What a kill cost a stream that a camera was sending to is the time from its last stored picture (by
the number and instant in the picture's own stamp) or sound to the kill.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median

from rich.console import Console
from support.factories import a_camera, a_room
from support.simulator import RunningSimulator, running_simulator, small_camera

from benchmarks.killed import Kill, Look, StreamLooks, Watched, look_at
from benchmarks.site import p95
from bidwitness.clock import SystemClock
from bidwitness.demo.client import wait_for
from bidwitness.errors import Unavailable
from bidwitness.simulator.spec import CameraSpec
from bidwitness.storage.index.database import open_database, upgrade
from bidwitness.storage.index.models import Stream
from bidwitness.storage.spool.layout import LOCK
from bidwitness.storage.spool.reading import open_segments
from bidwitness.words import Medium

SITES = 4
SEGMENT_S = 4
# Most recorders live for seconds; one in five long enough for several segments.
SHORT_S, LONG_S, LONG_SHARE = (0.8, 8.0), (8.0, 20.0), 0.2
READY_S = 60
SOUNDS = ("alaw", "ulaw", "aac", "none")
GOPS_S = (1, 2, 4)


class Victim(StrEnum):
    """Whom a kill hits."""

    WORKER = "worker"
    GROUP = "group"
    PARENT = "parent"


SHARES = {Victim.WORKER: 60, Victim.GROUP: 30, Victim.PARENT: 10}


@dataclass
class Site:
    """An installation that does nothing but record."""

    data: Path
    streams: dict[str, CameraSpec]
    process: "subprocess.Popen[bytes] | None" = None
    kills: list[Kill] = field(default_factory=list)

    @property
    def spool(self) -> Path:
        return self.data / "spool"

    def start(self) -> None:
        environment = {
            **os.environ,
            "BIDWITNESS_DATA": str(self.data),
            "BIDWITNESS_SEGMENT_SECONDS": str(SEGMENT_S),
            "BIDWITNESS_EPOCH_SECONDS": "2",
            "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "true",
        }
        with (self.data / "record.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bidwitness", "record"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask it to end; what it has recorded is committed then."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(READY_S)
        if code:
            raise Unavailable(f"record ended with {code}; see {self.data}/record.log")

    def workers(self) -> dict[int, frozenset[str]]:
        """Give the running workers by their ids, each with the streams whose locks it holds.

        Those of a ``record`` that was killed alone end by themselves and are still among them.
        """
        found: dict[int, frozenset[str]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_ours(entry):
                found[int(entry.name)] = frozenset(self._locks(entry))
        return found

    def _is_ours(self, entry: Path) -> bool:
        try:
            worker = b"record_worker" in (entry / "cmdline").read_bytes()
            return worker and f"BIDWITNESS_DATA={self.data}\0".encode() in (
                (entry / "environ").read_bytes()
            )
        except OSError:
            return False

    def _locks(self, entry: Path) -> Iterator[str]:
        try:
            for handle in (entry / "fd").iterdir():
                path = handle.readlink()
                if path.name == LOCK and path.is_relative_to(self.spool):
                    yield path.parent.name
        except OSError:
            return  # it has ended meanwhile


class Budget:
    """How many kills are left."""

    def __init__(self, kills: int) -> None:
        self._left = kills
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            self._left -= 1
            return self._left >= 0


def measure_kill(kills: int, cameras: int, seed: int) -> dict[str, float]:
    """Give what so many kills cost. ``seed`` 0: one is chosen; it is printed."""
    seed = seed or random.SystemRandom().randrange(1, 1 << 31)
    console = Console(stderr=True)
    console.print(f"seed {seed}")
    specs = [_camera(number) for number in range(max(cameras, 1))]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bidwitness-kill-")))
        simulator = stack.enter_context(running_simulator(specs))
        sites = [
            _make_site(folder / f"site{n}", specs[n::SITES], simulator)
            for n in range(min(SITES, len(specs)))
        ]
        for site in sites:
            stack.enter_context(_running(site))
        _kill_all(sites, simulator, Budget(kills), seed)
        for site in sites:
            _wait_for_footage(site)
            site.stop()
        late_us = simulator.status()["late_us"]
        looks = [
            look_at(site.data, site.streams, site.kills, simulator.t0_us, random.Random(seed))
            for site in sites
        ]
    for look in looks:
        for problem in look.problems:
            console.print(problem, style="red")
    done = [kill for site in sites for kill in site.kills]
    return {**figures(looks, done), "kill.seed": seed, "kill.camera_late_s": late_us / 1e6}


def _camera(number: int) -> CameraSpec:
    sound, gop = SOUNDS[number % len(SOUNDS)], GOPS_S[number % len(GOPS_S)]
    return small_camera(f"camera{number}", title="room", sound=sound, gop_seconds=gop)


def _make_site(data: Path, specs: Sequence[CameraSpec], simulator: RunningSimulator) -> Site:
    data.mkdir()
    database = open_database(f"sqlite:///{data}/index.db")
    streams: dict[str, CameraSpec] = {}
    try:
        upgrade(database)
        with database.write() as orm:
            room = a_room(orm, cameras=0)
            for spec in specs:
                camera = a_camera(orm, room, spec.name, sub=False)
                (row,) = orm.query(Stream).where(Stream.camera_id == camera.id)
                row.address = simulator.url(spec.name)
                streams[row.id] = spec
    finally:
        database.close()
    return Site(data, streams)


@contextmanager
def _running(site: Site) -> Iterator[None]:
    site.start()
    try:
        yield
    finally:
        assert site.process is not None
        if site.process.poll() is None:
            os.killpg(site.process.pid, signal.SIGKILL)
            site.process.wait()
        for pid in site.workers():
            os.kill(pid, signal.SIGKILL)


def _kill_all(
    sites: Sequence[Site], simulator: RunningSimulator, budget: Budget, seed: int
) -> None:
    failures: list[BaseException] = []

    def rounds(site: Site, dice: random.Random) -> None:
        try:
            while not failures and budget.take():
                _kill_once(site, simulator, dice)
        except BaseException as error:
            failures.append(error)
            raise

    threads = [
        threading.Thread(target=rounds, args=(site, random.Random(f"{seed}/{number}")))
        for number, site in enumerate(sites)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise Unavailable(f"The killing went wrong: {failures[0]}")


def _kill_once(site: Site, simulator: RunningSimulator, dice: random.Random) -> None:
    wait_for("a worker", lambda: bool(site.workers()), READY_S)
    SystemClock().sleep(dice.uniform(*(LONG_S if dice.random() < LONG_SHARE else SHORT_S)))
    (victim,) = dice.choices(list(SHARES), list(SHARES.values()))
    assert site.process is not None
    seen = _watched(simulator)
    workers = site.workers()
    if victim is Victim.WORKER and not workers:
        victim = Victim.GROUP  # it was not back yet
    hit = dice.choice(sorted(workers)) if victim is Victim.WORKER else None
    if hit is not None:
        os.kill(hit, signal.SIGKILL)
    elif victim is Victim.GROUP:
        os.killpg(site.process.pid, signal.SIGKILL)
    else:
        site.process.kill()
    at_us = time.time_ns() // 1000
    streams = workers[hit] if hit is not None else frozenset[str]().union(*workers.values())
    cameras = {stream: seen[site.streams[stream].name] for stream in streams}
    site.kills.append(Kill(victim.value, at_us, cameras))
    if hit is None:
        site.process.wait()
        site.start()


def _watched(simulator: RunningSimulator) -> dict[str, Watched]:
    """Ask the cameras what each is doing."""
    states = {c["name"]: c["state"]["main"] for c in simulator.status()["cameras"]}
    return {
        name: Watched(state["viewers"] > 0, state["played_from"]) for name, state in states.items()
    }


def _wait_for_footage(site: Site) -> None:
    """Return when each stream has a second of a run that begun after the last kill."""
    last_us = site.kills[-1].at_us if site.kills else 0

    def recorded() -> bool:
        return all(
            any(
                segment.name.start_us > last_us and len(segment.table.fragments) > 2
                for segment in open_segments(site.spool, stream)
            )
            for stream in site.streams
        )

    wait_for(f"footage of every stream in {site.data.name}", recorded, READY_S)


def figures(looks: Sequence[Look], kills: Sequence[Kill]) -> dict[str, float]:
    """Give the figures of all sites together."""
    streams: list[StreamLooks] = [stream for look in looks for stream in look.streams]
    picture = [loss / 1e6 for stream in streams for loss in stream.losses[Medium.PICTURE]]
    sound = [loss / 1e6 for stream in streams for loss in stream.losses[Medium.SOUND]]
    down = [length / 1e6 for stream in streams for length in stream.downtimes]
    found: dict[str, float] = {
        "kill.kills": len(kills),
        **{
            f"kill.{victim.value}_kills": sum(kill.victim == victim.value for kill in kills)
            for victim in Victim
        },
        "kill.streams": len(streams),
        "kill.losses": len(picture),
        "kill.segments": sum(stream.segments for stream in streams),
        "kill.frames": sum(stream.frames for stream in streams),
        "kill.frames_missing": sum(stream.missing for stream in streams),
        "kill.sound_only_segments": sum(stream.sound_only for stream in streams),
        "kill.bars_read": sum(stream.bars for stream in streams),
        "kill.gap_off_s": max((stream.gap_off_us for stream in streams), default=0) / 1e6,
        "kill.problems": sum(len(look.problems) for look in looks),
    }
    for name, values in (("loss", picture), ("sound_loss", sound), ("down", down)):
        if values:
            found[f"kill.{name}_p50_s"] = median(values)
            found[f"kill.{name}_p95_s"] = p95(values)
            found[f"kill.{name}_max_s"] = max(values)
    return found

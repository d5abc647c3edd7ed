"""Virtual cameras as a process of their own, for any test that needs a camera."""

import dataclasses
import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bidwitness.simulator.spec import FRAME_US, CameraSpec, spec_from

# Encoded loops are kept between runs of the tests; their names change with what is in them.
CACHE = Path(tempfile.gettempdir()) / "bidwitness-test-loops"


def small_camera(name: str, **changes: Any) -> CameraSpec:
    """Give a camera whose picture is encoded in half a second: 640x360, and 320x180 as sub."""
    small: dict[str, Any] = {"width": 640, "height": 360, "bitrate": 800_000}
    small |= {"sub_width": 320, "sub_height": 180, "sub_bitrate": 200_000}
    return spec_from({"name": name, **small, **changes}, CameraSpec(name))


@dataclass(frozen=True)
class RunningSimulator:
    """A simulator's addresses and its status client."""

    ready: dict[str, Any]
    pid: int
    specs: tuple[CameraSpec, ...]

    @property
    def t0_us(self) -> int:
        """UTC µs of frame 0."""
        return int(self.ready["t0_us"])

    def instant_us(self, frame: int) -> int:
        """UTC µs at which a frame is sent by every camera."""
        return self.t0_us + frame * FRAME_US

    def url(self, camera: str, role: str = "main", *, login: bool = True) -> str:
        """A stream's address, with its user and password unless ``login`` is False."""
        (streams,) = [c["streams"] for c in self.ready["cameras"] if c["name"] == camera]
        (spec,) = [s for s in self.specs if s.name == camera]
        url: str = streams[role]
        if login and spec.user:
            login = f"{quote(spec.user, safe='')}:{quote(spec.password, safe='')}"
            url = url.replace("://", f"://{login}@", 1)
        return url

    def status(self) -> dict[str, Any]:
        """What the status address says now."""
        return self._call("GET", "", None)

    def camera(self, name: str) -> dict[str, Any]:
        """One camera's part of the status."""
        (found,) = [c for c in self.status()["cameras"] if c["name"] == name]
        return dict(found)

    def fault(self, kind: str, camera: str = "*", stream: str | None = None, **more: Any) -> None:
        """Set a fault: drop, stall, silent, jump, repeat, skew, garbage, resolution."""
        self._call("POST", "faults", {"kind": kind, "camera": camera, "stream": stream, **more})

    def clear_faults(self) -> None:
        """End all faults."""
        self._call("DELETE", "faults", None)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.ready["status_url"] + path, data, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return dict(json.load(answer))


@contextmanager
def running_simulator(
    specs: Sequence[CameraSpec], *, cache: Path = CACHE, options: Sequence[str] = ()
) -> Iterator[RunningSimulator]:
    """Serve ``specs`` on free ports until the block ends."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump([dataclasses.asdict(spec) for spec in specs], file)
        file.flush()
        command = [sys.executable, "-m", "bidwitness", "simulate", "--spec", file.name]
        command += ["--port", "0", "--cache", str(cache), "--while-stdin", *options]
        # It must not outlive tests that are killed.
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdin and process.stdout
            line = process.stdout.readline()
            assert line, f"the simulator ended with {process.wait()} before it was ready"
            yield RunningSimulator(json.loads(line), process.pid, tuple(specs))
        finally:
            process.terminate()
            code = process.wait(timeout=15)
            process.stdout.close()
            process.stdin.close()
    assert code == 0, f"the simulator ended with {code}"

"""Cameras nobody here wrote: GStreamer's RTSP server, showing the same genlocked pictures.

The server, its RTP packets and its RTCP reports are GStreamer's. Frames carry the same stamps
and bar codes as the simulator's, at the same kind of instants (see ``gst_server``). It has no
faults and no status address.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache as once
from pathlib import Path
from typing import Any

from support.needs import absent
from support.simulator import CACHE, RunningSimulator

from bidwitness.simulator.encode import loop_path, make_loops
from bidwitness.simulator.recipes import Recipe, picture_recipe, sound_recipe
from bidwitness.simulator.spec import CameraSpec
from bidwitness.words import StreamRole

# GStreamer's bindings exist for the system's Python only.
PYTHON = "/usr/bin/python3"
ROOT = Path(__file__).resolve().parent.parent.parent
_PROBE = "import gi; gi.require_version('GstRtspServer', '1.0'); gi.require_version('Gst', '1.0')"


@once
def has_gstreamer() -> bool:
    """Tell whether this machine has GStreamer's RTSP server."""
    try:
        return subprocess.run([PYTHON, "-c", _PROBE], check=False).returncode == 0
    except OSError:
        return False


@contextmanager
def running_gst_cameras(
    specs: Sequence[CameraSpec], *, cache: Path = CACHE, certificate: Path | None = None
) -> Iterator[RunningSimulator]:
    """Serve ``specs`` by GStreamer on a free port until the block ends.

    Any picture without B-frames, any sound; joins and reports are GStreamer's.
    Either every camera has a user or none has: the server asks for logins as a whole. With a
    ``certificate`` (PEM, with its key) it speaks TLS only. It tunnels over HTTP at the same port.
    """
    assert len({bool(spec.user) for spec in specs}) == 1
    if not has_gstreamer():
        absent("GStreamer's RTSP server with its Python bindings")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        config = {
            "cameras": [_camera(spec, cache) for spec in specs],
            "certificate": str(certificate) if certificate else None,
        }
        json.dump(config, file)
        file.flush()
        script = Path(__file__).with_name("gst_server.py")
        process = subprocess.Popen(
            [PYTHON, str(script), file.name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdin and process.stdout
            line = process.stdout.readline()
            assert line, f"GStreamer's server ended with {process.wait()} before it was ready"
            yield RunningSimulator(json.loads(line), process.pid, tuple(specs))
        finally:
            process.terminate()
            process.wait(timeout=15)
            process.stdout.close()
            process.stdin.close()


def _camera(spec: CameraSpec, cache: Path) -> dict[str, Any]:
    streams = {}
    for role in StreamRole:
        picture, sound = picture_recipe(spec, role), sound_recipe(spec, role)
        recipes: list[Recipe] = [picture, *([sound] if sound else [])]
        make_loops(recipes, cache)
        streams[role.value] = {
            "picture": str(loop_path(picture, cache)),
            "sound": str(loop_path(sound, cache)) if sound else None,
            "sound_only": spec.sound_only,
        }
    return {
        "name": spec.name,
        "user": spec.user,
        "password": spec.password,
        "auth": spec.auth.value,
        "streams": streams,
    }

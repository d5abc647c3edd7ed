"""Start what the demo needs as processes: virtual cameras and ``serve``'s children."""

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from bidwitness.clock import SystemClock
from bidwitness.config import Settings
from bidwitness.demo.cast import CAMERA_PASSWORD, CAMERA_USER, CAMERAS, USERS, DemoUser
from bidwitness.errors import BidWitnessError, Conflict, Unavailable
from bidwitness.serve import Supervisor, child_environment, our_commands

STOP_GRACE_S = 10
# Long enough for the password rule whatever characters come.
PASSWORD_BYTES = 18
# So many commands that add users run at once.
AT_ONCE = 3


def bidwitness(
    settings: Settings, *words: str, text: str | None = None, fine: tuple[int, ...] = (0,)
) -> str:
    """Run one of our commands to its end and give what it printed.

    Raises ``BidWitnessError`` with the command's own message when it fails.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bidwitness", *words],
        env=child_environment(settings),
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in fine:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BidWitnessError(
            f"bidwitness {words[0]} ended with {done.returncode}: {said[-1] if said else ''}"
        )
    return done.stdout


class VirtualCameras:
    """``bidwitness simulate`` as a process; ``addresses`` is what it printed when it was ready."""

    def __init__(self, settings: Settings, logs: Path) -> None:
        self._settings = settings
        self._logs = logs
        self._process: subprocess.Popen[str] | None = None
        self.addresses: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        spec = self._settings.data / "demo" / "cameras.json"
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(json.dumps(camera_specs()))
        with (self._logs / "simulate.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "bidwitness", "simulate", "--port", "0"),
                    # However we end, the cameras end with us.
                    "--while-stdin",
                    *("--spec", str(spec)),
                ],
                env=child_environment(self._settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Unavailable(f"The virtual cameras did not start; see {log.name}.")
        self.addresses = json.loads(line)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def camera_specs() -> list[dict[str, object]]:
    """Give the cast's cameras as the simulator's ``--spec`` wants them."""
    return [
        {
            "name": camera.name,
            "sound": camera.sound,
            "user": CAMERA_USER,
            "password": CAMERA_PASSWORD,
        }
        for camera in CAMERAS
    ]


class Server:
    """Every process of ``serve``, watched from a thread while the demo drives them."""

    def __init__(self, settings: Settings) -> None:
        self._supervisor = Supervisor(
            our_commands(),
            environment=child_environment(settings, **demo_environment(settings)),
            logs=settings.data / "logs",
            clock=SystemClock(),
        )
        self._thread = threading.Thread(target=self._supervisor.watch, name="watch")

    def __enter__(self) -> Self:
        self._supervisor.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._supervisor.stop_soon()
        self._thread.join()
        self._supervisor.stop()

    def pids(self) -> dict[str, int]:
        return self._supervisor.pids()


def demo_environment(settings: Settings) -> dict[str, str]:
    """Say the demo's settings in the words that child processes read."""
    return {
        "BIDWITNESS_HOST": settings.host,
        "BIDWITNESS_PORT": str(settings.port),
        "BIDWITNESS_LIVE_PORT": str(settings.live_port),
        "BIDWITNESS_UNDO_SECONDS": str(settings.undo_seconds),
        "BIDWITNESS_EPOCH_SECONDS": str(settings.epoch_seconds),
        "BIDWITNESS_SEGMENT_SECONDS": str(settings.segment_seconds),
        "BIDWITNESS_ALLOW_LOOPBACK_CAMERAS": "true",
    }


def make_logins(settings: Settings) -> dict[str, str]:
    """Give a password per demo user; made once, kept readable by the owner alone.

    The passwords are written before the users are made, so that a start that was broken off is
    finished by the next one.
    """
    path = settings.data / "demo" / "logins.json"
    if path.is_file():
        passwords: dict[str, str] = json.loads(path.read_text())
    else:
        passwords = {user.username: secrets.token_urlsafe(PASSWORD_BYTES) for user in USERS}
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(passwords, file)
    made = path.with_suffix(".made")
    if not made.exists():

        def add(user: DemoUser) -> None:
            bidwitness(
                settings,
                *("user", "add", user.username, "--role", user.role, "--password-stdin", "--keep"),
                text=passwords[user.username],
                fine=(0, Conflict.exit_code),
            )

        # The first also makes the index. A command starts for longer than it works.
        add(USERS[0])
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(add, USERS[1:]))
        made.touch()
    return passwords

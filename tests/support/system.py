"""The whole product as its processes, with virtual cameras, driven over REST."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.wait import wait_until

from bidwitness.clock import SystemClock
from bidwitness.config import Settings
from bidwitness.demo.cast import PROJECT_CODE
from bidwitness.demo.client import ApiClient
from bidwitness.demo.processes import Server, VirtualCameras, make_logins
from bidwitness.demo.run import Stage, demo_settings, set_stage
from bidwitness.demo.staff import Staff
from bidwitness.serve import Supervisor

SECOND = 1_000_000


@dataclass
class RunningSystem:
    """A system that records. ``client`` is all of the centre's people."""

    settings: Settings
    base: str
    client: Staff
    passwords: Mapping[str, str]
    stage: Stage
    cameras: VirtualCameras
    server: Server
    clock: SystemClock = field(default_factory=SystemClock)

    def signed_in(self, username: str) -> ApiClient:
        client = ApiClient(self.base)
        client.login(username, self.passwords[username])
        return client

    def book(
        self, room: str, *, lot: str = "1", start_in_s: float = 0, length_s: float = 3600
    ) -> str:
        """Create a session of the demo's project in one room; give its id."""
        start = self.clock.utc_us() + int(start_in_s * SECOND)
        body = {
            "items": [{"project_code": PROJECT_CODE, "lot_code": lot}],
            "kind": "evaluation",
            "bookings": [
                {
                    "room_id": self.stage.rooms[room],
                    "from": start,
                    "to": start + int(length_s * SECOND),
                    "role": "main",
                }
            ],
            "classified": False,
        }
        return str(self.client.post("sessions", body)["id"])

    def state(self, session_id: str) -> str:
        return str(self.client.get(f"sessions/{session_id}")["state"])

    def wait_state(self, session_id: str, state: str, seconds: float = 60) -> None:
        wait_until(lambda: self.state(session_id) == state, seconds, f"the session to be {state}")

    def record_on(self, seconds: float) -> None:
        """Return when every stream has that much more playable footage than exists now."""
        until = self.clock.utc_us() + int(seconds * SECOND)

        def recorded() -> bool:
            streams = [s for camera in self.client.all("cameras") for s in camera["streams"]]
            return all(
                ((s.get("health") or {}).get("last_fragment_us") or 0) > until for s in streams
            )

        wait_until(recorded, seconds + 60, f"{seconds} s more of every stream")

    def kill(self, process: str) -> None:
        """kill -9 one of our processes (with the workers it started); ``serve`` restarts it."""
        os.killpg(self.server.pids()[process], signal.SIGKILL)


@contextmanager
def running_system(
    data: Path, *, environment: Mapping[str, str] | None = None
) -> Iterator[RunningSystem]:
    """Start cameras and all processes; give them once every camera records. Stops all."""
    with ExitStack() as stack:
        for name, value in (environment or {}).items():
            stack.callback(_restore, name, os.environ.get(name))
            os.environ[name] = value
        settings = demo_settings(data, None, unattended=True)
        cameras = stack.enter_context(VirtualCameras(settings, data / "logs"))
        passwords = make_logins(settings)
        server = stack.enter_context(Server(settings))
        base = f"http://{settings.host}:{settings.port}"
        client = stack.enter_context(Staff(base, passwords))
        wait_until(client.is_ready, 60, "the server")
        stage = set_stage(client, cameras.addresses)
        wait_until(lambda: all_ok(client), 60, "every camera to record")
        yield RunningSystem(settings, base, client, passwords, stage, cameras, server)


def all_ok(client: ApiClient, since_us: int = 0) -> bool:
    """Tell whether every stream's health is ok, and footage has come of it after ``since_us``."""
    streams = [s for camera in client.all("cameras") for s in camera["streams"]]
    found = [s.get("health") or {} for s in streams]
    return bool(found) and all(
        health.get("state") == "ok" and (health["last_fragment_us"] or 0) > since_us
        for health in found
    )


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


@contextmanager
def supervised(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], logs: Path
) -> Iterator[Supervisor]:
    """Run processes under the product's own supervisor; stop them at the end."""
    supervisor = Supervisor(commands, environment=environment, logs=logs, clock=SystemClock())
    thread = threading.Thread(target=supervisor.watch)
    supervisor.start()
    thread.start()
    try:
        yield supervisor
    finally:
        supervisor.stop_soon()
        thread.join()
        supervisor.stop()

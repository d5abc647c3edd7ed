"""The demo itself: set up as a centre would, record a session, prove what was recorded."""

import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.demo.cast import (
    CAMERA_PASSWORD,
    CAMERA_USER,
    CAMERAS,
    LOTS,
    PROJECT_CATEGORY,
    PROJECT_CODE,
    PROJECT_NAME,
    ROOMS,
    SESSION_KIND,
)
from bidwitness.demo.client import ApiClient, wait_for
from bidwitness.demo.processes import Server, VirtualCameras, make_logins
from bidwitness.demo.proof import Proving, prove, show
from bidwitness.demo.staff import Staff
from bidwitness.errors import NotFound

READY_S = 60
START_S = 30
SEAL_S = 90
LEAD_S = 4
INTERACTIVE_HOURS = 8
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """What has been set up: ids by the names of the cast."""

    rooms: dict[str, str]
    cameras: dict[str, str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def demo_settings(data: Path, port: int | None, unattended: bool) -> Settings:
    """Give settings that suit a demonstration: nothing to wait for, cameras on this machine."""
    base = load_settings()
    chosen = port if port is not None else (free_port() if unattended else base.port)
    return load_settings(
        data=data,
        port=chosen,
        live_port=free_port(),
        undo_seconds=0,
        segment_seconds=10,
        epoch_seconds=2,
        allow_loopback_cameras=True,
    )


def run_demo(
    *, seconds: int | None, data: Path, port: int | None, export: Path | None, console: Console
) -> bool:
    """Run the demo; give whether everything it claims is true.

    With ``seconds`` unattended: records, ends, seals, verifies, writes one file per camera.
    Otherwise runs until Ctrl-C.
    """
    # Also when started in the background, where a shell has Ctrl-C ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    settings = demo_settings(data.absolute(), port, seconds is not None)
    with (
        Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=console,
        ) as progress,
    ):
        task = progress.add_task("Starting virtual cameras", total=None)
        cameras = VirtualCameras(settings, settings.data / "logs")
        with cameras:
            progress.update(task, description="Starting the recorder and its helpers")
            passwords = make_logins(settings)
            base = f"http://{settings.host}:{settings.port}"
            with Server(settings) as server, Staff(base, passwords) as client:
                wait_for("the server", client.is_ready, READY_S)
                progress.update(task, description="Adding rooms, cameras and the project")
                stage = set_stage(client, cameras.addresses)
                wait_for("every camera to record", lambda: _all_record(client), READY_S)
                if seconds is None:
                    progress.stop()
                    _interactive(client, stage, base, passwords, server, console)
                    return True
                session_id = _record(client, stage, seconds, progress, task)
                with ApiClient(base) as auditor:
                    auditor.login("auditor", passwords["auditor"])
                    desk = Proving(client, auditor, settings, seconds)
                    proof = prove(desk, session_id, export)
    show(proof, console)
    return proof.true


def set_stage(client: Staff, addresses: dict[str, Any]) -> Stage:
    """Create what is not there yet: rooms, cameras, the project with its lots."""
    rooms = {room["name"]: room["id"] for room in client.all("rooms")}
    for name, kind in ROOMS.items():
        if name not in rooms:
            rooms[name] = client.post("rooms", {"name": name, "kind": kind})["id"]
    known = {camera["name"]: camera for camera in client.all("cameras")}
    ids: dict[str, str] = {}
    for camera in CAMERAS:
        source, sub = stream_addresses(addresses, camera.name)
        wanted = {
            "name": camera.name,
            "room_id": rooms[camera.room],
            "source_url": source,
            "sub_url": sub,
            "username": CAMERA_USER,
            "password": CAMERA_PASSWORD,
        }
        if camera.name in known:
            ids[camera.name] = known[camera.name]["id"]
            client.patch(f"cameras/{ids[camera.name]}", wanted)
        else:
            ids[camera.name] = client.post("cameras", wanted)["id"]
    if not any(p["code"] == PROJECT_CODE for p in client.all("projects", q=PROJECT_CODE)):
        project = {"code": PROJECT_CODE, "name": PROJECT_NAME, "category": PROJECT_CATEGORY}
        lots = [{"code": code, "name": name} for code, name in LOTS.items()]
        client.post("projects", {**project, "lots": lots})
    client.put_on_duty(SystemClock().utc_us())
    return Stage(rooms, ids)


def stream_addresses(addresses: dict[str, Any], name: str) -> tuple[str, str]:
    """Give a virtual camera's main and sub address out of what the simulator printed."""
    for camera in addresses["cameras"]:
        if camera["name"] == name:
            return camera["streams"]["main"], camera["streams"]["sub"]
    raise NotFound(f"The simulator does not serve {name}.")


def _all_record(client: Staff) -> bool:
    streams = [s for camera in client.all("cameras") for s in camera["streams"]]
    return bool(streams) and all((s.get("health") or {}).get("state") == "ok" for s in streams)


def new_session(client: Staff, stage: Stage, length_s: int) -> str:
    """Book both rooms for both lots, a few seconds ahead; give the session's id."""
    start = SystemClock().utc_us() + LEAD_S * SECOND
    end = start + length_s * SECOND
    evaluation, opening = (stage.rooms[name] for name in ROOMS)
    body = {
        "items": [{"project_code": PROJECT_CODE, "lot_code": lot} for lot in LOTS],
        "kind": SESSION_KIND,
        "bookings": [
            {"room_id": evaluation, "from": start, "to": end, "role": "main"},
            {"room_id": opening, "from": start, "to": end, "role": "sub"},
        ],
        "classified": False,
    }
    session_id: str = client.post("sessions", body)["id"]
    grant = {
        "username": "auditor",
        "session_id": session_id,
        "media": ["picture", "sound"],
        "actions": ["replay", "copy"],
        "reason": "示范 demonstration",
    }
    client.grant(grant)
    return session_id


def _state(client: Staff, session_id: str) -> str:
    return str(client.get(f"sessions/{session_id}")["state"])


def _record(client: Staff, stage: Stage, seconds: int, progress: Progress, task: TaskID) -> str:
    """Have a session start by itself, record and be sealed; give its id."""
    progress.update(task, description="Waiting for the session to start by itself")
    session_id = new_session(client, stage, seconds + 3600)
    wait_for("the session", lambda: _state(client, session_id) == "recording", START_S + LEAD_S)
    progress.update(task, description=f"Recording {len(CAMERAS)} cameras", total=seconds)
    for done in range(seconds):
        time.sleep(1)
        progress.update(task, completed=done + 1)
    client.post(f"sessions/{session_id}/end", {"outcome": "completed"})
    progress.update(task, description="Sealing", total=None)
    wait_for("the seal", lambda: _state(client, session_id) == "sealed", SEAL_S)
    progress.update(task, description="Reading every digest again, writing files")
    return session_id


def _interactive(
    client: Staff,
    stage: Stage,
    base: str,
    passwords: dict[str, str],
    server: Server,
    console: Console,
) -> None:
    running = client.all("sessions", state="recording")
    if not running:
        session_id = new_session(client, stage, INTERACTIVE_HOURS * 3600)
        wait_for("the session", lambda: _state(client, session_id) == "recording", START_S)
    runs = Table("process", "pid", title="Running")
    for name, pid in server.pids().items():
        runs.add_row(name, str(pid))
    people = Table("user", "password", title="Sign in")
    for name, password in passwords.items():
        people.add_row(name, password)
    console.print(runs, people)
    console.print(f"Open {base} — Ctrl-C ends. The data stays for the next start.")
    while True:
        time.sleep(3600)

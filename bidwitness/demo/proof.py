"""What the demo proves about a session, from stored bytes, by other processes than the recorder."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bidwitness.config import Settings
from bidwitness.demo.client import ApiClient, wait_for
from bidwitness.demo.processes import bidwitness

EXPORT_S = 120
# The edges of a session fall inside a GOP: the first shown frame is a key frame.
EDGE_S = 2
LOGGED_S = 60
# Every exit code with a report of `bidwitness verify`.
VERDICTS = (0, 1, 3)


@dataclass(frozen=True, slots=True)
class CameraProof:
    """One camera's file: what it holds, and what is wrong with it (nothing, one hopes)."""

    camera: str
    frames: int
    seconds: float
    gaps: int
    bytes: int
    sha256: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Proof:
    session_id: str
    cameras: tuple[CameraProof, ...]
    problems: tuple[str, ...]
    files: Path
    package: Path | None

    @property
    def true(self) -> bool:
        return not self.problems and all(not c.problems for c in self.cameras)


@dataclass(frozen=True)
class Proving:
    """Who proves: the administrator has everything verified, the auditor was granted a copy."""

    admin: ApiClient
    auditor: ApiClient
    settings: Settings
    seconds: int


def prove(desk: Proving, session_id: str, export: Path | None) -> Proof:
    """Verify the sealed session, write a file per camera, and look at every frame number in it."""
    problems = []
    report = desk.admin.post(f"sessions/{session_id}/verify")
    if not report["ok"]:
        problems.append(f"verification: {report['problems']}")
    folder = desk.settings.data / "demo"
    words = ("clip", session_id, "--out", str(folder), "--json")
    clips = json.loads(bidwitness(desk.settings, *words))
    cameras = tuple(_look_at(desk.settings, clip, desk.seconds) for clip in clips["cameras"])
    if not cameras:
        problems.append("no camera was recorded")
    if export is not None:
        wait_for("the log", lambda: _is_logged(desk.admin, session_id), LOGGED_S)
        _export(desk.auditor, session_id, export)
        problems += _check_package(desk.settings, export)
    return Proof(session_id, cameras, tuple(problems), folder, export)


def _look_at(settings: Settings, clip: dict[str, Any], seconds: int) -> CameraProof:
    numbers = json.loads(bidwitness(settings, "frame-numbers", clip["path"]))
    problems = []
    if numbers["missing"]:
        problems.append(f"{numbers['missing']} frame numbers are missing")
    if numbers["out_of_order"]:
        problems.append(f"{numbers['out_of_order']} frames are out of order")
    if clip["gaps"]:
        problems.append(f"{clip['gaps']} gaps")
    if clip["seconds"] < seconds - EDGE_S:
        problems.append(f"only {clip['seconds']:.1f} of {seconds} s")
    return CameraProof(
        camera=clip["camera"],
        frames=numbers["frames"],
        seconds=clip["seconds"],
        gaps=clip["gaps"],
        bytes=clip["bytes"],
        sha256=clip["sha256"],
        problems=tuple(problems),
    )


def _export(client: ApiClient, session_id: str, target: Path) -> None:
    job = client.post("exports", {"session_id": session_id, "reason": "demo", "form": "package"})
    path = f"exports/{job['id']}"

    def finished() -> bool:
        return client.get(path)["state"] in ("done", "failed", "cancelled")

    wait_for("the export", finished, EXPORT_S)
    with target.open("wb") as file:
        client.download(f"{path}/package", file.write)


def _is_logged(client: ApiClient, session_id: str) -> bool:
    found = client.get(f"sessions/{session_id}")["log"]
    return found is not None and bool(found["covered"])


def policy_path(package: Path) -> Path:
    """Give where the trust material beside a package lies."""
    return package.with_name(f"{package.name}.policy")


def _check_package(settings: Settings, package: Path) -> list[str]:
    """Write the trust material beside the package; give what keeps it from being authentic."""
    policy = policy_path(package)
    bidwitness(settings, "trust", "--out", str(policy))
    words = ("verify", str(package), "--policy", str(policy), "--json")
    report = json.loads(bidwitness(settings, *words, fine=VERDICTS))
    wrong = [f"package: {problem}" for problem in report["problems"]]
    return wrong + [f"package: not proven: {reason}" for reason in report["unproven"]]


def show(proof: Proof, console: Console) -> None:
    """Print the table and the verdict."""
    table = Table(title="Recorded")
    # A name is never cut, however narrow the terminal.
    table.add_column(
        "camera", no_wrap=True, min_width=max((len(c.camera) for c in proof.cameras), default=0)
    )
    for heading in ("frames", "seconds", "gaps", "bytes", "SHA-256", ""):
        table.add_column(heading)
    for camera in proof.cameras:
        table.add_row(
            camera.camera,
            str(camera.frames),
            f"{camera.seconds:.2f}",
            str(camera.gaps),
            f"{camera.bytes:,}",
            camera.sha256[:16],
            "; ".join(camera.problems) or "every frame there",
        )
    console.print(table)
    console.print(f"Files: {proof.files}")
    if proof.package is not None:
        console.print(f"Package: {proof.package}, keys to verify it: {policy_path(proof.package)}")
    for problem in proof.problems:
        console.print(f"NOT TRUE: {problem}", style="bold red")
    if proof.true:
        console.print("Recorded, ended, sealed, verified: all of it is true.", style="green")

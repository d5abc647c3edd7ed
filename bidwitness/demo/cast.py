"""What the demo shows: its rooms, cameras, project and people. Pure values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DemoCamera:
    """``name`` is the folder-safe name of camera, address and file."""

    name: str
    room: str
    sound: str


@dataclass(frozen=True, slots=True)
class DemoUser:
    username: str
    role: str


ROOMS = {"评标室一 Evaluation 1": "evaluation", "开标室一 Opening 1": "opening"}
_EVALUATION, _OPENING = ROOMS

CAMERAS = (
    DemoCamera("evaluation-front", _EVALUATION, "alaw"),
    DemoCamera("evaluation-back", _EVALUATION, "ulaw"),
    DemoCamera("evaluation-door", _EVALUATION, "none"),
    DemoCamera("opening-front", _OPENING, "alaw"),
    DemoCamera("opening-back", _OPENING, "alaw"),
)
# One of each role: none of them may be joined with another.
USERS = (
    DemoUser("admin", "system_admin"),
    DemoUser("security", "security_admin"),
    DemoUser("audit", "audit_admin"),
    DemoUser("supervisor", "supervisor"),
    DemoUser("venue", "venue"),
    DemoUser("attestor", "attestor"),
    DemoUser("archivist", "archivist"),
    DemoUser("auditor", "auditor"),
    DemoUser("operator", "operator"),
    DemoUser("director", "director"),
)
DEPARTMENT = "示范监督部门 Supervising department"
PROJECT_CODE = "DEMO-2026-001"
PROJECT_NAME = "示范项目:市民中心改造 Civic centre refurbishment"
PROJECT_CATEGORY = "construction"
LOTS = {"1": "土建 Civil works", "2": "机电 Building services"}
SESSION_KIND = "evaluation"
CAMERA_USER = "demo"
# Virtual cameras on loopback guard nothing.
CAMERA_PASSWORD = "demo-camera"

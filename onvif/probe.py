"""Try out cameras and devices, each in a process of its own that is ended in time."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from bidwitness.addresses import CameraAddress, resolve_camera
from bidwitness.errors import BidWitnessError, CameraError, InvalidInput
from bidwitness.onvif.devices import (
    DeviceFacts,
    FoundDevice,
    checked_stream,
    choose_profiles,
    clock_message,
)
from bidwitness.words import StreamRole

logger = logging.getLogger(__name__)

DEVICE_S = 45
STREAM_S = 25
SEARCH_S = 4
LONG_GOP_S = 2.5
KEPT_SOUNDS = ("G.711A", "G.711U", "AAC", "Opus", "PCM")


@dataclass(frozen=True, slots=True)
class ProbedStream:
    """What was found in one stream. ``url`` is without user name and password."""

    url: str
    role: StreamRole
    # None: it has sound alone.
    codec: str | None
    width: int
    height: int
    fps: float | None
    gop_seconds: float | None
    sound: str | None


@dataclass(frozen=True, slots=True)
class Probed:
    """What trying a camera gave. ``messages`` are for the person who adds it."""

    streams: tuple[ProbedStream, ...]
    clock_offset_us: int | None
    messages: tuple[str, ...]

    @property
    def browser_playable(self) -> bool:
        """Whether browsers play it as it is, without hardware of a certain kind."""
        return bool(self.streams) and all(stream.codec in ("h264", None) for stream in self.streams)


def probe_camera(address: CameraAddress, *, allow_loopback: bool) -> Probed:
    """Try one RTSP address, login included.

    Raises ``CameraError`` if nothing answers, ``InvalidInput`` for a refused place, a wrong
    password, or what is neither video nor sound.
    """
    stream = _look(address, StreamRole.MAIN, allow_loopback)
    return Probed((stream,), None, tuple(messages_about([stream])))


def ask_device(address: CameraAddress, *, allow_loopback: bool) -> DeviceFacts:
    """Ask an ONVIF device who it is and where its streams are. Raises as ``probe_camera``."""
    ip = resolve_camera(address, allow_loopback=allow_loopback)
    host = f"[{ip}]" if ":" in ip else ip
    said = _run(
        {
            "what": "device",
            "base": f"{address.scheme}://{host}",
            "ip": ip,
            "port": address.port,
            "username": address.username,
            "password": address.password,
        },
        DEVICE_S,
    )
    return DeviceFacts.from_json(said)


def probe_device(
    address: CameraAddress, *, confirmed_hosts: tuple[str, ...] = (), allow_loopback: bool
) -> tuple[Probed, DeviceFacts]:
    """Ask a device for its streams and try the two we would record, at the same time."""
    facts = ask_device(address, allow_loopback=allow_loopback)
    streams = device_streams(
        facts, address, confirmed_hosts=confirmed_hosts, allow_loopback=allow_loopback
    )
    if not streams:
        raise CameraError("The device answers, but names no stream.")
    with ThreadPoolExecutor(len(streams)) as pool:
        looks = [
            pool.submit(
                _look,
                stream.with_login(address.username, address.password).allowing(
                    basic_in_clear=address.basic_in_clear,
                    unproven_certificate=address.unproven_certificate,
                ),
                role,
                allow_loopback,
            )
            for role, stream in streams.items()
        ]
        found, notes = [], []
        for role, look in zip(streams, looks, strict=True):
            try:
                found.append(look.result())
            except BidWitnessError as error:
                notes.append(f"{role.value}: {error.detail}")
    about_clock = clock_message(facts.clock_offset_us)
    notes += messages_about(found)
    notes += [about_clock] if about_clock else []
    return Probed(tuple(found), facts.clock_offset_us, tuple(notes)), facts


def device_streams(
    facts: DeviceFacts,
    address: CameraAddress,
    *,
    confirmed_hosts: tuple[str, ...] = (),
    allow_loopback: bool,
) -> dict[StreamRole, CameraAddress]:
    """Give the addresses of the profiles we would record, without login.

    Raises ``InvalidInput`` if one is on another host that nobody has confirmed.
    """
    hosts = (address.host, resolve_camera(address, allow_loopback=allow_loopback))
    return {
        role: checked_stream(profile, hosts, confirmed_hosts)
        for role, profile in choose_profiles(facts.profiles).items()
    }


def search_devices(seconds: int = SEARCH_S, at: tuple[str, int] | None = None) -> list[FoundDevice]:
    """Search the networks of this machine for ONVIF devices, for ``seconds``.

    With ``at`` one host (and port) is asked instead: searches do not cross routers.
    """
    host, port = at or (None, None)
    said = _run({"what": "search", "seconds": seconds, "host": host, "port": port}, seconds + 15)
    return [FoundDevice(**device) for device in said["devices"]]


def messages_about(streams: list[ProbedStream]) -> list[str]:
    """Say what a person should know before recording these streams. Pure."""
    notes = []
    for stream in streams:
        role = stream.role.value
        if stream.codec is None:
            notes.append(
                f"{role}: sound alone, without a picture. It is recorded and shown as a level; "
                "for a room with cameras this is one more source, not a camera's replacement."
            )
        elif stream.codec == "mjpeg":
            notes.append(
                f"{role}: MJPEG is recorded as it is, but no browser plays it, live or replayed. "
                "Set the camera to H.264."
            )
        elif stream.codec != "h264":
            notes.append(
                f"{role}: {stream.codec} is recorded as it is, but plays only in browsers with "
                "hardware support for it. H.264 plays everywhere."
            )
        if stream.codec is None:
            continue
        if stream.gop_seconds is None:
            notes.append(
                f"{role}: fewer than two key frames came in 8 s. Set a key frame every 1 to 2 s."
            )
        elif stream.gop_seconds > LONG_GOP_S:
            notes.append(
                f"{role}: a key frame comes only every {stream.gop_seconds:g} s. Set 1 to 2 s."
            )
        if stream.sound and stream.sound not in KEPT_SOUNDS:
            notes.append(
                f"{role}: its sound is {stream.sound}, which cannot be kept. Set the camera's "
                "sound to G.711, AAC, Opus or 16-bit PCM."
            )
    if streams and not any(stream.sound for stream in streams):
        notes.append("No sound: rooms must be recorded with sound, by this or another camera.")
    return notes


def _look(address: CameraAddress, role: StreamRole, allow_loopback: bool) -> ProbedStream:
    ip = resolve_camera(address, allow_loopback=allow_loopback)
    said = _run({"what": "stream", "ip": ip, "address": asdict(address)}, STREAM_S)
    return ProbedStream(url=str(address), role=role, **said)


def _run(request: Mapping[str, Any], seconds: int) -> dict[str, Any]:
    """Hand a request to a child process and give its answer.

    Raises the error the child reports; ``CameraError`` if it dies or takes too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bidwitness.onvif.child"],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CameraError(f"The camera was not done answering after {seconds} s.") from None
    try:
        said = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or "nothing").splitlines()[-1]
        facts = {"code": done.returncode, "said": last[:300]}
        logger.warning("trying a camera ended badly", extra={"facts": facts})
        raise CameraError(
            "The camera's answer could not be read: what it sends is damaged or not video."
        ) from None
    if "ok" in said:
        answer: dict[str, Any] = said["ok"]
        return answer
    known: dict[str, type[BidWitnessError]] = {e.kind: e for e in (InvalidInput, CameraError)}
    raise known.get(said["kind"], CameraError)(said["detail"], fields=said["fields"])

"""The simulator: all virtual cameras of one process, on one clock."""

import asyncio
import json
import logging
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bidwitness.clock import Clock, SystemClock
from bidwitness.errors import BidWitnessError, Conflict, InvalidInput, NotFound
from bidwitness.simulator.device import Device
from bidwitness.simulator.discovery import start_discovery
from bidwitness.simulator.encode import make_loop, make_loops
from bidwitness.simulator.faults import FaultKind, fault_from
from bidwitness.simulator.genlock import Genlock
from bidwitness.simulator.http import HttpAnswer, HttpRequest, serve_http
from bidwitness.simulator.loopfile import Loop
from bidwitness.simulator.recipes import (
    Recipe,
    SoundRecipe,
    picture_recipe,
    sound_recipe,
)
from bidwitness.simulator.rtsp import Connection, Hub
from bidwitness.simulator.spec import LOOP_FRAMES, CameraSpec
from bidwitness.simulator.streams import PicturePart, ServedStream, SoundPart
from bidwitness.words import StreamRole

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to listen. Port 0 takes a free one. Each camera's ONVIF services have a port of
    their own, a free one; probes are answered only if ``discovery_port`` is given. With a
    ``certificate`` (PEM, with its key) the RTSP port speaks TLS."""

    host: str = "127.0.0.1"
    port: int = 0
    status_port: int = 0
    discovery_port: int | None = None
    certificate: Path | None = None


class Simulator:
    """Serves cameras from ``start`` to ``stop``. Encodes what ``cache`` does not hold yet."""

    def __init__(
        self,
        specs: Sequence[CameraSpec],
        cache: Path,
        addresses: Addresses | None = None,
        clock: Clock | None = None,
    ) -> None:
        names = [spec.name for spec in specs]
        if len(set(names)) != len(names):
            raise InvalidInput("Two cameras have the same name.")
        self.specs = tuple(specs)
        self._cache = cache
        self._at = addresses or Addresses()
        self._clock = clock or SystemClock()
        self._streams: dict[str, ServedStream] = {}
        self._servers: list[asyncio.Server] = []
        self._devices: dict[str, Device] = {}
        self._discovery: asyncio.DatagramTransport | None = None
        self._late_us = 0

    async def start(self) -> None:
        """Encode or load the loops, listen, and begin to send.

        Raises ``Conflict`` if an address is taken.
        """
        await self._load()
        self._genlock = Genlock(self._clock)
        for spec in self.specs:
            for role in StreamRole:
                sound = sound_recipe(spec, role)
                self._streams[f"{spec.name}/{role.value}"] = ServedStream(
                    spec,
                    role,
                    self._genlock,
                    self._pictures[picture_recipe(spec, role), spec.sets],
                    self._sounds[sound] if sound else None,
                )
        rtp, rtcp = _udp_pair(self._at.host)
        self._hub = Hub(self._streams, rtp, rtcp)
        try:
            await self._listen()
        except (OSError, Conflict) as error:
            await self._close_servers()
            raise Conflict(f"The virtual cameras cannot listen: {error}.") from None
        self._pacer = asyncio.create_task(self._pace(), name="pacer")

    async def _listen(self) -> None:
        host = self._at.host
        loop = asyncio.get_running_loop()
        self._servers.append(
            await loop.create_server(
                lambda: Connection(self._hub), host, self._at.port, ssl=self._tls()
            )
        )
        self._servers.append(await serve_http(self._handle, host, self._at.status_port))
        for spec in self.specs:
            # Devices have the same paths, so each needs a port, as each has an address in life.
            server = await serve_http(partial(self._ask_device, spec.name), host, 0)
            self._servers.append(server)
            base = f"http://{host}:{server.sockets[0].getsockname()[1]}"
            main = self._streams[f"{spec.name}/main"]
            self._devices[spec.name] = Device(spec, base, self._urls(spec), main.camera_clock_us)
        if self._at.discovery_port is not None:
            devices = list(self._devices.values())
            self._discovery = await start_discovery(devices, host, self._at.discovery_port)

    def _tls(self) -> ssl.SSLContext | None:
        if self._at.certificate is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._at.certificate)
        return context

    async def _ask_device(self, name: str, request: HttpRequest) -> HttpAnswer:
        return await self._devices[name].handle(request)

    async def stop(self) -> None:
        """Disconnect everybody and stop."""
        self._pacer.cancel()
        await asyncio.gather(self._pacer, return_exceptions=True)
        for connection in list(self._hub.connections):
            connection.abort()
        await self._close_servers()

    async def _close_servers(self) -> None:
        if self._discovery:
            self._discovery.close()
        self._hub.rtp.close()
        self._hub.rtcp.close()
        for server in self._servers:
            server.close()
            await server.wait_closed()
        self._servers.clear()

    async def _load(self) -> None:
        recipes: list[Recipe] = []
        for spec in self.specs:
            for role in StreamRole:
                recipes.append(picture_recipe(spec, role))
                sound = sound_recipe(spec, role)
                recipes += [sound] if sound else []
        stop = threading.Event()
        try:
            loops = await asyncio.to_thread(make_loops, recipes, self._cache, stop)
        finally:
            stop.set()
        wanted = {
            (picture_recipe(spec, role), spec.sets) for spec in self.specs for role in StreamRole
        }
        self._pictures = {
            (recipe, sets): PicturePart(loops[recipe], sets) for recipe, sets in wanted
        }
        self._sounds = {
            r: SoundPart(loop) for r, loop in loops.items() if isinstance(r, SoundRecipe)
        }

    async def _pace(self) -> None:
        """Send each frame at its instant. After a hold-up all that is due is sent, in order."""
        frame = self._genlock.frame_now() + 1
        streams = list(self._streams.values())
        while True:
            wait = self._genlock.wait_us(frame)
            if wait > 0:
                await asyncio.sleep(wait / 1_000_000)
                continue
            self._late_us = max(self._late_us, -wait)
            for stream in streams:
                stream.send_frame(frame)
            frame += 1

    @property
    def rtsp_port(self) -> int:
        return int(self._servers[0].sockets[0].getsockname()[1])

    @property
    def status_port(self) -> int:
        return int(self._servers[1].sockets[0].getsockname()[1])

    def status(self) -> dict[str, Any]:
        """Give what the status address answers."""
        totals = self._hub.totals
        return {
            "status_url": f"http://{self._at.host}:{self.status_port}/",
            "t0_us": self._genlock.t0_us,
            "utc_us": self._genlock.utc_us(),
            "frame": self._genlock.frame_now(),
            "loop_frames": LOOP_FRAMES,
            "late_us": self._late_us,
            "connections": totals.open,
            "connections_total": totals.connections,
            "refused_logins": totals.refused_logins,
            "slow_viewers": totals.slow,
            "cameras": [self._camera(spec) for spec in self.specs],
        }

    def _camera(self, spec: CameraSpec) -> dict[str, Any]:
        state = {}
        for role in StreamRole:
            stream = self._streams[f"{spec.name}/{role.value}"]
            header = stream.picture.header
            seen = not spec.sound_only
            state[role.value] = {
                "codec": header["codec"] if seen else None,
                "width": header["width"] if seen else 0,
                "height": header["height"] if seen else 0,
                "sound": spec.sound_of(role).value,
                "viewers": len(stream.viewers),
                "plays_total": stream.plays,
                "played_from": stream.played_from,
                "faults": stream.faults.names(self._genlock.now_us()),
            }
        return {
            "name": spec.name,
            "title": spec.title or spec.name,
            "streams": {role.value: url for role, url in self._urls(spec).items()},
            "onvif": self._devices[spec.name].address,
            "state": state,
        }

    def _urls(self, spec: CameraSpec) -> dict[StreamRole, str]:
        scheme = "rtsps" if self._at.certificate else "rtsp"
        base = f"{scheme}://{self._at.host}:{self.rtsp_port}/{spec.name}"
        return {role: f"{base}/{role.value}" for role in StreamRole}

    async def _handle(self, request: HttpRequest) -> HttpAnswer:
        try:
            if request.path == "/faults" and request.method == "POST":
                await self._set_faults(json.loads(request.body))
            elif request.path == "/faults" and request.method == "DELETE":
                for stream in self._streams.values():
                    stream.clear_faults()
            elif request.path != "/" or request.method != "GET":
                raise NotFound("There is GET /, POST /faults and DELETE /faults.")
            return _json(200, self.status())
        except BidWitnessError as error:
            return _json(error.status, {"detail": error.detail})

    async def _set_faults(self, item: object) -> None:
        """Set one fault: {camera: name or *, stream?: main or sub, kind, …}."""
        if not isinstance(item, dict):
            raise InvalidInput("A fault must be a JSON object.")
        fault = fault_from(item)
        camera, role = item.get("camera", "*"), item.get("stream")
        chosen = [
            stream
            for stream in self._streams.values()
            if camera in ("*", stream.spec.name) and role in (None, stream.role.value)
        ]
        if not chosen:
            raise NotFound("No stream is called so.")
        for stream in chosen:
            if fault.kind is FaultKind.RESOLUTION:
                recipe = replace(
                    picture_recipe(stream.spec, stream.role),
                    width=fault.width,
                    height=fault.height,
                )
                loop: Loop = await asyncio.to_thread(make_loop, recipe, self._cache)
                stream.change_picture(PicturePart(loop, stream.spec.sets))
            stream.set_fault(fault)


def _json(status: int, value: object) -> HttpAnswer:
    body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    return HttpAnswer(status, "application/json", body)


def _udp_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Open two UDP sockets on neighbouring ports, the first even (RFC 3550)."""
    for _ in range(200):
        first = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            first.bind((host, 0))
            port = first.getsockname()[1]
            if port % 2 == 0:
                second.bind((host, port + 1))
                for each in (first, second):
                    each.setblocking(False)
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
                return first, second
        except OSError:
            log.debug("a pair of ports was not free")
        first.close()
        second.close()
    raise Conflict("No pair of UDP ports is free.")

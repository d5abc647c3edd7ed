"""GStreamer's RTSP server with our pictures in it: run by Debian's Python, which has ``gi``.

The server, its RTP and its RTCP are GStreamer's; only the encoded frames are ours, each with
its stamp. Reads a JSON file named on the command line (see ``gst_camera``), prints one line of
JSON with the addresses when it listens, and ends at SIGTERM or when standard input closes.
"""

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # after the versions

from bidwitness.clock import SystemClock
from bidwitness.simulator.genlock import Genlock
from bidwitness.simulator.loopfile import Loop, load_loop
from bidwitness.simulator.spec import FPS, FRAME_US, LOOP_FRAMES
from bidwitness.simulator.stamps import FrameStamp, stamp_nal

_START = b"\0\0\0\1"
_VIDEO = {"h264": ("video/x-h264", "h264parse", "rtph264pay"), "h265": ("video/x-h265", "h265parse", "rtph265pay")}  # fmt: skip
_MONO = "channels=1,rate="
# The caps of a sound, its payloader, its payload type.
_AUDIO = {
    "alaw": (f"audio/x-alaw,{_MONO}8000", "rtppcmapay", 8),
    "ulaw": (f"audio/x-mulaw,{_MONO}8000", "rtppcmupay", 0),
    "aac": (f"audio/mpeg,mpegversion=4,stream-format=raw,{_MONO}16000,codec_data=(buffer)", "rtpmp4gpay", 97),
    "l16": (f"audio/x-raw,format=S16BE,layout=interleaved,{_MONO}16000", "rtpL16pay", 98),
    "opus": (f"audio/x-opus,channel-mapping-family=0,{_MONO}48000", "rtpopuspay", 99),
    "g726": (f"audio/x-adpcm,layout=g726,bitrate=32000,{_MONO}8000", "rtpg726pay", 100),
}  # fmt: skip
# Payloaders that cut sound anew are told to leave packets as long as they are.
_TIMED = ("rtppcmapay", "rtppcmupay", "rtpL16pay", "rtpg726pay")


class Feeder:
    """Pushes one stream's frames at their instants for as long as its media lives."""

    def __init__(self, genlock: Genlock, names: tuple[str, str], picture: Loop, sound: Loop | None):
        self._genlock, self._names = genlock, names
        self._picture, self._sound = picture, sound
        self._hevc = picture.header["codec"] == "h265"
        self._keys = set(picture.header["keys"])
        self._sets = [bytes.fromhex(text) for text in picture.header["sets"]]

    def configure(self, _factory: Any, media: Any) -> None:
        """Begin to push as soon as a media is built for the first client."""
        gone = threading.Event()
        media.get_element().get_parent().connect("element-added", _report_when_taken)
        media.connect("unprepared", lambda _media: gone.set())
        threading.Thread(target=self._push, args=(media.get_element(), gone), daemon=True).start()

    def _push(self, element: Any, gone: threading.Event) -> None:
        video, audio = element.get_by_name("video"), element.get_by_name("audio")
        leading = video or audio
        # Running time is known once the pipeline plays and has a clock.
        while not (clock := leading.get_clock()) or not leading.get_base_time():
            if gone.wait(0.005):
                return
        utc_at_zero = self._utc_of(clock) + leading.get_base_time() // 1000
        # Sound that goes with a frame began up to 104 ms before it. What was taken before the
        # pipeline began has no stamp in it: beside pictures it counts as the beginning, alone it
        # would be a seam.
        frame = self._genlock.frame_now() + (1 if video else 4)
        while not gone.wait(max(self._genlock.wait_us(frame), 0) / 1e6):
            at_us = self._genlock.instant_us(frame) - utc_at_zero
            sent = not video or self._emit(video, self._unit(frame), at_us, FRAME_US)
            if audio and self._sound:
                sent = self._push_sound(audio, self._sound, frame, utc_at_zero) and sent
            if not sent:
                return
            frame += 1

    def _utc_of(self, clock: Any) -> int:
        """Give what must be added to a pipeline clock's µs to have UTC."""
        while True:
            before = self._genlock.utc_us()
            clock_us = clock.get_time() // 1000
            after = self._genlock.utc_us()
            # On a busy machine much time may pass between two readings.
            if after - before < 1000:
                return before - clock_us

    def _push_sound(self, audio: Any, sound: Loop, frame: int, utc_at_zero: int) -> bool:
        rate, samples = sound.header["rate"], sound.header["samples"]
        counts = [f * rate // (FPS * samples) for f in (frame - 1, frame)]
        length = samples * 1_000_000 // rate
        ok = True
        for number in range(*counts):
            at_us = self._genlock.t0_us + number * length - utc_at_zero
            (data,) = sound.units[number % len(sound.units)]
            ok = self._emit(audio, data, at_us, length) and ok
        return ok

    def _unit(self, frame: int) -> bytes:
        camera, role = self._names
        stamp = FrameStamp(frame, self._genlock.instant_us(frame), camera, role)
        index = frame % LOOP_FRAMES
        if self._picture.header["codec"] == "mjpeg":
            return self._picture.units[index][0]
        nals = [*(self._sets if index in self._keys else ()), stamp_nal(stamp, hevc=self._hevc)]
        return b"".join(_START + nal for nal in (*nals, *self._picture.units[index]))

    @staticmethod
    def _emit(source: Any, data: bytes, at_us: int, length_us: int) -> bool:
        buffer = Gst.Buffer.new_wrapped(data)
        buffer.pts = buffer.dts = max(at_us, 0) * 1000
        buffer.duration = length_us * 1000
        return source.emit("push-buffer", buffer) == Gst.FlowReturn.OK


def _report_when_taken(_pipeline: Any, element: Any) -> None:
    """Let sender reports say when a frame was taken, as cameras do.

    GStreamer's default says when it was sent; frames that waited for a client's PLAY made the
    first report up to 0.9 s wrong on a busy machine.
    """
    if element.get_factory().get_name() == "rtpbin":
        element.set_property("rtcp-sync-send-time", False)


def launch_line(picture: Loop | None, sound: Loop | None) -> str:
    """Give the pipeline that GStreamer builds for a stream; ``picture``: if it has one."""
    line = "( appsrc name=video is-live=true format=time "
    if picture is None:
        line = "( "
    elif picture.header["codec"] == "mjpeg":
        size = f"width={picture.header['width']},height={picture.header['height']}"
        line += f'caps="image/jpeg,framerate={FPS}/1,{size}" ! rtpjpegpay name=pay0 pt=26 '
    else:
        caps, parse, pay = _VIDEO[picture.header["codec"]]
        line += (
            f'caps="{caps},stream-format=byte-stream,alignment=au,framerate={FPS}/1" '
            f"! {parse} ! {pay} name=pay0 pt=96 config-interval=-1 "
        )
    if sound:
        caps, pay, kind = _AUDIO[sound.header["sound"]]
        if caps.endswith("(buffer)"):
            caps += sound.header["config"]
        length = " min-ptime=20000000 max-ptime=20000000" if pay in _TIMED else ""
        line += (
            f'appsrc name=audio is-live=true format=time caps="{caps}" '
            f"! {pay} name={'pay1' if picture else 'pay0'} pt={kind}{length} "
        )
    return line + ")"


def add_auth(server: Any, config: dict[str, Any]) -> None:
    """Ask these users for Digest (or Basic) authentication; speak TLS if there is a certificate."""
    auth = GstRtspServer.RTSPAuth()
    if config["certificate"]:
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(config["certificate"]))
    users = [camera for camera in config["cameras"] if camera["user"]]
    basic = any(camera["auth"] == "basic" for camera in users)
    method = GstRtsp.RTSPAuthMethod
    auth.set_supported_methods(method.BASIC if basic else method.DIGEST)
    for camera in users:
        user, password = camera["user"], camera["password"]
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, user)
        if basic:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
        else:
            auth.add_digest(user, password, token)
    if not users:
        # A server that only speaks TLS still wants to know what nobody in particular may do.
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "anybody")
        auth.set_default_token(token)
    server.set_auth(auth)


def serve(config: dict[str, Any]) -> dict[str, Any]:
    """Mount every stream and listen; give what is printed."""
    genlock = Genlock(SystemClock())
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    asks = config["certificate"] or any(camera["user"] for camera in config["cameras"])
    if asks:
        add_auth(server, config)
    for camera in config["cameras"]:
        for role, files in camera["streams"].items():
            picture = load_loop(Path(files["picture"]))
            sound = load_loop(Path(files["sound"])) if files["sound"] else None
            assert picture is not None, files
            factory = GstRtspServer.RTSPMediaFactory()
            factory.set_launch(launch_line(None if files["sound_only"] else picture, sound))
            factory.set_shared(True)
            if asks:
                factory.add_role_from_structure(
                    Gst.Structure.from_string(
                        f"{camera['user'] or 'anybody'},media.factory.access=true,media.factory.construct=true"
                    )[0]
                )
            feeder = Feeder(genlock, (camera["name"], role), picture, sound)
            factory.connect("media-configure", feeder.configure)
            server.get_mount_points().add_factory(f"/{camera['name']}/{role}", factory)
    server.attach(None)
    scheme = "rtsps" if config["certificate"] else "rtsp"
    base = f"{scheme}://127.0.0.1:{server.get_bound_port()}"
    listed = [
        {
            "name": c["name"],
            "streams": {role: f"{base}/{c['name']}/{role}" for role in c["streams"]},
        }
        for c in config["cameras"]
    ]
    # The server lives as long as something holds it.
    return {"server": server, "ready": {"t0_us": genlock.t0_us, "cameras": listed}}


def main() -> None:
    """Serve until SIGTERM, or until standard input closes."""
    Gst.init(None)
    served = serve(json.loads(Path(sys.argv[1]).read_text()))
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGTERM, loop.quit)
    # Nor does it outlive whoever started it.
    GLib.io_add_watch(
        sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_HUP, lambda *_: loop.quit()
    )
    sys.stdout.write(json.dumps(served["ready"]) + "\n")
    sys.stdout.flush()
    loop.run()


if __name__ == "__main__":
    main()

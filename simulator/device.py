"""A virtual camera as an ONVIF device: what its device and media services answer.

Of the media service's first version, which knows H.264 but not H.265: an H.265 profile names
its stream and not its encoder, as that version has no word for it.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from bidwitness import __version__
from bidwitness.simulator.http import HttpAnswer, HttpRequest
from bidwitness.simulator.soap import (
    NAMESPACES,
    Call,
    NotSoap,
    envelope,
    fault,
    is_token_good,
    read_call,
)
from bidwitness.simulator.spec import FPS, CameraSpec, Codec, Sound
from bidwitness.words import StreamRole

MODEL = "Virtual Camera"
_PATHS = {"tds": "/onvif/device_service", "trt": "/onvif/media_service"}
# What anybody may ask before signing in.
_OPEN = frozenset(
    {"GetSystemDateAndTime", "GetCapabilities", "GetServices", "GetServiceCapabilities",
     "GetHostname"}
)  # fmt: skip
_ENCODINGS = {
    Sound.ALAW: ("G711", 64, 8),
    Sound.ULAW: ("G711", 64, 8),
    Sound.AAC: ("AAC", 32, 16),
    Sound.G726: ("G726", 32, 8),
}
_MULTICAST = (
    "<tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type><tt:IPv4Address>0.0.0.0</tt:IPv4Address>"
    "</tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL><tt:AutoStart>false</tt:AutoStart>"
    "</tt:Multicast><tt:SessionTimeout>PT60S</tt:SessionTimeout>"
)


class UnknownToken(LookupError):
    """No profile or configuration has this token."""


@dataclass(frozen=True, slots=True)
class Device:
    """One camera's services at ``base`` (``http://host:port``).

    ``streams`` are its RTSP addresses; ``clock_us`` gives the camera's own time in UTC µs,
    which a fault may have set wrong.
    """

    spec: CameraSpec
    base: str
    streams: dict[StreamRole, str]
    clock_us: Callable[[], int]

    @property
    def serial(self) -> str:
        """A name for the device that is the same after each start."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:bidwitness:camera:{self.spec.name}"))

    @property
    def address(self) -> str:
        """The device service's address."""
        return self.base + _PATHS["tds"]

    @property
    def scopes(self) -> list[str]:
        """What the device says of itself in discovery."""
        said = {"type": "video_encoder", "name": self.spec.title or self.spec.name}
        said |= {"hardware": MODEL, "Profile": "Streaming", "location": "simulator"}
        return [f"onvif://www.onvif.org/{key}/{quote(value)}" for key, value in said.items()]

    async def handle(self, request: HttpRequest) -> HttpAnswer:
        """Answer one HTTP request."""
        if request.path not in _PATHS.values():
            return HttpAnswer(404, "text/plain", b"no service here\n")
        try:
            call = read_call(request.body)
        except NotSoap as error:
            return _xml(400, fault("ter:WellFormed", str(error)))
        if not self._is_allowed(call):
            return _xml(400, fault("ter:NotAuthorized", "Sender not Authorized"))
        known = {NAMESPACES[prefix]: prefix for prefix in _PATHS}
        prefix = known.get(call.namespace, "")
        answer = _ANSWERS.get((prefix, call.name))
        if answer is None or request.path != _PATHS[prefix]:
            return _xml(400, fault("ter:ActionNotSupported", f"{call.name} is not supported"))
        try:
            inner = answer(self, call)
        except UnknownToken:
            return _xml(400, fault("ter:NoProfile", "No such token"))
        name = f"{prefix}:{call.name}Response"
        return _xml(200, envelope(f"<{name}>{inner}</{name}>"))

    def _is_allowed(self, call: Call) -> bool:
        spec = self.spec
        return (
            call.name in _OPEN
            or not spec.user
            or is_token_good(
                call.token, user=spec.user, password=spec.password, now_us=self.clock_us()
            )
        )


def _xml(status: int, body: bytes) -> HttpAnswer:
    return HttpAnswer(status, "application/soap+xml; charset=utf-8", body)


def _information(device: Device, _call: Call) -> str:
    said = {
        "Manufacturer": "BidWitness",
        "Model": MODEL,
        "FirmwareVersion": __version__,
        "SerialNumber": device.serial,
        "HardwareId": "simulator",
    }
    return "".join(f"<tds:{key}>{escape(value)}</tds:{key}>" for key, value in said.items())


def _date_and_time(device: Device, _call: Call) -> str:
    now = datetime.fromtimestamp(device.clock_us() // 1_000_000, UTC)
    return (
        "<tds:SystemDateAndTime><tt:DateTimeType>NTP</tt:DateTimeType>"
        "<tt:DaylightSavings>false</tt:DaylightSavings>"
        "<tt:TimeZone><tt:TZ>CST-8</tt:TZ></tt:TimeZone><tt:UTCDateTime>"
        f"<tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
        f"<tt:Second>{now.second}</tt:Second></tt:Time>"
        f"<tt:Date><tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month>"
        f"<tt:Day>{now.day}</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>"
    )


def _capabilities(device: Device, _call: Call) -> str:
    no = "".join(
        f"<tt:{name}>false</tt:{name}>"
        for name in (
            "DiscoveryResolve", "DiscoveryBye", "RemoteDiscovery", "SystemBackup",
            "SystemLogging", "FirmwareUpgrade",
        )
    )  # fmt: skip
    return (
        f"<tds:Capabilities><tt:Device><tt:XAddr>{device.address}</tt:XAddr><tt:System>{no}"
        "<tt:SupportedVersions><tt:Major>2</tt:Major><tt:Minor>0</tt:Minor>"
        "</tt:SupportedVersions></tt:System></tt:Device>"
        f"<tt:Media><tt:XAddr>{device.base}{_PATHS['trt']}</tt:XAddr><tt:StreamingCapabilities>"
        "<tt:RTPMulticast>false</tt:RTPMulticast><tt:RTP_TCP>false</tt:RTP_TCP>"
        "<tt:RTP_RTSP_TCP>true</tt:RTP_RTSP_TCP></tt:StreamingCapabilities></tt:Media>"
        "</tds:Capabilities>"
    )


def _services(device: Device, _call: Call) -> str:
    return "".join(
        f"<tds:Service><tds:Namespace>{NAMESPACES[prefix]}</tds:Namespace>"
        f"<tds:XAddr>{device.base}{path}</tds:XAddr>"
        "<tds:Version><tt:Major>2</tt:Major><tt:Minor>0</tt:Minor></tds:Version></tds:Service>"
        for prefix, path in _PATHS.items()
    )


def _device_capabilities(_device: Device, _call: Call) -> str:
    return (
        "<tds:Capabilities><tds:Network/><tds:Security UsernameToken='true' HttpDigest='false'/>"
        "<tds:System/></tds:Capabilities>"
    )


def _media_capabilities(_device: Device, _call: Call) -> str:
    return (
        "<trt:Capabilities SnapshotUri='false'><trt:ProfileCapabilities MaximumNumberOfProfiles='2'/>"
        "<trt:StreamingCapabilities RTPMulticast='false' RTP_TCP='false' RTP_RTSP_TCP='true'/>"
        "</trt:Capabilities>"
    )


def _scopes(device: Device, _call: Call) -> str:
    return "".join(
        "<tds:Scopes><tt:ScopeDef>Fixed</tt:ScopeDef>"
        f"<tt:ScopeItem>{escape(scope)}</tt:ScopeItem></tds:Scopes>"
        for scope in device.scopes
    )


def _hostname(device: Device, _call: Call) -> str:
    return (
        "<tds:HostnameInformation><tt:FromDHCP>false</tt:FromDHCP>"
        f"<tt:Name>{escape(device.spec.name)}</tt:Name></tds:HostnameInformation>"
    )


def _entity(tag: str, token: str, uses: int = 1) -> str:
    return (
        f"<{tag} token={quoteattr(token)}><tt:Name>{escape(token)}</tt:Name>"
        f"<tt:UseCount>{uses}</tt:UseCount>"
    )


def _video_encoder(device: Device, role: StreamRole, tag: str) -> str:
    spec = device.spec
    if spec.codec is not Codec.H264:
        return ""
    width, height = spec.size(role)
    return (
        f"{_entity(tag, f'video-{role}')}<tt:Encoding>H264</tt:Encoding>"
        f"<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height>"
        "</tt:Resolution><tt:Quality>5</tt:Quality>"
        f"<tt:RateControl><tt:FrameRateLimit>{FPS}</tt:FrameRateLimit>"
        "<tt:EncodingInterval>1</tt:EncodingInterval>"
        f"<tt:BitrateLimit>{spec.rate(role) // 1000}</tt:BitrateLimit></tt:RateControl>"
        f"<tt:H264><tt:GovLength>{spec.gop_seconds * FPS}</tt:GovLength>"
        f"<tt:H264Profile>{'Main' if spec.b_frames else 'Baseline'}</tt:H264Profile></tt:H264>"
        f"{_MULTICAST}</{tag}>"
    )


def _audio_encoder(device: Device, role: StreamRole, tag: str) -> str:
    sound = device.spec.sound_of(role)
    if sound not in _ENCODINGS:
        return ""  # none, or this version of the media service has no word for it
    encoding, kilobits, kilohertz = _ENCODINGS[sound]
    return (
        f"{_entity(tag, f'audio-{role}')}<tt:Encoding>{encoding}</tt:Encoding>"
        f"<tt:Bitrate>{kilobits}</tt:Bitrate><tt:SampleRate>{kilohertz}</tt:SampleRate>"
        f"{_MULTICAST}</{tag}>"
    )


def _profile(device: Device, role: StreamRole, tag: str) -> str:
    spec = device.spec
    source = (
        f"{_entity('tt:VideoSourceConfiguration', 'source', 2)}"
        "<tt:SourceToken>lens</tt:SourceToken>"
        f"<tt:Bounds x='0' y='0' width='{spec.width}' height='{spec.height}'/>"
        "</tt:VideoSourceConfiguration>"
    )
    audio = _audio_encoder(device, role, "tt:AudioEncoderConfiguration")
    if audio:
        source += (
            f"{_entity('tt:AudioSourceConfiguration', 'microphone-source', 2)}"
            "<tt:SourceToken>microphone</tt:SourceToken></tt:AudioSourceConfiguration>"
        )
    video = _video_encoder(device, role, "tt:VideoEncoderConfiguration")
    return (
        f"<{tag} token={quoteattr(role.value)} fixed='true'><tt:Name>{role.value}</tt:Name>"
        f"{source}{video}{audio}</{tag}>"
    )


def _profiles(device: Device, _call: Call) -> str:
    return "".join(_profile(device, role, "trt:Profiles") for role in StreamRole)


def _role_of(call: Call, wanted: str) -> StreamRole:
    token = (call.element.findtext(f"{{{NAMESPACES['trt']}}}{wanted}") or "").strip()
    try:
        return StreamRole(token.rpartition("-")[2])
    except ValueError:
        raise UnknownToken(token) from None


def _one_profile(device: Device, call: Call) -> str:
    return _profile(device, _role_of(call, "ProfileToken"), "trt:Profile")


def _stream_uri(device: Device, call: Call) -> str:
    address = device.streams[_role_of(call, "ProfileToken")]
    return (
        f"<trt:MediaUri><tt:Uri>{escape(address)}</tt:Uri>"
        "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
        "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot>"
        "<tt:Timeout>PT60S</tt:Timeout></trt:MediaUri>"
    )


def _video_encoders(device: Device, _call: Call) -> str:
    return "".join(_video_encoder(device, role, "trt:Configurations") for role in StreamRole)


def _one_video_encoder(device: Device, call: Call) -> str:
    made = _video_encoder(device, _role_of(call, "ConfigurationToken"), "trt:Configuration")
    if not made:
        raise UnknownToken("H.265")
    return made


def _audio_encoders(device: Device, _call: Call) -> str:
    return "".join(_audio_encoder(device, role, "trt:Configurations") for role in StreamRole)


def _video_sources(device: Device, _call: Call) -> str:
    spec = device.spec
    return (
        f"<trt:VideoSources token='lens'><tt:Framerate>{FPS}</tt:Framerate><tt:Resolution>"
        f"<tt:Width>{spec.width}</tt:Width><tt:Height>{spec.height}</tt:Height>"
        "</tt:Resolution></trt:VideoSources>"
    )


def _audio_sources(device: Device, _call: Call) -> str:
    if device.spec.sound is Sound.NONE:
        return ""
    return "<trt:AudioSources token='microphone'><tt:Channels>1</tt:Channels></trt:AudioSources>"


_ANSWERS: dict[tuple[str, str], Callable[[Device, Call], str]] = {
    ("tds", "GetDeviceInformation"): _information,
    ("tds", "GetSystemDateAndTime"): _date_and_time,
    ("tds", "GetCapabilities"): _capabilities,
    ("tds", "GetServices"): _services,
    ("tds", "GetServiceCapabilities"): _device_capabilities,
    ("tds", "GetScopes"): _scopes,
    ("tds", "GetHostname"): _hostname,
    ("trt", "GetServiceCapabilities"): _media_capabilities,
    ("trt", "GetProfiles"): _profiles,
    ("trt", "GetProfile"): _one_profile,
    ("trt", "GetStreamUri"): _stream_uri,
    ("trt", "GetVideoSources"): _video_sources,
    ("trt", "GetVideoEncoderConfigurations"): _video_encoders,
    ("trt", "GetVideoEncoderConfiguration"): _one_video_encoder,
    ("trt", "GetAudioSources"): _audio_sources,
    ("trt", "GetAudioEncoderConfigurations"): _audio_encoders,
}

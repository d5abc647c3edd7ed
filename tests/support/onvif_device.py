"""A device that answers ONVIF with what real ones were seen to say, over HTTP on loopback."""

import base64
import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" '
    'xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" '
    'xmlns:ter="http://www.onvif.org/ver10/error"><s:Body>{}</s:Body></s:Envelope>'
)
FAULT = (
    "<s:Fault><s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>{}</s:Value></s:Subcode>"
    '</s:Code><s:Reason><s:Text xml:lang="en">{}</s:Text></s:Reason></s:Fault>'
)
PROFILE = (
    '<trt:Profiles token="{token}" fixed="true"><tt:Name>{token}</tt:Name>'
    '<tt:VideoSourceConfiguration token="vs"><tt:Name>vs</tt:Name><tt:UseCount>2</tt:UseCount>'
    '<tt:SourceToken>v0</tt:SourceToken><tt:Bounds x="0" y="0" width="1920" height="1080"/>'
    "</tt:VideoSourceConfiguration>"
    '<tt:VideoEncoderConfiguration token="ve{token}"><tt:Name>ve</tt:Name>'
    "<tt:UseCount>1</tt:UseCount><tt:Encoding>H264</tt:Encoding>"
    "<tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>"
    "<tt:Quality>5</tt:Quality><tt:RateControl><tt:FrameRateLimit>25</tt:FrameRateLimit>"
    "<tt:EncodingInterval>1</tt:EncodingInterval><tt:BitrateLimit>4096</tt:BitrateLimit>"
    "</tt:RateControl><tt:H264><tt:GovLength>50</tt:GovLength><tt:H264Profile>Main"
    "</tt:H264Profile></tt:H264><tt:Multicast><tt:Address><tt:Type>IPv4</tt:Type>"
    "<tt:IPv4Address>0.0.0.0</tt:IPv4Address></tt:Address><tt:Port>0</tt:Port><tt:TTL>1</tt:TTL>"
    "<tt:AutoStart>false</tt:AutoStart></tt:Multicast><tt:SessionTimeout>PT60S"
    "</tt:SessionTimeout></tt:VideoEncoderConfiguration></trt:Profiles>"
)


@dataclass
class Device:
    """What the device says. ``streams``: profile token → (address, width, height)."""

    streams: dict[str, tuple[str, int, int]]
    user: str = "admin"
    password: str = "S3cret-cam"
    clock_ahead_s: int = 0
    # Where it says its services are; itself if empty. And where it redirects every request.
    services_at: str = ""
    redirect_to: str = ""
    garbage: bytes = b""
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, body: str) -> tuple[int, str]:
        """Give the status and the content of the answer's body."""
        found = re.search(r"Body[^>]*>\s*<(?:\w+:)?(\w+)", body)
        act = found[1] if found else "nothing"
        self.asked.append(act)
        if act == "GetSystemDateAndTime":
            return 200, self._time()
        if not self._login_is_good(body):
            return 400, FAULT.format("ter:NotAuthorized", "Sender not authorized")
        answers = {
            "GetServices": self._services,
            "GetDeviceInformation": self._information,
            "GetProfiles": self._profiles,
        }
        if act in answers:
            return 200, answers[act]()
        if act == "GetStreamUri":
            return 200, self._uri(body)
        return 400, FAULT.format("ter:ActionNotSupported", "not here")

    def _login_is_good(self, body: str) -> bool:
        """WS-Security's digest: SHA-1 over nonce, time and password."""
        parts = [re.search(rf"{name}[^>]*>([^<]+)<", body) for name in _TOKEN]
        if not all(parts):
            return False
        user, digest, nonce, created = (part[1] for part in parts if part)
        wanted = hashlib.sha1(
            base64.b64decode(nonce) + created.encode() + self.password.encode()
        ).digest()
        return user == self.user and base64.b64decode(digest) == wanted

    def _time(self) -> str:
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.clock_ahead_s, UTC)
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
            "<tt:DateTimeType>NTP</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
            "<tt:UTCDateTime>"
            f"<tt:Time><tt:Hour>{at.hour}</tt:Hour><tt:Minute>{at.minute}</tt:Minute>"
            f"<tt:Second>{at.second}</tt:Second></tt:Time>"
            f"<tt:Date><tt:Year>{at.year}</tt:Year><tt:Month>{at.month}</tt:Month>"
            f"<tt:Day>{at.day}</tt:Day></tt:Date></tt:UTCDateTime>"
            "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def _services(self) -> str:
        place = self.services_at or self.address
        services = "".join(
            f"<tds:Service><tds:Namespace>http://www.onvif.org/ver10/{name}/wsdl</tds:Namespace>"
            f"<tds:XAddr>{place}/onvif/{name}_service</tds:XAddr><tds:Version><tt:Major>2</tt:Major>"
            "<tt:Minor>60</tt:Minor></tds:Version></tds:Service>"
            for name in ("device", "media")
        )
        return f"<tds:GetServicesResponse>{services}</tds:GetServicesResponse>"

    def _information(self) -> str:
        return (
            "<tds:GetDeviceInformationResponse><tds:Manufacturer>测试厂</tds:Manufacturer>"
            "<tds:Model>T-1000</tds:Model><tds:FirmwareVersion>1.2.3</tds:FirmwareVersion>"
            "<tds:SerialNumber>0042</tds:SerialNumber><tds:HardwareId>1</tds:HardwareId>"
            "</tds:GetDeviceInformationResponse>"
        )

    def _profiles(self) -> str:
        profiles = "".join(
            PROFILE.format(token=token, width=width, height=height)
            for token, (_, width, height) in self.streams.items()
        )
        return f"<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"

    def _uri(self, body: str) -> str:
        found = re.search(r"ProfileToken[^>]*>([^<]+)<", body)
        assert found is not None
        return (
            f"<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>{self.streams[found[1]][0]}</tt:Uri>"
            "<tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
            "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT60S</tt:Timeout>"
            "</trt:MediaUri></trt:GetStreamUriResponse>"
        )


_TOKEN = ("Username", "Password", "Nonce", "Created")


@contextmanager
def running_device(device: Device) -> Iterator[Device]:
    """Serve ``device`` on a free port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if device.redirect_to:
                self.send_response(307)
                self.send_header("Location", device.redirect_to + self.path)
                self.end_headers()
                return
            status, content = (200, "") if device.garbage else device.answer(body)
            data = device.garbage or ENVELOPE.format(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/soap+xml; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    device.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield device
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

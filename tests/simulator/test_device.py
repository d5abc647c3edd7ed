"""The ONVIF answers: by the ONVIF library, and against the schemas that it ships."""

import asyncio
import base64
import hashlib
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import onvif  # noqa: TID251  # the library that ships the WSDL, as a second reader
import pytest
import zeep
from lxml import etree
from support.pull import pull
from support.simulator import RunningSimulator, running_simulator, small_camera

WSDL = Path(onvif.__file__).parent / "wsdl"
SOAP = "http://www.w3.org/2003/05/soap-envelope"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
QUESTIONS = [
    (DEVICE, "GetDeviceInformation", ""),
    (DEVICE, "GetSystemDateAndTime", ""),
    (DEVICE, "GetCapabilities", "<Category>All</Category>"),
    (DEVICE, "GetServices", "<IncludeCapability>false</IncludeCapability>"),
    (DEVICE, "GetServiceCapabilities", ""),
    (DEVICE, "GetScopes", ""),
    (DEVICE, "GetHostname", ""),
    (MEDIA, "GetServiceCapabilities", ""),
    (MEDIA, "GetProfiles", ""),
    (MEDIA, "GetProfile", "<ProfileToken>sub</ProfileToken>"),
    (MEDIA, "GetStreamUri", "<ProfileToken>main</ProfileToken>"),
    (MEDIA, "GetVideoSources", ""),
    (MEDIA, "GetVideoEncoderConfigurations", ""),
    (MEDIA, "GetVideoEncoderConfiguration", "<ConfigurationToken>video-main</ConfigurationToken>"),
    (MEDIA, "GetAudioSources", ""),
    (MEDIA, "GetAudioEncoderConfigurations", ""),
]


@cache
def schema(namespace: str) -> etree.XMLSchema:
    """The XML schema inside a service's WSDL, with the schemas that it imports."""
    path = WSDL / ("devicemgmt.wsdl" if namespace == DEVICE else "media.wsdl")
    tree = etree.parse(path, etree.XMLParser(no_network=True))
    (inner,) = tree.iterfind(".//{http://www.w3.org/2001/XMLSchema}schema")
    # Its imports are relative to the WSDL, so it must keep the WSDL's place.
    alone = etree.fromstring(etree.tostring(inner), base_url=str(path))
    return etree.XMLSchema(alone)


def token(user: str, password: str, at: datetime | None = None) -> str:
    """A WS-Security header, made here from the standard's words."""
    created = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    nonce = b"0123456789abcdef"
    digest = hashlib.sha1(nonce + created.encode() + password.encode()).digest()
    base = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity"
    return (
        f'<Security xmlns="{base}-secext-1.0.xsd"><UsernameToken><Username>{user}</Username>'
        f"<Password>{base64.b64encode(digest).decode()}</Password>"
        f"<Nonce>{base64.b64encode(nonce).decode()}</Nonce>"
        f'<Created xmlns="{base}-utility-1.0.xsd">{created}</Created></UsernameToken></Security>'
    )


def ask(
    address: str, namespace: str, name: str, inner: str = "", header: str = ""
) -> tuple[int, etree._Element]:
    """Send a request by hand; give the status and the body's element."""
    if namespace == MEDIA:
        address = address.replace("device_service", "media_service")
    text = (
        f'<e:Envelope xmlns:e="{SOAP}"><e:Header>{header}</e:Header><e:Body>'
        f'<{name} xmlns="{namespace}">{inner}</{name}></e:Body></e:Envelope>'
    )
    request = urllib.request.Request(address, text.encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            status, data = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, data = error.code, error.read()
    body = etree.fromstring(data).find(f"{{{SOAP}}}Body")
    assert body is not None
    return status, body[0]


def address_of(simulator: RunningSimulator, camera: str) -> str:
    return str(simulator.camera(camera)["onvif"])


@pytest.mark.parametrize("camera", ["plain", "aac", "h265", "mute"])
@pytest.mark.parametrize(("namespace", "name", "inner"), QUESTIONS)
def test_every_answer_fits_the_schema(
    cameras: RunningSimulator, camera: str, namespace: str, name: str, inner: str
) -> None:
    status, element = ask(address_of(cameras, camera), namespace, name, inner)
    if camera == "h265" and name == "GetVideoEncoderConfiguration":
        # The first version of the media service has no word for H.265.
        assert status == 400
        return
    assert status == 200
    assert element.tag == f"{{{namespace}}}{name}Response"
    schema(namespace).assertValid(element)


@pytest.mark.parametrize(
    ("namespace", "name", "inner", "subcode"),
    [
        (MEDIA, "GetStreamUri", "<ProfileToken>third</ProfileToken>", "ter:NoProfile"),
        (MEDIA, "GetProfile", "", "ter:NoProfile"),
        (DEVICE, "SystemReboot", "", "ter:ActionNotSupported"),
        ("urn:elsewhere", "GetProfiles", "", "ter:ActionNotSupported"),
    ],
)
def test_what_cannot_be_answered_is_a_fault(
    cameras: RunningSimulator, namespace: str, name: str, inner: str, subcode: str
) -> None:
    status, element = ask(address_of(cameras, "plain"), namespace, name, inner)
    assert (status, element.tag) == (400, f"{{{SOAP}}}Fault")
    assert element.findtext(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value") == subcode


@pytest.mark.parametrize("data", [b"", b"<a/>", b"<!DOCTYPE x [<!ENTITY y 'z'>]><a>&y;</a>"])
def test_what_is_not_soap_is_refused(cameras: RunningSimulator, data: bytes) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(address_of(cameras, "plain"), data or b" ", timeout=10)
    with caught.value:
        assert caught.value.code == 400


def test_the_time_is_told_to_anybody_and_the_rest_to_users(cameras: RunningSimulator) -> None:
    address = address_of(cameras, "locked")
    assert ask(address, DEVICE, "GetSystemDateAndTime")[0] == 200
    for header in ("", token("operator", "guess"), token("somebody", "secret")):
        status, element = ask(address, MEDIA, "GetProfiles", header=header)
        assert status == 400
        value = element.findtext(f".//{{{SOAP}}}Subcode/{{{SOAP}}}Value")
        assert value == "ter:NotAuthorized"
    assert ask(address, MEDIA, "GetProfiles", header=token("operator", "secret"))[0] == 200
    old = datetime(2020, 1, 1, tzinfo=UTC)
    stale = token("operator", "secret", old)
    assert ask(address, MEDIA, "GetProfiles", header=stale)[0] == 400


def through_library(
    address: str, user: str, password: str, talk: Callable[[Any], Awaitable[Any]]
) -> Any:
    """Talk to a device through the ONVIF library, which reads answers by the WSDL."""

    async def run() -> Any:
        parts = urlsplit(address)
        camera = onvif.ONVIFCamera(
            parts.hostname, parts.port, user, password, str(WSDL), no_cache=True, adjust_time=True
        )
        try:
            await camera.update_xaddrs()
            return await talk(camera)
        finally:
            await camera.close()

    return asyncio.run(run())


async def _profiles_and_addresses(camera: Any) -> tuple[Any, Any, list[str]]:
    device = await camera.create_devicemgmt_service()
    media = await camera.create_media_service()
    profiles = await media.GetProfiles()
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    addresses = [
        (await media.GetStreamUri({"StreamSetup": setup, "ProfileToken": profile.token})).Uri
        for profile in profiles
    ]
    return await device.GetDeviceInformation(), profiles, addresses


def test_the_library_finds_streams_that_play(cameras: RunningSimulator) -> None:
    address = address_of(cameras, "locked")
    information, profiles, addresses = through_library(
        address, "operator", "secret", _profiles_and_addresses
    )
    assert information.Model == "Virtual Camera"
    main, sub = profiles
    assert (main.token, sub.token) == ("main", "sub")
    video = main.VideoEncoderConfiguration
    assert (video.Encoding, video.Resolution.Width, video.H264.GovLength) == ("H264", 640, 25)
    assert main.AudioEncoderConfiguration.Encoding == "G711"
    assert addresses == [cameras.url("locked", r, login=False) for r in ("main", "sub")]
    login = addresses[1].replace("rtsp://", "rtsp://operator:secret@")
    assert pull(login, seconds=0.5).frames


def test_the_library_is_told_of_a_wrong_password(cameras: RunningSimulator) -> None:
    with pytest.raises((zeep.exceptions.Fault, onvif.ONVIFError)):
        through_library(address_of(cameras, "locked"), "operator", "guess", _profiles_and_addresses)


def test_a_skewed_clock_is_told_and_tokens_follow_it() -> None:
    spec = small_camera("skewed", user="operator", password="secret")
    with running_simulator([spec]) as simulator:
        address = address_of(simulator, "skewed")
        simulator.fault("skew", "skewed", ms=-86_400_000)
        header = token("operator", "secret")
        assert ask(address, MEDIA, "GetProfiles", header=header)[0] == 400
        found = through_library(address, "operator", "secret", _profiles_and_addresses)
        assert len(found[1]) == 2
        _, element = ask(address, DEVICE, "GetSystemDateAndTime")
        tt = "{http://www.onvif.org/ver10/schema}"
        date = [int(element.findtext(f".//{tt}{part}")) for part in ("Year", "Month", "Day")]
        assert (datetime.now(UTC) - datetime(*date, tzinfo=UTC)).days >= 1

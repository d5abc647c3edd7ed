"""The one module that talks through the ONVIF library.

Only the child process imports it: the library changes the process's environment and logging,
and parses whatever a device sends.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onvif
import zeep
from aiohttp import ClientError

from bidwitness.clock import Clock
from bidwitness.errors import CameraError, InvalidInput
from bidwitness.onvif.devices import DeviceFacts, MediaProfile

# The library's own folder, said outright: its default has pointed elsewhere in some versions.
WSDL = Path(onvif.__file__).parent / "wsdl"
STEP_S = 8
MAX_PROFILES = 16
HALF_SECOND_US = 500_000
_TRIPPED = (ValueError, TypeError, LookupError, AttributeError)


async def ask_device(
    base: str, port: int, username: str, password: str, clock: Clock
) -> DeviceFacts:
    """Ask a device who it is, what time it has, and where its streams are.

    ``base`` is ``http://IP`` or ``https://IP``. Raises ``CameraError`` if it does not answer as
    an ONVIF device, ``InvalidInput`` naming the password if it refuses that.
    """
    # adjust_time: a device with a wrong clock must still accept the digest, so that it can be
    # told that its clock is wrong.
    camera = onvif.ONVIFCamera(
        base,
        port,
        username,
        password,
        wsdl_dir=str(WSDL),
        no_cache=True,
        adjust_time=True,
    )
    # Wherever it says its services are: they are at the place we were given, or nowhere.
    camera.rewrite_url = _Onto(base, port)
    async with aclosing(_Closing(camera)):
        offset = await _clock_offset(camera, clock)
        await _step(camera.update_xaddrs(), "its services")
        device = await camera.create_devicemgmt_service()
        info = await _step(device.GetDeviceInformation(), "who it is")
        return DeviceFacts(
            manufacturer=_text(info.Manufacturer),
            model=_text(info.Model),
            firmware=_text(info.FirmwareVersion),
            serial=_text(info.SerialNumber),
            clock_offset_us=offset,
            profiles=tuple(await _profiles(camera)),
        )


class _Closing:
    """The library's camera has ``close`` where the language wants ``aclose``."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    async def aclose(self) -> None:
        await self._camera.close()


class _Onto:
    """Keeps the path of a service's address and puts the device's own place before it."""

    def __init__(self, base: str, port: int) -> None:
        self._place = f"{base}:{port}"

    def __call__(self, url: str | None) -> str | None:
        if not url or "://" not in url:
            return url
        _, slash, path = url.partition("://")[2].partition("/")
        return f"{self._place}{slash}{path}"


async def _clock_offset(camera: Any, clock: Clock) -> int | None:
    """Give the device's clock minus ours; it tells whole seconds, so the middle of one is meant."""
    device = await camera.create_devicemgmt_service()
    before = clock.utc_us()
    said = await _step(device.authless_GetSystemDateAndTime(), "the time")
    after = clock.utc_us()
    utc = said.UTCDateTime
    if utc is None:
        return None
    try:
        at = datetime(
            utc.Date.Year,
            utc.Date.Month,
            utc.Date.Day,
            utc.Time.Hour,
            utc.Time.Minute,
            min(utc.Time.Second, 59),
            tzinfo=UTC,
        )
    except (ValueError, TypeError, AttributeError):
        return None
    return round(at.timestamp()) * 1_000_000 + HALF_SECOND_US - (before + after) // 2


async def _profiles(camera: Any) -> list[MediaProfile]:
    try:
        media = await camera.create_media_service()
    except onvif.ONVIFError:
        raise CameraError("The device answers, but offers no media service.") from None
    found: Iterable[Any] = await _step(media.GetProfiles(), "its profiles") or ()
    profiles = []
    for profile in list(found)[:MAX_PROFILES]:
        wish = {
            "StreamSetup": {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}},
            "ProfileToken": profile.token,
        }
        uri = await _step(media.GetStreamUri(wish), "the address of a stream")
        profiles.append(_profile(profile, _text(uri.Uri)))
    return profiles


def _profile(profile: Any, address: str) -> MediaProfile:
    video = getattr(profile, "VideoEncoderConfiguration", None)
    audio = getattr(profile, "AudioEncoderConfiguration", None)
    size = getattr(video, "Resolution", None)
    rate = getattr(video, "RateControl", None)
    h264 = getattr(video, "H264", None)
    return MediaProfile(
        token=_text(profile.token),
        name=_text(profile.Name),
        address=address,
        codec=_text(video.Encoding) if video is not None else None,
        width=_number(getattr(size, "Width", None)),
        height=_number(getattr(size, "Height", None)),
        fps=_number(getattr(rate, "FrameRateLimit", None)),
        gop_frames=_number(getattr(h264, "GovLength", None)),
        sound=_text(audio.Encoding) if audio is not None else None,
    )


async def _step(answer: Awaitable[Any], what: str) -> Any:
    """Wait for one answer and turn the library's many errors into ours."""
    try:
        async with asyncio.timeout(STEP_S):
            return await answer
    except zeep.exceptions.Fault as error:
        if _is_about_login(error):
            raise InvalidInput(
                "The device does not accept the user name or the password.",
                fields={"password": "is not accepted, or the user name is not"},
            ) from None
        raise CameraError(f"The device refused to say {what}: {_text(error.message)}") from None
    except zeep.exceptions.TransportError as error:
        if error.status_code in (401, 403):
            raise InvalidInput(
                "The device does not accept the user name or the password.",
                fields={"password": "is not accepted, or the user name is not"},
            ) from None
        raise CameraError(
            f"What answers there is no ONVIF device (HTTP {error.status_code})."
        ) from None
    except (zeep.exceptions.Error, onvif.ONVIFError, *_TRIPPED):
        # Last: what the library trips over when a device sends something else altogether.
        raise CameraError(f"The device's answer about {what} cannot be understood.") from None
    except TimeoutError:
        raise CameraError(f"The device did not say {what} within {STEP_S} s.") from None
    except (ClientError, OSError):
        raise CameraError("Nothing answers at this address, or not as an ONVIF device.") from None


def _is_about_login(fault: zeep.exceptions.Fault) -> bool:
    said = f"{fault.message} {fault.subcodes or ''} {fault.code or ''}".lower()
    return any(word in said for word in ("notauthorized", "not authorized", "authenticat"))


def _text(value: object) -> str:
    """A device's text, cut to what a column holds, without control characters."""
    return "".join(c for c in str(value or "") if c.isprintable())[:400]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value < 100_000 else None

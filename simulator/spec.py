"""What a virtual camera is: its name, picture, sound and password. Values only."""

import dataclasses
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bidwitness.errors import InvalidInput
from bidwitness.words import StreamRole

FPS = 25
FRAME_US = 1_000_000 // FPS
LOOP_SECONDS = 16
"""A whole number of packets of 20 ms, and of AAC frames of 1024 samples at 8 and 16 kHz."""
LOOP_FRAMES = LOOP_SECONDS * FPS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")


class Codec(StrEnum):
    H264 = "h264"
    H265 = "h265"
    MJPEG = "mjpeg"


class Sound(StrEnum):
    ALAW = "alaw"
    ULAW = "ulaw"
    AAC = "aac"
    L16 = "l16"
    OPUS = "opus"
    G726 = "g726"
    NONE = "none"


class Sets(StrEnum):
    """Where the parameter sets of H.264 and H.265 are told.

    ``BOTH``: in the description and before each key frame, as most cameras do; ``DECLARED`` and
    ``IN_BAND``: in one of them only; ``APART``: in band, as an access unit of their own with the
    key frame's timestamp.
    """

    BOTH = "both"
    DECLARED = "declared"
    IN_BAND = "in_band"
    APART = "apart"


class Join(StrEnum):
    """What a new viewer gets first: the next key frame, or whatever is sent now."""

    KEY = "key"
    NOW = "now"


class Auth(StrEnum):
    """How the RTSP side asks for the password: Digest with MD5, with SHA-256, with either."""

    DIGEST = "digest"
    SHA256 = "sha256"
    EITHER = "either"
    BASIC = "basic"


@dataclass(frozen=True, slots=True)
class CameraSpec:
    """One virtual camera with its two streams.

    ``gop_seconds`` is the longest distance of key frames; one also stands at the seam of the
    loop. ``title`` is the text in the picture (the name, unless given): cameras of equal
    title and picture share one encoded loop. ``report_delay`` is how many seconds after PLAY
    the first RTCP sender report comes. ``wrap_seconds``: when, after the start, the 32 bits of
    the picture's RTP timestamp begin anew (0: by chance, within 13 hours). ``declared_fps`` is
    what the description and the parameter sets say, whatever is sent. ``sound_only``: there is no
    picture, as of a microphone or a telephone line's recorder. Empty ``user`` means no password.

    Raises ``InvalidInput`` for a value that cannot be served.
    """

    name: str
    title: str = ""
    codec: Codec = Codec.H264
    sound: Sound = Sound.ALAW
    gop_seconds: int = 1
    width: int = 1920
    height: int = 1080
    bitrate: int = 4_000_000
    sub_width: int = 640
    sub_height: int = 360
    sub_bitrate: int = 512_000
    sub_sound: bool = True
    user: str = ""
    password: str = ""
    auth: Auth = Auth.DIGEST
    join: Join = Join.KEY
    b_frames: int = 0
    report_delay: int = 0
    wrap_seconds: int = 0
    declared_fps: int = FPS
    sets: Sets = Sets.BOTH
    sound_only: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise _wrong("name", "use up to 32 letters, digits, '-' and '_'")
        if not 1 <= self.gop_seconds <= LOOP_SECONDS:
            raise _wrong("gop_seconds", f"use 1 to {LOOP_SECONDS}")
        for field in ("width", "height", "sub_width", "sub_height"):
            size = getattr(self, field)
            if size % 2 or not 160 <= size <= 4096:
                raise _wrong(field, "use an even number from 160 to 4096")
        for field in ("bitrate", "sub_bitrate"):
            if not 50_000 <= getattr(self, field) <= 50_000_000:
                raise _wrong(field, "use 50000 to 50000000 bits a second")
        if not 0 <= self.b_frames <= 3:
            raise _wrong("b_frames", "use 0 to 3")
        if not 0 <= self.report_delay <= 60:
            raise _wrong("report_delay", "use 0 to 60 seconds")
        if not 0 <= self.wrap_seconds <= 3600:
            raise _wrong("wrap_seconds", "use 0 to 3600")
        if self.sound_only and (self.sound is Sound.NONE or not self.sub_sound):
            raise _wrong("sound_only", "it needs a sound, in both streams")
        if not 1 <= self.declared_fps <= 120:
            raise _wrong("declared_fps", "use 1 to 120")

    def size(self, role: StreamRole) -> tuple[int, int]:
        """Give width and height of a stream in pixels."""
        if role is StreamRole.MAIN:
            return self.width, self.height
        return self.sub_width, self.sub_height

    def rate(self, role: StreamRole) -> int:
        """Give a stream's bits a second of picture."""
        return self.bitrate if role is StreamRole.MAIN else self.sub_bitrate

    def sound_of(self, role: StreamRole) -> Sound:
        """Give the sound a stream carries."""
        return self.sound if role is StreamRole.MAIN or self.sub_sound else Sound.NONE


def _wrong(field: str, why: str) -> InvalidInput:
    return InvalidInput(f"A camera's {field} cannot be served: {why}.", fields={field: why})


def read_specs(path: Path, defaults: CameraSpec) -> list[CameraSpec]:
    """Read cameras from a JSON file: a list of objects with the fields of ``CameraSpec``.

    Fields that an object leaves out come from ``defaults``. Raises ``InvalidInput``.
    """
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"The file of cameras cannot be read: {error}") from None
    if not isinstance(listed, list) or not listed:
        raise InvalidInput("The file of cameras must hold a JSON list with at least one camera.")
    return [spec_from(item, defaults) for item in listed]


def spec_from(item: object, defaults: CameraSpec) -> CameraSpec:
    """Build one camera from a JSON object over ``defaults``. Raises ``InvalidInput``."""
    kinds: dict[str, type] = {f.name: type(getattr(defaults, f.name)) for f in _fields()}
    if not isinstance(item, dict):
        raise InvalidInput("A camera must be a JSON object.")
    values: dict[str, object] = {}
    for key, value in item.items():
        if key not in kinds:
            raise _wrong(key, f"known are {', '.join(kinds)}")
        try:
            values[key] = kinds[key](value)
        except (ValueError, TypeError):
            raise _wrong(key, f"{value!r} is not of its kind") from None
    # The type of every value was taken from the field of the same name.
    return dataclasses.replace(defaults, **values)  # type: ignore[arg-type]


def _fields() -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(CameraSpec)

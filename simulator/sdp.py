"""The SDP that DESCRIBE answers. Pure."""

import base64
from collections.abc import Iterator

from bidwitness.simulator.spec import Sets
from bidwitness.simulator.streams import ServedStream

_SOUND_NAMES = {
    "alaw": "PCMA",
    "ulaw": "PCMU",
    "aac": "MPEG4-GENERIC",
    "l16": "L16",
    "opus": "opus",
    "g726": "G726-32",
}
# Opus is always declared with two (RFC 7587); whoever says nothing has one.
_CHANNELS = {"MPEG4-GENERIC": "/1", "L16": "/1", "opus": "/2"}


def describe(stream: ServedStream, host: str) -> str:
    """Give the description of a stream's tracks as they are now."""
    lines = [
        "v=0",
        f"o=- {stream.counters[0].ssrc} 1 IN IP4 {host}",
        f"s={stream.spec.name}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=range:npt=now-",
        "a=control:*",
        *_picture(stream),
        *_sound(stream),
    ]
    return "\r\n".join(lines) + "\r\n"


def _picture(stream: ServedStream) -> Iterator[str]:
    if stream.spec.sound_only:
        return
    header = stream.picture.header
    sets = [bytes.fromhex(text) for text in header["sets"]]
    declared = stream.spec.sets is not Sets.IN_BAND
    coded = [base64.b64encode(nal).decode() for nal in sets]
    kind = stream.picture.type
    yield f"m=video 0 RTP/AVP {kind}"
    yield f"b=AS:{stream.spec.rate(stream.role) // 1000}"
    if header["codec"] == "mjpeg":
        params = ""
    elif header["codec"] == "h265":
        yield f"a=rtpmap:{kind} H265/90000"
        named = zip(("sprop-vps", "sprop-sps", "sprop-pps"), coded, strict=True)
        params = "; ".join(f"{name}={value}" for name, value in named) if declared else ""
    else:
        yield f"a=rtpmap:{kind} H264/90000"
        params = f"packetization-mode=1; profile-level-id={sets[0][1:4].hex()}"
        if declared:
            params += f"; sprop-parameter-sets={','.join(coded)}"
    if params:
        yield f"a=fmtp:{kind} {params}"
    yield f"a=framerate:{header['fps']}"
    yield f"a=x-dimensions:{header['width']},{header['height']}"
    yield "a=control:track0"


def _sound(stream: ServedStream) -> Iterator[str]:
    sound = stream.sound
    if sound is None:
        return
    yield f"m=audio 0 RTP/AVP {sound.type}"
    name = _SOUND_NAMES[sound.header["sound"]]
    yield f"a=rtpmap:{sound.type} {name}/{sound.rate}{_CHANNELS.get(name, '')}"
    if name == "MPEG4-GENERIC":
        yield (
            f"a=fmtp:{sound.type} streamtype=5; profile-level-id=1; mode=AAC-hbr; "
            f"sizelength=13; indexlength=3; indexdeltalength=3; config={sound.header['config']}"
        )
    else:
        yield f"a=ptime:{sound.samples * 1000 // sound.rate}"
    yield "a=control:track1"

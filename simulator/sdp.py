"""The SDP that DESCRIBE answers. Pure."""

import base64
from collections.abc import Iterator

from bidwitness.simulator.spec import FPS
from bidwitness.simulator.streams import PICTURE_TYPE, ServedStream


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
    header = stream.picture.header
    sets = [bytes.fromhex(text) for text in header["sets"]]
    coded = [base64.b64encode(nal).decode() for nal in sets]
    yield f"m=video 0 RTP/AVP {PICTURE_TYPE}"
    yield f"b=AS:{stream.spec.rate(stream.role) // 1000}"
    if header["codec"] == "h265":
        yield f"a=rtpmap:{PICTURE_TYPE} H265/90000"
        named = zip(("sprop-vps", "sprop-sps", "sprop-pps"), coded, strict=True)
        params = "; ".join(f"{name}={value}" for name, value in named)
    else:
        yield f"a=rtpmap:{PICTURE_TYPE} H264/90000"
        level = sets[0][1:4].hex()
        params = (
            f"packetization-mode=1; profile-level-id={level}; "
            f"sprop-parameter-sets={','.join(coded)}"
        )
    yield f"a=fmtp:{PICTURE_TYPE} {params}"
    yield f"a=framerate:{FPS}"
    yield f"a=x-dimensions:{header['width']},{header['height']}"
    yield "a=control:track0"


def _sound(stream: ServedStream) -> Iterator[str]:
    sound = stream.sound
    if sound is None:
        return
    yield f"m=audio 0 RTP/AVP {sound.type}"
    if sound.header["sound"] == "aac":
        yield f"a=rtpmap:{sound.type} MPEG4-GENERIC/{sound.rate}/1"
        yield (
            f"a=fmtp:{sound.type} streamtype=5; profile-level-id=1; mode=AAC-hbr; "
            f"sizelength=13; indexlength=3; indexdeltalength=3; config={sound.header['config']}"
        )
    else:
        yield f"a=rtpmap:{sound.type} {'PCMA' if sound.type == 8 else 'PCMU'}/{sound.rate}"
        yield f"a=ptime:{sound.samples * 1000 // sound.rate}"
    yield "a=control:track1"

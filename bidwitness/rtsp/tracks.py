"""Which of a camera's tracks are pulled, and what reads each of them. Pure."""

import base64
import binascii

from bidwitness.rtsp.jpeg_payload import JpegPayload
from bidwitness.rtsp.nal_payload import NalPayload
from bidwitness.rtsp.rtp import Payload
from bidwitness.rtsp.sdp import Media
from bidwitness.rtsp.sound_payload import (
    AacPayload,
    LatmPayload,
    OpusPayload,
    PlainPayload,
    latm_config,
    opus_head,
)
from bidwitness.rtsp.units import Track
from bidwitness.words import Medium

# libav's names of what RTP calls otherwise.
_CODECS = {
    "h264": "h264",
    "h265": "hevc",
    "jpeg": "mjpeg",
    "pcma": "pcm_alaw",
    "pcmu": "pcm_mulaw",
    "l16": "pcm_s16be",
    "l24": "pcm_s24be",
    "mpeg4-generic": "aac",
    "mp4a-latm": "aac",
    "opus": "opus",
    "g722": "adpcm_g722",
    "mpa": "mp3",
    "mp4v-es": "mpeg4",
}
_SETS = ("sprop-vps", "sprop-sps", "sprop-pps", "sprop-parameter-sets")


def track_of(media: Media) -> Track:
    """Say what a media is. What is not known keeps RTP's name for it."""
    name = media.encoding
    codec = "adpcm_g726" if "g726" in name else _CODECS.get(name, name)
    config = b""
    channels = media.channels if media.medium is Medium.SOUND else 0
    if media.medium is Medium.PICTURE:
        config = _declared_sets(media)
    elif name == "mpeg4-generic":
        config = _hexadecimal(media.parameters.get("config", ""))
    elif name == "mp4a-latm":
        config = latm_config(media.parameters.get("config", ""))
    elif name == "opus":
        # RTP always declares two (RFC 7587, 7); the stream may say that it has but one.
        channels = 2 if media.parameters.get("sprop-stereo") == "1" else 1
        config = opus_head(2)
    return Track(media.medium, codec, media.rate, config, channels)


def payload_of(media: Media) -> Payload | None:
    """Give what reads a media; none for what we cannot read."""
    match media.encoding:
        case "h264":
            return NalPayload(hevc=False)
        case "h265":
            order = media.parameters.get("sprop-max-don-diff", "0")
            return NalPayload(hevc=True, with_order=order.isdigit() and int(order) > 0)
        case "jpeg":
            return JpegPayload()
        case "pcma" | "pcmu":
            return PlainPayload(media.channels)
        case "l16":
            return PlainPayload(2 * media.channels)
        case "opus":
            return OpusPayload()
        case "mpeg4-generic":
            return AacPayload(media.parameters)
        case "mp4a-latm":
            return LatmPayload()
    return None


def _declared_sets(media: Media) -> bytes:
    out = []
    for name in _SETS:
        for text in media.parameters.get(name, "").split(","):
            try:
                nal = base64.b64decode(text + "=" * (-len(text) % 4))
            except (binascii.Error, ValueError):
                continue
            # Some cameras send them with the start codes of a file.
            nal = nal.lstrip(b"\0").removeprefix(b"\1") if nal[:3] == b"\0\0\0" else nal
            nal = nal.removeprefix(b"\0\0\1").rstrip(b"\0")
            if nal:
                out.append(len(nal).to_bytes(4) + nal)
    return b"".join(out)


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""

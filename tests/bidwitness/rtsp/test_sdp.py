"""Descriptions as cameras of different makers write them."""

from hypothesis import given
from hypothesis import strategies as st

from bidwitness.rtsp.sdp import read_description
from bidwitness.rtsp.sound_payload import latm_config
from bidwitness.rtsp.tracks import payload_of, track_of
from bidwitness.words import Medium

BASE = "rtsp://192.0.2.7:554/Streaming/Channels/101?a=b"
TYPICAL = b"""v=0\r
o=- 1 1 IN IP4 192.0.2.7\r
s=Media Presentation\r
a=control:rtsp://192.0.2.7:554/Streaming/Channels/101/\r
m=video 0 RTP/AVP 96\r
a=control:rtsp://10.0.0.9:554/Streaming/Channels/101/trackID=1\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 profile-level-id=640028; packetization-mode=1; sprop-parameter-sets=Z2QAKA==,aO4=\r
m=application 0 RTP/AVP 107\r
a=rtpmap:107 vnd.onvif.metadata/90000\r
m=audio 0 RTP/AVP 8\r
a=control:trackID=2\r
"""


def test_a_typical_camera() -> None:
    described = read_description(TYPICAL, BASE)
    picture, sound = described.media
    assert described.control == "rtsp://192.0.2.7:554/Streaming/Channels/101/"
    # What a camera says of itself is said back to it, never dialled.
    assert picture.control == "rtsp://10.0.0.9:554/Streaming/Channels/101/trackID=1"
    assert sound.control == BASE + "/trackID=2"
    assert (sound.encoding, sound.rate, sound.channels) == ("pcma", 8000, 1)
    track = track_of(picture)
    assert (track.medium, track.codec, track.rate) == (Medium.PICTURE, "h264", 90_000)
    assert track.config.hex() == "0000000467640028" + "0000000268ee"
    assert track_of(sound).codec == "pcm_alaw"


def test_aac_opus_and_what_we_cannot_read() -> None:
    body = (
        b"m=audio 0 RTP/AVP 97\r\na=rtpmap:97 MPEG4-GENERIC/16000/1\r\n"
        b"a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;SizeLength=13;IndexLength=3\r\n"
        b"m=audio 0 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\n"
        b"m=audio 0 RTP/AVP 2\r\na=rtpmap:2 G726-32/8000\r\n"
        b"m=audio 0 RTP/AVP 99\r\na=rtpmap:99 MP4A-LATM/16000/1\r\n"
        b"a=fmtp:99 cpresent=0; config=40002810\r\n"
        b"m=video 0 RTP/AVP 26\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    )
    media = read_description(body, BASE).media
    tracks = [track_of(each) for each in media]
    assert [track.codec for track in tracks] == [
        *("aac", "opus", "adpcm_g726", "aac", "mjpeg", "vp8")
    ]
    assert tracks[0].config.hex() == "1408"
    assert tracks[1].config.startswith(b"OpusHead") and tracks[1].channels == 1
    assert [payload_of(each) is not None for each in media] == [
        True,
        True,
        False,
        True,
        True,
        False,
    ]


def test_latm_says_its_configuration_a_bit_further_on() -> None:
    # 40 00 28 10: fifteen bits of StreamMuxConfig, then AAC-LC, 16 kHz, one channel.
    assert latm_config("400028103fc0").hex() == "1408"
    assert latm_config("zz") == latm_config("") == latm_config("ff00281000") == b""


@given(st.binary(max_size=400) | st.lists(st.sampled_from(TYPICAL.split(b"\r\n"))).map(b"\n".join))
def test_no_description_breaks_the_reading(body: bytes) -> None:
    for each in read_description(body, BASE).media:
        assert track_of(each).rate > 0
        payload_of(each)

"""What stands where nothing was recorded: notices that any camera's decoder takes, and silence."""

import av
import numpy as np
import pytest
from support.clips import aac_packets, make_clip

from bidwitness.player.slates import PATTERN, make_slate, silence_of
from bidwitness.storage.media.boxes import read_init
from bidwitness.storage.media.entries import AvcSets, avc_sets, sample_entries, with_more_sets
from bidwitness.storage.media.init import TrackSpec, flac_config, write_init
from bidwitness.storage.media.nal import parse_access_unit, picture_config
from bidwitness.words import Medium


def an_init(codec: str = "h264") -> bytes:
    picture = make_clip(codec, frames=2, gop=2).pictures[0]
    config = picture_config(parse_access_unit(picture.data, codec).sets, codec)
    entry = "avc1" if codec == "h264" else "hev1"
    size = {"width": config.width, "height": config.height}
    sound = TrackSpec(2, Medium.SOUND, "mp4a", 16_000, aac_packets()[0], channels=1)
    return write_init([TrackSpec(1, Medium.PICTURE, entry, 90_000, config.record, **size), sound])


def test_more_sets_stand_beside_the_cameras_own() -> None:
    init = an_init()
    own = avc_sets(init)
    assert own is not None and len(own.sps) == len(own.pps) == 1
    slate = make_slate(("无录像",), 284, 160, own.sps[0][1], own.free_number(), None)
    both = with_more_sets(init, slate.sets)
    assert avc_sets(both) == AvcSets(own.sps + slate.sets.sps, own.pps + slate.sets.pps)
    assert read_init(both)[0].width == read_init(init)[0].width
    # The sound is declared as before.
    assert sample_entries(both)[2].body == sample_entries(init)[2].body
    assert len(slate.samples) == PATTERN
    # Another notice of the same film has the same sets.
    other = make_slate(("another", "words"), 284, 160, own.sps[0][1], own.free_number(), None)
    assert other.sets == slate.sets and other.samples != slate.samples


def test_h265_has_no_place_for_them() -> None:
    assert avc_sets(an_init("hevc")) is None


@pytest.mark.parametrize(
    ("codec", "rate", "channels", "block"),
    [
        *[("aac", 16_000, 1, 1024), ("aac", 48_000, 2, 1024)],
        *[("flac", 8_000, 1, 3200), ("flac", 16_000, 1, 320), ("opus", 48_000, 2, 960)],
    ],
)
def test_silence_is_silent_and_as_long_as_it_says(
    codec: str, rate: int, channels: int, block: int
) -> None:
    silence = silence_of(codec, rate, channels, block)
    assert silence is not None and silence.samples == block
    context = av.CodecContext.create("libopus" if codec == "opus" else codec, "r")
    assert isinstance(context, av.AudioCodecContext)
    context.sample_rate, context.layout = rate, "stereo" if channels == 2 else "mono"
    if codec == "flac":
        context.extradata = flac_config(rate, channels, block)
    elif codec == "aac":
        # Object type 2 (AAC-LC), the rate's index, the channels.
        index = {48_000: 3, 16_000: 8}[rate]
        context.extradata = (2 << 11 | index << 7 | channels << 3).to_bytes(2)
    heard = [f.to_ndarray() for _ in range(4) for f in context.decode(av.Packet(silence.data))]
    assert {f.size for f in heard} == {block * channels}
    assert max(float(np.abs(f).max()) for f in heard) < 1e-3


def test_of_another_coding_there_is_none() -> None:
    assert silence_of("pcm_s16le", 8_000, 1, 160) is None

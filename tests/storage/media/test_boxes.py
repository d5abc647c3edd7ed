"""Pieces, tracks and fragments out of files: ours, libav's, and broken ones."""

import io
from fractions import Fraction
from functools import cache
from itertools import pairwise

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.clips import TICK, aac_packets, make_clip, picture_number, with_start_codes
from support.stored import decode, ffmpeg_words

from bidwitness.errors import DamageFound
from bidwitness.storage.media.boxes import (
    Splitter,
    one_track_init,
    read_fragment,
    read_init,
    read_samples,
    split_pieces,
)
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.init import TrackSpec, aac_format, write_init
from bidwitness.storage.media.nal import parse_access_unit, picture_config
from bidwitness.words import Medium


def picture_track(codec: str = "h264") -> TrackSpec:
    clip = make_clip(codec)
    unit = parse_access_unit(clip.pictures[0].data, codec)
    config = picture_config(unit.sets, codec)
    entry = "avc1" if codec == "h264" else "hev1"
    return TrackSpec(1, Medium.PICTURE, entry, 90_000, config.record, config.width, config.height)


@cache
def stored_file(codec: str = "h264", b_frames: int = 0) -> bytes:
    """Two seconds of picture in half seconds, and AAC beside it."""
    config, frames = aac_packets()
    rate, channels = aac_format(config)
    sound = TrackSpec(2, Medium.SOUND, "mp4a", rate, config, channels=channels)
    out = [write_init([picture_track(codec), sound])]
    pictures = make_clip(codec, b_frames=b_frames).pictures[:50]
    for number, start in enumerate(range(0, 50, 12)):
        group = pictures[start : start + 12]
        samples = [
            Sample(parse_access_unit(p.data, codec).body, TICK, p.key, p.pts - p.dts) for p in group
        ]
        out.append(write_fragment(2 * number, 1, group[0].dts + 900_000, samples))
        blocks = frames[number * 8 : number * 8 + 8]
        if blocks:
            group_dts = number * 8 * 1024 + 10 * rate
            sound_samples = [Sample(block, 1024, True) for block in blocks]
            out.append(write_fragment(2 * number + 1, 2, group_dts, sound_samples))
    return b"".join(out)


@pytest.mark.parametrize(("codec", "b_frames"), [("h264", 0), ("h264", 2), ("hevc", 0)])
def test_what_we_write_plays_silently_with_every_picture(codec: str, b_frames: int) -> None:
    data = stored_file(codec, b_frames)
    assert ffmpeg_words(data) == ""
    seen = decode(data)
    assert [picture_number(image) for _, image in seen.pictures] == list(range(len(seen.pictures)))
    assert len(seen.pictures) == 50
    assert len(seen.sound) == len(aac_packets()[1])


def test_pieces_and_tracks_of_our_file() -> None:
    data = stored_file()
    pieces = list(split_pieces(data[i : i + 1000] for i in range(0, len(data), 1000)))
    assert b"".join(piece.data for piece in pieces) == data
    assert [piece.is_init for piece in pieces] == [True] + [False] * (len(pieces) - 1)
    tracks = read_init(pieces[0].data)
    assert [(t.id, t.medium, t.timescale) for t in tracks] == [
        (1, Medium.PICTURE, 90_000),
        (2, Medium.SOUND, 16_000),
    ]
    assert [t.codec for t in tracks] == ["avc1.42c00c", "mp4a.40.2"]
    assert (tracks[0].width, tracks[0].height) == (284, 160)
    facts = [read_fragment(piece.data) for piece in pieces[1:]]
    pictures = [f for f in facts if f.track == 1]
    assert [f.key for f in pictures] == [True, False, False, False, False]
    assert [f.samples for f in pictures] == [12, 12, 12, 12, 2]
    for before, after in pairwise(pictures):
        assert before.dts + before.duration == after.dts


@pytest.mark.parametrize(("codec", "name"), [("h264", "avc1."), ("hevc", "hev1.")])
def test_libavs_own_files_read_the_same(codec: str, name: str) -> None:
    """The configuration we make of parameter sets names the codec as libav's does."""
    theirs = io.BytesIO()
    clip = make_clip(codec)
    source = io.BytesIO(b"".join(with_start_codes(p.data) for p in clip.pictures))
    with (
        av.open(source, format=codec) as raw,
        av.open(
            theirs,
            "w",
            format="mp4",
            options={
                "movflags": "frag_keyframe+empty_moov+default_base_moof+separate_moof+skip_trailer"
            },
        ) as out,
    ):
        stream = out.add_stream_from_template(raw.streams.video[0], opaque=True)
        for number, packet in enumerate(raw.demux()):
            if packet.size:
                packet.pts = packet.dts = number * TICK
                packet.duration = TICK
                packet.time_base = Fraction(1, 90_000)
                packet.stream = stream
                out.mux(packet)
    pieces = list(split_pieces([theirs.getvalue()]))
    (track,) = read_init(pieces[0].data)
    (ours,) = read_init(write_init([picture_track(codec)]))
    assert track.codec.startswith(name) and track.codec == ours.codec
    assert (track.width, track.height) == (ours.width, ours.height)


def test_one_track_alone_plays() -> None:
    data = stored_file()
    pieces = [piece.data for piece in split_pieces([data])]
    for track, pictures, sound in ((1, 50, 0), (2, 0, len(aac_packets()[1]))):
        alone = one_track_init(pieces[0], track)
        assert [t.id for t in read_init(alone)] == [track]
        chosen = [piece for piece in pieces[1:] if read_fragment(piece).track == track]
        assert ffmpeg_words(alone + b"".join(chosen)) == ""
        seen = decode(alone + b"".join(chosen))
        assert (len(seen.pictures), len(seen.sound)) == (pictures, sound)
    with pytest.raises(DamageFound):
        one_track_init(pieces[0], 3)


def test_a_torn_file_is_split_up_to_the_tear() -> None:
    data = stored_file()
    whole = [piece.data for piece in split_pieces([data])]
    splitter = Splitter()
    found = splitter.feed(data[:-1])
    assert [piece.data for piece in found] == whole[:-1]
    assert splitter.whole_end + splitter.pending == len(data) - 1
    with pytest.raises(DamageFound):
        list(split_pieces([data[:-1]]))


SAMPLES = st.lists(
    st.builds(
        Sample,
        st.binary(max_size=40),
        st.integers(0, 2**32 - 1),
        st.booleans(),
        st.integers(-(2**31), 2**31 - 1),
    ),
    min_size=1,
    max_size=20,
)


@given(st.integers(0, 2**32 - 1), st.integers(1, 2**32 - 1), st.integers(0, 2**63), SAMPLES)
def test_a_fragment_reads_back_as_written(
    sequence: int, track: int, dts: int, samples: list[Sample]
) -> None:
    piece = write_fragment(sequence, track, dts, samples)
    facts = read_fragment(piece)
    assert (facts.track, facts.sequence, facts.dts) == (track, sequence, dts)
    assert facts.duration == sum(sample.duration for sample in samples)
    assert facts.key == samples[0].key
    read = read_samples(piece)
    assert [
        Sample(piece[s.offset : s.offset + s.size], s.duration, s.key, s.cts) for s in read
    ] == samples


@given(st.data())
def test_hostile_bytes_only_ever_raise_damage_found(data: st.DataObject) -> None:
    whole = [piece.data for piece in split_pieces([stored_file()])]
    victim = bytearray(data.draw(st.sampled_from([whole[0], whole[1][:400], whole[2]])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(victim) - 1, 900)))
        if data.draw(st.booleans()):
            victim[at] = data.draw(st.integers(0, 255))
        else:
            del victim[at : at + data.draw(st.integers(1, 40))]
    readers = (
        lambda piece: list(split_pieces([piece])),
        read_init,
        read_fragment,
        read_samples,
        lambda piece: one_track_init(piece, 1),
    )
    for read in readers:
        try:
            read(bytes(victim))
        except DamageFound:
            continue


@given(st.binary(max_size=200))
def test_noise_is_no_file(noise: bytes) -> None:
    for read in (read_init, read_fragment):
        with pytest.raises(DamageFound):
            read(noise)


def test_a_length_beyond_reason_is_refused_before_it_is_awaited() -> None:
    with pytest.raises(DamageFound):
        Splitter().feed(b"\x7f\xff\xff\xffftyp" + bytes(8))

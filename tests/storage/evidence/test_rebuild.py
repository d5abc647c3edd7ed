"""The G.711 that a camera sent, rebuilt from the FLAC of a package and held against its record."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.evidence_session import (
    Stream,
    file_facts,
    make_package,
    make_session,
    make_stream,
)
from support.evidence_sound import (
    RATE,
    received,
    sound_chunks,
    sound_piece,
    sounding_pieces,
    stated_of,
)

from bidwitness.recorder.flac import FlacEncoder
from bidwitness.storage.evidence.checkfile import SoundRebuild
from bidwitness.storage.evidence.pieces import BLOCK
from bidwitness.storage.evidence.rebuild import G711Rebuild
from bidwitness.storage.evidence.records import (
    G711Facts,
    SegmentFacts,
    check_record,
    leaf_hash,
    record_of,
)
from bidwitness.storage.evidence.report import Report, report_json, report_text
from bidwitness.storage.evidence.verify import verify_package
from bidwitness.storage.media.fragments import Sample, write_fragment
from bidwitness.storage.media.g711 import ALAW, MULAW, decode

CODECS = [ALAW, MULAW]


def check_sound(facts: SegmentFacts, partial: bool) -> SoundRebuild | None:
    return G711Rebuild(facts, facts.g711, partial=partial) if facts.g711 else None


def verified(bag: Path) -> Report:
    return verify_package(bag, check_sound=check_sound)


def altered(stream: Stream, at: int, **change: object) -> None:
    """What whoever holds the recorder can do: write a record anew, and chain all after it."""
    for number, record in enumerate(stream.records):
        facts = check_record(record)
        place = facts.place
        if number > at:
            place = dataclasses.replace(place, prev=leaf_hash(stream.records[number - 1]).hex())
        more = change if number == at else {}
        stream.records[number] = record_of(dataclasses.replace(facts, place=place, **more))


@pytest.mark.parametrize("codec", CODECS)
def test_an_honest_package_gives_back_what_was_received(
    tmp_path: Path, standalone: ModuleType, codec: str
) -> None:
    streams = [make_stream("cam-a", codec), make_stream("cam-b")]
    make_package(tmp_path / "bag", streams, make_session(streams))
    report = verified(tmp_path / "bag")
    assert (report.exit_code, report.problems) == (3, [])
    picture, sound = report.streams[0].tracks
    assert (picture.medium, picture.conversion) == ("picture", "as_received")
    assert (sound.medium, sound.source_codec, sound.conversion) == ("sound", codec, "rebuilt")
    assert sound.rebuilt == sound.fragments == 7 * 25
    assert "byte for byte (175 fragments)" in report_text(report)
    # The records of the other say nothing of what was received: that is said.
    assert report.streams[1].tracks[1].conversion == "not_stated"
    assert "has no digest of what was received" in report_text(report)
    alone = standalone.verify_package(tmp_path / "bag")
    assert alone.streams[0].tracks[1].conversion == "not_checked"
    assert any("bidwitness verify rebuilds it" in english for _, english in alone.not_checked)


@pytest.mark.parametrize("codec", CODECS)
def test_a_digest_of_other_sound_in_the_record(tmp_path: Path, codec: str) -> None:
    """Everything else fits: the record was altered before it was chained and logged."""
    stream = make_stream("cam-a", codec)
    stated = sounding_pieces(codec, 2)[1]
    forged = dataclasses.replace(stated, sha256=(*stated.sha256[:3], "0" * 64, *stated.sha256[4:]))
    altered(stream, 2, g711=forged)
    make_package(tmp_path / "bag", [stream], make_session([stream]))
    assert verify_package(tmp_path / "bag").exit_code == 3
    report = verified(tmp_path / "bag")
    assert report.exit_code == 1
    (problem,) = report.problems
    assert (problem.kind, problem.where.split("/")[2]) == ("inconsistent", "cam-a")
    assert problem.detail == (
        f"the sound at {2 * 10_000 + 3 * 400} ms is not what the record says was received"
    )
    picture, sound = json.loads(report_json(report))["streams"][0]["tracks"]
    assert picture["verdict"] == "consistent"
    assert (sound["verdict"], sound["conversion"]) == ("not_authentic", "differs")
    assert (sound["fragments"], sound["fragments_rebuilt"]) == (175, 174)
    assert "174/175 段一致" in report_text(report)


def test_another_sound_under_the_digests_of_what_was_received(tmp_path: Path) -> None:
    stream = make_stream("cam-a", ALAW)
    pieces, _ = sounding_pieces(ALAW, 2)
    chunks = sound_chunks(ALAW, bytes(10 * RATE))
    pieces[2] = sound_piece(1, chunks[0], 2 * 10 * RATE)
    place = check_record(stream.records[2]).place
    stream.files[place.day, place.seq] = pieces
    altered(stream, 2, **file_facts(pieces))
    make_package(tmp_path / "bag", [stream], make_session([stream]))
    assert verify_package(tmp_path / "bag").exit_code == 3
    (problem,) = verified(tmp_path / "bag").problems
    assert "the sound at 20000 ms is not what" in problem.detail


def test_a_fragment_of_sound_less_than_recorded(tmp_path: Path) -> None:
    stream = make_stream("cam-a", MULAW)
    stated = sounding_pieces(MULAW, 2)[1]
    more = G711Facts(MULAW, (*stated.sha256, "0" * 64), (*stated.negative_zeros, ()))
    altered(stream, 2, g711=more)
    make_package(tmp_path / "bag", [stream], make_session([stream]))
    (problem,) = verified(tmp_path / "bag").problems
    assert "26 fragments of sound are recorded, 25 are there" in problem.detail


@pytest.mark.parametrize("zeros", [(0, 1, 2), (99_999,)], ids=["no-zeros", "beyond"])
def test_zeros_that_are_none(tmp_path: Path, zeros: tuple[int, ...]) -> None:
    stream = make_stream("cam-a", MULAW)
    stated = sounding_pieces(MULAW, 2)[1]
    altered(stream, 2, g711=dataclasses.replace(
        stated, negative_zeros=(zeros, *stated.negative_zeros[1:])))  # fmt: skip
    make_package(tmp_path / "bag", [stream], make_session([stream]))
    (problem,) = verified(tmp_path / "bag").problems
    assert "a negative zero stands where the sample is not zero" in problem.detail


@pytest.mark.parametrize("codec", CODECS)
def test_of_a_part_each_fragment_is_found_among_those_stated(tmp_path: Path, codec: str) -> None:
    stream = make_stream("cam-a", codec)
    make_package(tmp_path / "bag", [stream], make_session([stream]), keep={2: {4, 5, 6, 11, 12}})
    report = verified(tmp_path / "bag")
    assert report.problems == []
    sound = report.streams[0].tracks[1]
    # Pieces 4, 6 and 12 are of sound.
    assert (sound.conversion, sound.rebuilt, sound.fragments) == ("rebuilt", 153, 153)


def test_of_a_part_without_sound_nothing_is_said_to_be_rebuilt(tmp_path: Path) -> None:
    stream = make_stream("cam-a", ALAW)
    pictures = {number: {1, 3, 5} for number in range(10)}
    make_package(tmp_path / "bag", [stream], make_session([stream]), keep=pictures)
    report = verified(tmp_path / "bag")
    assert report.problems == []
    assert report.streams[0].tracks[1].conversion == "withheld"


def test_the_command_rebuilds(tmp_path: Path) -> None:
    stream = make_stream("cam-a", MULAW)
    make_package(tmp_path / "p.zip", [stream], make_session([stream]))
    command = [sys.executable, "-m", "bidwitness", "verify", str(tmp_path / "p.zip"), "--json"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (told.returncode, told.stderr) == (3, "")
    assert json.loads(told.stdout)["streams"][0]["tracks"][1]["conversion"] == "rebuilt"


def facts_with(stated: G711Facts) -> SegmentFacts:
    stream = make_stream("cam-a", stated.codec)
    facts = check_record(stream.records[0])
    assert isinstance(facts, SegmentFacts)
    return dataclasses.replace(facts, g711=stated)


MULAW_FACTS, ALAW_FACTS = (
    facts_with(stated_of(codec, sound_chunks(codec, received(0)))) for codec in (MULAW, ALAW)
)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: sound_piece(
    1, sound_chunks(ALAW, received(0))[0])[:-60] + tail))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_whatever_the_bytes_are_there_is_an_answer(data: bytes) -> None:
    rebuild = check_sound(ALAW_FACTS, False)
    assert rebuild is not None
    rebuild.take(memoryview(data))
    assert rebuild.finish().rebuilt == 0
    assert rebuild.finish().wrong


def test_both_zeros_of_mulaw_are_told_apart() -> None:
    """They decode to one value: without the places that the record keeps both would look alike."""
    data = bytes((0x7F, 0xFF)) * (RATE // 2)
    assert not decode(data, MULAW).any()
    chunks = sound_chunks(MULAW, data)
    facts = facts_with(stated_of(MULAW, chunks))
    rebuild = check_sound(facts, False)
    assert rebuild is not None
    for number, chunk in enumerate(chunks):
        rebuild.take(memoryview(sound_piece(number, chunk)))
    assert (rebuild.finish().rebuilt, rebuild.finish().wrong) == (len(chunks), [])
    swapped = stated_of(MULAW, sound_chunks(MULAW, bytes((0xFF, 0x7F)) * (RATE // 2)))
    other = check_sound(facts_with(dataclasses.replace(swapped, sha256=facts.g711.sha256)), False)  # type: ignore[union-attr]  # stated above
    assert other is not None
    other.take(memoryview(sound_piece(0, chunks[0])))
    assert other.finish().rebuilt == 0


def test_a_bomb_of_silence_does_not_fill_the_memory() -> None:
    """A constant block of 65535 samples is a dozen bytes."""
    frame = FlacEncoder(RATE, 1).encode(np.zeros(65_535, np.int16))
    assert len(frame) < 20
    frames = [Sample(frame, 1, True)] * (BLOCK // 64)
    rebuild = check_sound(ALAW_FACTS, False)
    assert rebuild is not None
    rebuild.take(memoryview(write_fragment(1, 2, 0, frames)))
    assert "longer than any fragment" in rebuild.finish().wrong[0]


def test_a_stream_is_not_blamed_for_one_whose_name_begins_alike(tmp_path: Path) -> None:
    streams = [make_stream("cam-1"), make_stream("cam-10")]
    make_package(tmp_path / "bag", streams, make_session(streams))
    path = next((tmp_path / "bag/data/media/cam-10").iterdir())
    path.write_bytes(path.read_bytes()[:-1])
    told = json.loads(report_json(verified(tmp_path / "bag")))
    assert [s["verdict"] for s in told["streams"]] == ["consistent", "not_authentic"]

"""A film with a watermark: every picture at its time, its sound untouched, both together."""

import resource
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from support.stored import Decoded, decode, ffmpeg_words

from bidwitness.errors import Conflict, DamageFound, StorageFull
from bidwitness.player.burning import BurnOrder, burn_in, make_stencil
from bidwitness.simulator.bars import draw_bars, read_bars
from bidwitness.simulator.signals import draw_flash, find_beeps, is_flash, make_sound

WIDTH, HEIGHT, RATE, FPS = 320, 180, 16_000, 25
SECONDS = 4
MARK, CAPTION = (
    "王监督 住建局 10.0.0.7  2026-11-23 20:00:00  abc",
    ("水印复制件 abc   场次 s1", "王监督"),
)
# A hole in the picture after so many: its distance has to stay.
HOLE_AT, HOLE_TICKS = 60, 37 * 3600


def a_film(path: Path, frames: int = SECONDS * FPS, b_frames: int = 2) -> Path:
    """Write a film with bar codes, flashes and beeps, with a hole, in two coders' own times."""
    with av.open(str(path), "w", format="mp4") as out:
        picture = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast"})
        picture.width, picture.height, picture.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        picture.codec_context.time_base = Fraction(1, 90_000)
        picture.codec_context.max_b_frames = b_frames
        sound = out.add_stream("flac", rate=RATE, layout="mono")
        samples = make_sound(RATE, 3)[: RATE * SECONDS]
        for number in range(frames):
            plane = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
            draw_bars(plane[:HEIGHT], number)
            draw_flash(plane[:HEIGHT], number)
            frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
            frame.pts = number * 3600 + (HOLE_TICKS if number >= HOLE_AT else 0)
            frame.time_base = Fraction(1, 90_000)
            out.mux(picture.encode(frame))
            block = samples[number * RATE // FPS : (number + 1) * RATE // FPS]
            heard = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
            heard.sample_rate, heard.pts = RATE, number * RATE // FPS
            out.mux(sound.encode(heard))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))
    return path


def burned(source: Path, mark: str = MARK) -> Path:
    target = source.with_name(f"marked-{len(mark)}.mp4")
    burn_in(BurnOrder(str(source), str(target), mark, CAPTION), lambda done: None)
    return target


def sound_of(path: Path) -> list[tuple[int, bytes]]:
    with av.open(str(path)) as film:
        stream = film.streams.audio[0]
        return [
            (round(p.pts * p.time_base * RATE), bytes(p))
            for p in film.demux(stream)
            if p.pts is not None and p.time_base is not None
        ]


def numbers(seen: Decoded) -> list[int | None]:
    return [read_bars(image[:HEIGHT]) for _, image in seen.pictures]


def offsets_us(seen: Decoded) -> list[int]:
    """Give for each flash how much later its beep is heard."""
    flashes = [
        at
        for (_, before), (at, image) in pairwise(seen.pictures)
        if is_flash(image[:HEIGHT]) and not is_flash(before[:HEIGHT])
    ]
    samples = seen.samples
    if samples.dtype != np.int16:
        samples = (samples / 65536).astype(np.int16)
    beeps = [index * 1_000_000 // RATE for index in find_beeps(samples, RATE)]
    return [min((beep - flash for beep in beeps), key=abs) for flash in flashes]


def test_every_picture_keeps_its_number_and_its_time(tmp_path: Path) -> None:
    source = a_film(tmp_path / "plain.mp4")
    before, after = decode(source.read_bytes()), decode(burned(source).read_bytes())
    assert numbers(before) == list(range(SECONDS * FPS))
    assert numbers(after) == numbers(before)
    assert [at for at, _ in after.pictures] == [at for at, _ in before.pictures]
    assert max(b - a for (a, _), (b, _) in pairwise(after.pictures)) == 38 * 40_000


def test_sound_is_as_it_was_and_in_step(tmp_path: Path) -> None:
    source = a_film(tmp_path / "plain.mp4")
    target = burned(source)
    assert len(sound_of(source)) > 10
    assert sound_of(target) == sound_of(source)
    before, after = decode(source.read_bytes()), decode(target.read_bytes())
    assert offsets_us(after) == offsets_us(before)
    # Before the hole flash and beep come together.
    assert abs(offsets_us(after)[0]) < 20_000


def test_it_says_whose_it_is(tmp_path: Path) -> None:
    source = a_film(tmp_path / "plain.mp4", frames=10)
    plain = decode(source.read_bytes()).pictures[5][1]
    one = decode(burned(source).read_bytes()).pictures[5][1]
    other = decode(burned(source, "somebody else").read_bytes()).pictures[5][1]
    assert plain.shape == (HEIGHT, WIDTH)
    assert one.shape[0] > HEIGHT and one.shape[0] % 2 == 0
    # Faint, all over, and another one for another person.
    changed = np.abs(one[:HEIGHT].astype(int) - plain.astype(int)) > 8
    assert 0.01 < changed.mean() < 0.5
    for rows in np.array_split(changed, 3):
        assert rows.any()
    assert (np.abs(one[:HEIGHT].astype(int) - other[:HEIGHT].astype(int)) > 8).mean() > 0.005
    # The caption can be read: light on dark, below the picture.
    band = one[HEIGHT:]
    assert band.max() > 180 and np.median(band) < 40


def test_a_plain_player_takes_it(tmp_path: Path) -> None:
    assert ffmpeg_words(burned(a_film(tmp_path / "plain.mp4", frames=50)).read_bytes()) == ""


def test_what_is_no_film_is_said_to_be_none(tmp_path: Path) -> None:
    source = tmp_path / "plain.mp4"
    source.write_bytes(b"no film" * 1000)
    with pytest.raises(DamageFound, match="cannot be decoded"):
        burned(source)
    assert [path.name for path in tmp_path.iterdir()] == ["plain.mp4"]


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    source = a_film(tmp_path / "plain.mp4")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What the child writes ends there as it would on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StorageFull):
            burned(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["plain.mp4"]


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    """Whoever hears of the progress may end it: the process is gone when that comes out."""
    source = a_film(tmp_path / "plain.mp4")
    heard: list[int] = []

    def stop(done: int) -> None:
        heard.append(done)
        raise Conflict("cancelled")

    begun = time.monotonic()
    with pytest.raises(Conflict, match="cancelled"):
        burn_in(BurnOrder(str(source), str(tmp_path / "out.mp4"), MARK, CAPTION), stop)
    assert heard == [50]
    assert time.monotonic() - begun < 20


def test_a_stencil_leaves_alone_what_it_does_not_cover() -> None:
    stencil = make_stencil(64, 48, "mark", ("caption",))
    picture = np.random.default_rng(1).integers(16, 235, (72, 64), dtype=np.uint8)
    marked = stencil.lay_over(picture.copy())
    assert marked.shape == ((48 + stencil.band) * 3 // 2, 64)
    untouched = np.ones(picture.size, bool)
    untouched[stencil.where] = False
    flat = marked.reshape(-1)
    luma = flat[: 48 * 64]
    assert (luma == picture.reshape(-1)[: 48 * 64])[untouched[: 48 * 64]].all()
    assert untouched[: 48 * 64].mean() > 0.3

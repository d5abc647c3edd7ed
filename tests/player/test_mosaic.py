"""All cameras in one film: each tile at its instant, by the clock, with notices, sound and a mark."""

import io
import json
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import picture_number
from support.films import Cinema, a_cinema
from support.places import a_claim
from support.viewing import SECOND, Scene

from bidwitness.errors import Conflict, InvalidInput
from bidwitness.player.mosaic import TICK_US, grid_of
from bidwitness.player.mosaics import tiled
from bidwitness.storage.index.database import Database
from bidwitness.words import Medium


@pytest.fixture
def cinema(sqlite_index: Database, tmp_path: Path) -> Cinema:
    return a_cinema(sqlite_index, tmp_path, cameras=2)


def two_cameras(scene: Scene) -> str:
    """The first begins at once and has a hole from 1 s to 2 s, the second begins at 1 s."""
    one, two = scene.reel(0), scene.reel(1, sound=False)
    one.segments(1)
    one.skip(1)
    one.segments(2)
    two.skip(1)
    two.segments(3)
    session = scene.session(0, 4)
    scene.clock.advance(60 * SECOND)
    return session


def test_each_tile_at_its_instant(cinema: Cinema) -> None:
    session = two_cameras(cinema.scene)
    target = cinema.folder / "out.zip"
    told: list[tuple[int, int]] = []
    maker = cinema.mosaic(session, on_pictures=lambda *done: told.append(done))
    maker.make(cinema.share(session), target)
    with zipfile.ZipFile(target) as bag:
        record = json.loads(bag.read("mosaic.json"))
        film = bag.read("mosaic.mp4")
        assert {"timeline.csv", "timeline.json", "README.txt"} < set(bag.namelist())
    assert told[0] == (0, 50) and told[-1] == (50, 50)
    assert record["pictures"] == 50 and "王审计" in record["mark"]
    grid = grid_of(2)
    with av.open(io.BytesIO(film)) as container:
        shown = [
            (round(Fraction(f.pts) * f.time_base * SECOND), f.to_ndarray(format="gray8"))
            for f in container.decode(video=0)
            if f.pts is not None and f.time_base is not None
        ]
    assert [at for at, _ in shown] == [n * TICK_US for n in range(50)]
    for at, image in shown:
        for place, holes in enumerate([[(1, 2)], [(0, 1)]]):
            x, y = grid.corner(place)
            tile = image[y : y + grid.height, x : x + grid.width]
            if any(start * SECOND <= at < end * SECOND for start, end in holes):
                assert tile.mean() < 90
            else:
                assert picture_number(tile) == at // 40_000, (at, place)
    # The clock moves each second, above all tiles.
    bars = [image[:40] for _, image in shown]
    assert (np.abs(bars[12].astype(int) - bars[0]) > 60).sum() == 0
    assert (np.abs(bars[13].astype(int) - bars[0]) > 60).sum() > 10
    with av.open(io.BytesIO(film)) as container:
        sound = np.concatenate([f.to_ndarray().reshape(-1) for f in container.decode(audio=0)])
    loud = [np.abs(sound[n * 48_000 + 9_600 : (n + 1) * 48_000 - 9_600]).max() for n in range(3)]
    assert [level > 0.05 for level in loud] == [True, False, True]


def test_ended_on_the_way_it_leaves_nothing(cinema: Cinema) -> None:
    session = two_cameras(cinema.scene)

    def stop(done: int, total: int) -> None:
        if done:
            raise Conflict("cancelled")

    with pytest.raises(Conflict):
        cinema.mosaic(session, on_pictures=stop).make(
            cinema.share(session), cinema.folder / "out.zip"
        )
    assert cinema.left() == []


def test_what_cannot_be_one_is_said(cinema: Cinema) -> None:
    session = two_cameras(cinema.scene)
    with pytest.raises(InvalidInput) as error:
        tiled(cinema.share(session, (Medium.SOUND,)), None)
    assert set(error.value.fields) == {"form"}
    with pytest.raises(InvalidInput) as error:
        tiled(cinema.share(session), "another")
    assert set(error.value.fields) == {"sound"}


def test_grids_are_even_and_hold_all() -> None:
    for count in range(1, 17):
        grid = grid_of(count)
        assert grid.columns * grid.rows >= count > grid.columns * (grid.rows - 1)
        assert grid.width % 4 == 0 and grid.height % 2 == 0 and grid.size[0] <= 1920


def test_a_camera_without_footage_has_a_tile_that_says_so(cinema: Cinema) -> None:
    scene = cinema.scene
    scene.reel(0, sound=False).segments(1)
    session = scene.session(0, 1)
    scene.clock.advance(60 * SECOND)
    target = cinema.folder / "out.zip"
    cinema.mosaic(session).make(cinema.share(session), target)
    with zipfile.ZipFile(target) as bag, av.open(io.BytesIO(bag.read("mosaic.mp4"))) as film:
        assert [stream.type for stream in film.streams if stream.type != "data"] == ["video"]
        image = next(film.decode(video=0)).to_ndarray(format="gray8")
    grid = grid_of(2)
    x, y = grid.corner(1)
    tile = image[y : y + grid.height, x : x + grid.width]
    assert tile.mean() < 90 and (tile > 180).sum() > 200


def test_a_camera_of_which_the_copy_has_less_time_does_not_stand_still(cinema: Cinema) -> None:
    scene = cinema.scene
    for number in range(2):
        scene.reel(number, sound=False).segments(2)
    session = scene.session(0, 2, streams=[scene.streams[0]])
    a_claim(scene.index, session, scene.streams[1], scene.start, scene.at(1))
    scene.clock.advance(60 * SECOND)
    target = cinema.folder / "out.zip"
    cinema.mosaic(session).make(cinema.share(session), target)
    with zipfile.ZipFile(target) as bag, av.open(io.BytesIO(bag.read("mosaic.mp4"))) as film:
        images = [frame.to_ndarray(format="gray8") for frame in film.decode(video=0)]
    grid = grid_of(2)
    x, y = grid.corner(1)
    tiles = [image[y : y + grid.height, x : x + grid.width] for image in images]
    assert picture_number(tiles[12]) == 24
    assert tiles[13].mean() < 90 and (tiles[13] > 180).sum() > 200

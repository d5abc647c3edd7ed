"""What a loop is encoded from: equal recipes give the same loop. Values only."""

from dataclasses import dataclass

from bidwitness.simulator.spec import FPS, CameraSpec, Codec, Sound
from bidwitness.words import StreamRole


@dataclass(frozen=True, slots=True)
class PictureRecipe:
    """All that the bytes of a picture loop depend on."""

    title: str
    codec: Codec
    width: int
    height: int
    bitrate: int
    gop_frames: int
    b_frames: int
    declared_fps: int = FPS


@dataclass(frozen=True, slots=True)
class SoundRecipe:
    """All that the bytes of a sound loop depend on."""

    title: str
    sound: Sound


Recipe = PictureRecipe | SoundRecipe

_UNSEEN_SIZE, _UNSEEN_RATE = (320, 192), 50_000


def picture_recipe(spec: CameraSpec, role: StreamRole) -> PictureRecipe:
    """Give what a stream's picture is encoded from.

    Of a camera with sound alone it is a small one that nobody is sent: it only keeps the time.
    """
    if spec.sound_only:
        return PictureRecipe("", Codec.H264, *_UNSEEN_SIZE, _UNSEEN_RATE, FPS, b_frames=0)
    width, height = spec.size(role)
    return PictureRecipe(
        title=spec.title or spec.name,
        codec=spec.codec,
        width=width,
        height=height,
        bitrate=spec.rate(role),
        gop_frames=spec.gop_seconds * FPS,
        b_frames=spec.b_frames,
        declared_fps=spec.declared_fps,
    )


def sound_recipe(spec: CameraSpec, role: StreamRole) -> SoundRecipe | None:
    """Give what a stream's sound is encoded from, if it has any."""
    sound = spec.sound_of(role)
    return None if sound is Sound.NONE else SoundRecipe(spec.title or spec.name, sound)

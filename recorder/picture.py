"""A picture's packets as samples of a file, and what the file's init says of them. Pure."""

from bidwitness.errors import CameraError, DamageFound
from bidwitness.recorder.packets import Packet, SourceTrack
from bidwitness.storage.media.init import TrackSpec
from bidwitness.storage.media.nal import kind_of_set, parse_access_unit, picture_config, says_size
from bidwitness.words import Medium

# How a picture's samples are called in a file, by libav's name of its codec.
ENTRIES = {"h264": "avc1", "hevc": "hev1", "mjpeg": "mp4v"}
# A camera that joins us in the middle may show its parameters a little later than a key frame.
_PATIENCE = 4


class PictureLane:
    """One connection's picture.

    ``is_new``: it has shown parameters that the last description does not hold. A picture is
    described anew at the next key frame only: until there, nothing is decoded by them.
    """

    def __init__(self, track: SourceTrack) -> None:
        self.codec = track.codec
        self.rate = track.rate
        self.is_new = True
        self._sets = parse_access_unit(track.extradata, track.codec).sets
        self._lead: list[bytes] = []
        self._undescribed = 0

    @property
    def intra(self) -> bool:
        """Say whether each picture is a key frame, so that one is nothing to cut at."""
        return self.codec == "mjpeg"

    def take(self, packet: Packet) -> bytes | None:
        """Give a picture as a sample; None for what belongs to the one that follows.

        Parameter sets that are sent as a packet of their own do.
        """
        unit = parse_access_unit(packet.data, self.codec)
        if unit.sets:
            self._note(unit.sets)
        if not unit.picture:
            self._lead.append(unit.body)
            return None
        body = b"".join((*self._lead, unit.body)) if self._lead else unit.body
        self._lead.clear()
        return body

    def _note(self, sets: tuple[bytes, ...]) -> None:
        known = self._sets
        if sets == known:
            return
        # A set of how single pictures are coded may come anew at any time, and stays in band.
        if any(nal not in known and says_size(nal, self.codec) for nal in sets):
            self.is_new = True
        kinds = {kind_of_set(nal, self.codec) for nal in sets}
        kept = tuple(nal for nal in known if kind_of_set(nal, self.codec) not in kinds)
        self._sets = (*kept, *sets)

    def describe(self, track: int) -> TrackSpec | None:
        """Give what an init says of the picture from this key frame on.

        None while it has not shown its parameters. Raises ``CameraError`` if it does not do so
        at all, or if they are broken.
        """
        try:
            config = picture_config(self._sets, self.codec)
        except DamageFound as error:
            self._undescribed += 1
            if self._undescribed < _PATIENCE:
                return None
            raise CameraError(
                f"The camera's picture cannot be kept: {error.detail} Let the camera send them "
                "with each key frame (newer firmware does)."
            ) from None
        self.is_new = False
        return TrackSpec(
            *(track, Medium.PICTURE, ENTRIES[self.codec], self.rate, config.record),
            *(config.width, config.height),
        )

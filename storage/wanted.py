"""What the recorder is to pull, as values. Its worker processes live on these alone: they import no
database (``wanted_index`` reads the values from it)."""

from dataclasses import dataclass, field, replace

from bidwitness.addresses import CameraAddress, parse_camera_address
from bidwitness.errors import DamageFound, InvalidInput
from bidwitness.secrets import SecretBox
from bidwitness.words import StreamRole


@dataclass(frozen=True, slots=True)
class WantedStream:
    """One stream to pull, all the time.

    ``secret`` is the camera's password as ``bidwitness.secrets`` sealed it about
    ``secret_about``; it is opened only to dial. ``record_sound``: sound is recorded once per
    camera, from main. ``cuts``: instants (µs UTC) after each of which a segment is to end at the
    next key frame, because a session starts or ends there.
    """

    stream_id: str
    camera_id: str
    camera: str
    room_id: str
    room: str
    role: StreamRole
    address: str
    username: str | None
    secret: bytes | None = field(repr=False)
    record_sound: bool
    cuts: tuple[int, ...] = ()
    # Frames a second that the camera says of the profile, if it was found by ONVIF.
    declared_fps: int | None = None
    # What somebody has allowed to do with this camera.
    basic_in_clear: bool = False
    unproven_certificate: bool = False
    # Times (from, to; µs UTC) in which it is not pulled, because its room is classified then. Those
    # over for a day are among them: a recorder that was down must know why nothing was due.
    classified: tuple[tuple[int, int], ...] = ()
    # A session has it now or is about to: it is recorded when there is no room for others.
    in_session: bool = False

    def classified_until(self, at_us: int) -> int | None:
        """Give until when (µs UTC) it must not be pulled, if that is so at an instant."""
        return max((end for start, end in self.classified if start <= at_us < end), default=None)

    def dials_as(self, other: "WantedStream") -> bool:
        """Say whether both are pulled by the same connection."""
        plain = {"cuts": (), "classified": (), "in_session": False}
        return replace(self, **plain) == replace(other, **plain)  # type: ignore[arg-type]  # names of fields

    @property
    def secret_about(self) -> str:
        return about_camera(self.camera_id)


def about_camera(camera_id: str) -> str:
    """What a camera's sealed password is bound to."""
    return f"camera:{camera_id}"


def camera_address(wanted: WantedStream, secrets: SecretBox) -> CameraAddress:
    """Give a stream's address with its camera's user name and password in it.

    Raises ``DamageFound`` if the password cannot be decrypted or the address is not one that
    could have been stored, ``ConfigError`` if the key file is missing or open to others.
    """
    sealed = wanted.secret
    password = secrets.open(sealed, wanted.secret_about) if sealed is not None else ""
    try:
        address = parse_camera_address(wanted.address).with_login(wanted.username or "", password)
        return address.allowing(
            basic_in_clear=wanted.basic_in_clear,
            unproven_certificate=wanted.unproven_certificate,
        )
    except InvalidInput as error:
        raise DamageFound(
            f"Stream {wanted.stream_id} has no usable address: {error.detail}"
        ) from error

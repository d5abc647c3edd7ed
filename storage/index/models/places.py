"""Sites, rooms, seats, cameras and what we pull from them."""

from sqlalchemy import LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bidwitness.storage.index.models.base import (
    Base,
    Id,
    Json,
    Long,
    Text_,
    Us,
    ref,
    word,
    word_type,
)
from bidwitness.words import GapCause as Cause
from bidwitness.words import Health, Medium, RecordMode, RoomKind, StreamRole


class Site(Base):
    """A trading centre's place of business; it has one ledger."""

    __tablename__ = "sites"
    id: Mapped[Id]
    code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[Text_]


class Room(Base):
    __tablename__ = "rooms"
    __table_args__ = (UniqueConstraint("site_id", "name"),)
    id: Mapped[Id]
    site_id: Mapped[str] = ref("sites")
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[RoomKind] = word(RoomKind)
    cameras: Mapped[list["Camera"]] = relationship(back_populates="room")


class LinkedPlace(Base):
    """``place_id`` (entrance, lockers, bid transport) is recorded for sessions of ``room_id``."""

    __tablename__ = "linked_places"
    room_id: Mapped[str] = ref("rooms", primary_key=True, index=False)
    place_id: Mapped[str] = ref("rooms", primary_key=True)


class Seat(Base):
    __tablename__ = "seats"
    __table_args__ = (UniqueConstraint("room_id", "name"),)
    id: Mapped[Id]
    room_id: Mapped[str] = ref("rooms")
    name: Mapped[str] = mapped_column(String(120))


class Camera(Base):
    """A device, ONVIF or a bare address. ``secret`` holds the encrypted password.

    ``basic_in_clear`` and ``unproven_certificate``: what is refused unless somebody allows it.
    """

    __tablename__ = "cameras"
    __table_args__ = (UniqueConstraint("room_id", "name"),)
    id: Mapped[Id]
    room_id: Mapped[str] = ref("rooms")
    name: Mapped[str] = mapped_column(String(120))
    onvif_address: Mapped[Text_ | None]
    username: Mapped[str | None] = mapped_column(String(200))
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    basic_in_clear: Mapped[bool] = mapped_column(default=False)
    unproven_certificate: Mapped[bool] = mapped_column(default=False)
    # ``session`` is an exception, which has a reason.
    mode: Mapped[RecordMode] = mapped_column(word_type(RecordMode), default=RecordMode.CONTINUOUS)
    mode_reason: Mapped[Text_ | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    created_us: Mapped[Us]
    removed_us: Mapped[Us | None]
    room: Mapped[Room] = relationship(back_populates="cameras")
    streams: Mapped[list["Stream"]] = relationship(back_populates="camera")


class Profile(Base):
    """An ONVIF media profile as the device last described it."""

    __tablename__ = "profiles"
    __table_args__ = (UniqueConstraint("camera_id", "token"),)
    id: Mapped[Id]
    camera_id: Mapped[str] = ref("cameras")
    token: Mapped[str] = mapped_column(String(200))
    name: Mapped[Text_]
    codec: Mapped[str | None] = mapped_column(String(32))
    width: Mapped[int | None]
    height: Mapped[int | None]
    fps: Mapped[int | None]


class Stream(Base):
    """A profile we pull: one RTSP address, without user name and password."""

    __tablename__ = "streams"
    __table_args__ = (UniqueConstraint("camera_id", "role"),)
    id: Mapped[Id]
    camera_id: Mapped[str] = ref("cameras")
    seat_id: Mapped[str | None] = ref("seats")
    profile_id: Mapped[str | None] = ref("profiles", index=False)
    role: Mapped[StreamRole] = word(StreamRole)
    address: Mapped[Long]
    enabled: Mapped[bool] = mapped_column(default=True)
    camera: Mapped[Camera] = relationship(back_populates="streams")
    tracks: Mapped[list["Track"]] = relationship(back_populates="stream")


class Track(Base):
    """One medium of a stream, as last seen. ``codec`` is the RFC 6381 string of the stored bytes."""

    __tablename__ = "tracks"
    stream_id: Mapped[str] = ref("streams", primary_key=True, index=False)
    medium: Mapped[Medium] = mapped_column(word_type(Medium), primary_key=True)
    codec: Mapped[str] = mapped_column(String(64))
    source_codec: Mapped[str] = mapped_column(String(32))
    width: Mapped[int | None]
    height: Mapped[int | None]
    stream: Mapped[Stream] = relationship(back_populates="tracks")


class StreamStatus(Base):
    """What the recorder last said of a stream. Connected is not recording: see ``last_us``."""

    __tablename__ = "stream_status"
    stream_id: Mapped[str] = ref("streams", primary_key=True, index=False)
    recorder: Mapped[str] = mapped_column(String(64))
    state: Mapped[Health] = word(Health)
    cause: Mapped[Cause | None] = word(Cause)
    since_us: Mapped[Us]
    # End of the last finished, playable fragment on disk.
    last_us: Mapped[Us | None]
    # Frames in a hundred seconds, and kilobits a second.
    centi_fps: Mapped[int | None]
    kbps: Mapped[int | None]
    # The longest of the last distances of key frames; hundredths of dBFS; camera minus recorder.
    gop_ms: Mapped[int | None]
    centi_dbfs: Mapped[int | None]
    clock_us: Mapped[Us | None]
    # RTP packets lost of a million in the last minute; the jitter of the picture's.
    loss_ppm: Mapped[int | None]
    jitter_us: Mapped[int | None]
    # StreamFault → whether it is there; what is not known is left out.
    verdicts: Mapped[Json | None]
    message: Mapped[Text_ | None]
    at_us: Mapped[Us]

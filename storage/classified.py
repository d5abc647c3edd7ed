"""Where nothing may be dialled: rooms that are classified (涉密) now, and the cameras in them."""

from sqlalchemy import select
from sqlalchemy.orm import Session as Orm

from bidwitness.storage.index.models import Camera, ClassifiedInterval, Stream


def classified_rooms(orm: Orm, from_us: int, to_us: int) -> set[str]:
    """Give the rooms with an approved classified interval that overlaps a time (µs UTC)."""
    query = select(ClassifiedInterval.room_id).where(
        ClassifiedInterval.to_us > from_us,
        ClassifiedInterval.from_us < to_us,
        ClassifiedInterval.from_us < ClassifiedInterval.to_us,
    )
    return set(orm.scalars(query))


def addresses_in(orm: Orm, rooms: set[str]) -> list[str]:
    """Give every address known of the rooms' cameras, of those switched off and removed too: they
    may still hang there."""
    streams = (
        select(Stream.address)
        .join(Camera, Camera.id == Stream.camera_id)
        .where(Camera.room_id.in_(rooms))
    )
    devices = select(Camera.onvif_address).where(
        Camera.room_id.in_(rooms), Camera.onvif_address.is_not(None)
    )
    return [*orm.scalars(streams), *(each for each in orm.scalars(devices) if each)]

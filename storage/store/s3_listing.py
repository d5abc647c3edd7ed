"""A bucket's versions and delete markers, one page of the server's own at a time."""

from datetime import UTC, datetime, timedelta

from minio import Minio
from minio.datatypes import Object, parse_list_objects

from bidwitness.errors import StoreError
from bidwitness.storage.store.base import Listed, Page, Place

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST = 1000


def page_of(client: Minio, bucket: str, prefix: str, after: Place | None, limit: int) -> Page:
    """Ask for the next page behind ``after``. Raises what the client raises, and ``StoreError`` if
    the server would go round in a circle."""
    query: dict[str, str | list[str] | tuple[str]] = {
        "versions": "",
        "delimiter": "",
        "encoding-type": "url",
        "max-keys": str(min(limit, _MOST)),
        "prefix": prefix,
    }
    if after is not None:
        query["key-marker"] = after.key
        if after.version:
            query["version-id-marker"] = after.version
    # The client's own listing cannot be resumed: it tells neither where a page ends nor what comes next.
    response = client._execute("GET", bucket, query_params=query)
    entries, truncated, key, version = parse_list_objects(response)
    listed = sorted((_listed(entry) for entry in entries if _counts(entry)), key=lambda v: v.key)
    if not truncated:
        return Page(tuple(listed), None)
    more = Place(key or "", version or "")
    if not more.key or more == after:
        raise StoreError("The store's listing of versions does not come to an end.")
    return Page(tuple(listed), more)


def drop_unfinished(client: Minio, bucket: str, begun_before_us: int) -> int:
    """End up to a thousand uploads in parts that were begun before then (µs UTC) and never
    finished; give how many. They are no versions: nobody can read them, and they cost their room.
    """
    dropped = 0
    for item in client._list_multipart_uploads(bucket, encoding_type="url").uploads:
        begun = _microseconds(item.initiated_time)
        if begun is not None and begun < begun_before_us:
            client._abort_multipart_upload(bucket, item.object_name, str(item.upload_id))
            dropped += 1
    return dropped


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else (at.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _counts(entry: Object) -> bool:
    return bool(entry.object_name) and not entry.is_dir


def _listed(entry: Object) -> Listed:
    return Listed(
        key=str(entry.object_name),
        version=entry.version_id or "null",
        size=entry.size or 0,
        marker=entry.is_delete_marker,
        newest=str(entry.is_latest).lower() == "true",
        changed_us=_microseconds(entry.last_modified),
    )

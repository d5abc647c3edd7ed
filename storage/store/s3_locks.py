"""Object Lock through the ``minio`` client: what a version's lock is, and changes to it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from minio import Minio
from minio.commonconfig import COMPLIANCE
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.retention import Retention

from bidwitness.errors import StoreError
from bidwitness.locking import Lock
from bidwitness.words import LockLevel

_MODE = "x-amz-object-lock-mode"
_UNTIL = "x-amz-object-lock-retain-until-date"
_HOLD = "x-amz-object-lock-legal-hold"
_NO_LOCKS = {
    "ObjectLockConfigurationNotFoundError",
    "NoSuchObjectLockConfiguration",
    "NotImplemented",
    "MethodNotAllowed",
    "InvalidRequest",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def retention_until(until_us: int) -> Retention:
    """Give a COMPLIANCE retention to the next whole second: servers drop what is below."""
    seconds = -(-until_us // 1_000_000)
    return Retention(COMPLIANCE, _EPOCH + timedelta(seconds=seconds))


class S3Locks:
    """The locks of one bucket. Raises what the client raises: ``S3Store`` puts it into words."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def level(self) -> LockLevel:
        """Say whether the bucket was made with Object Lock: it cannot be given it later."""
        try:
            self._client.get_object_lock_config(self._bucket)
        except S3Error as error:
            if error.code in _NO_LOCKS:
                return LockLevel.NONE
            raise
        return LockLevel.STORE

    def read(self, key: str, version: str) -> Lock:
        """Give a version's lock as it is told with the object. GOVERNANCE counts as none."""
        said = self._client.stat_object(self._bucket, key, version_id=version).metadata or {}
        until = said.get(_UNTIL)
        firm = str(said.get(_MODE, "")).upper() == COMPLIANCE
        return Lock(
            _microseconds(str(until)) if until and firm else None,
            str(said.get(_HOLD, "")).upper() == "ON",
        )

    def retain(self, key: str, version: str, until_us: int) -> None:
        wanted = retention_until(until_us)
        self._client.set_object_retention(self._bucket, key, wanted, version_id=version)

    def hold(self, key: str, version: str) -> None:
        self._client.enable_object_legal_hold(self._bucket, key, version_id=version)

    def release(self, key: str, version: str) -> None:
        self._client.disable_object_legal_hold(self._bucket, key, version_id=version)


class S3Attacks:
    """Asks the server itself for what it must refuse, with the rights of our own keys."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def delete(self, key: str, version: str) -> None:
        with suppress(S3Error):
            self._client.remove_object(self._bucket, key, version_id=version)

    def shorten(self, key: str, version: str, until_us: int) -> None:
        with suppress(S3Error):
            wanted = retention_until(until_us)
            self._client.set_object_retention(self._bucket, key, wanted, version_id=version)

    def bypass(self, key: str, version: str) -> None:
        self._delete_many([(key, version)], bypass=True)

    def delete_many(self, versions: Sequence[tuple[str, str]]) -> None:
        self._delete_many(versions, bypass=False)

    def _delete_many(self, versions: Sequence[tuple[str, str]], *, bypass: bool) -> None:
        with suppress(S3Error):
            # The client sends nothing until what was refused is asked for.
            for _ in self._client.remove_objects(
                self._bucket,
                [DeleteObject(key, version) for key, version in versions],
                bypass_governance_mode=bypass,
            ):
                continue


def _microseconds(text: str) -> int:
    try:
        until = datetime.fromisoformat(text)
    except ValueError:
        raise StoreError("The store told a retention date that is none.") from None
    return (until.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)

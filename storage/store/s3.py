"""The store in a versioned bucket of any S3 server, by the ``minio`` client.

Each put is proved by reading the new version back and hashing it: an ETag or a label says what
was meant, not what is there. That doubles the traffic to the store; evidence is worth it.
"""

import io
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, BinaryIO
from xml.etree.ElementTree import ParseError

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED
from minio.error import MinioException, S3Error
from minio.versioningconfig import VersioningConfig
from urllib3.exceptions import HTTPError

from bidwitness.clock import Clock, SystemClock
from bidwitness.errors import (
    BidWitnessError,
    Conflict,
    InvalidInput,
    NotFound,
    StorageFull,
    StoreError,
)
from bidwitness.locking import UNLOCKED, Lock
from bidwitness.storage.store.base import (
    CHUNK,
    Attacks,
    Found,
    Page,
    Place,
    Source,
    StoredVersion,
    brought_up,
    check_key,
    chunks_of,
    digest_of,
    locked_error,
    opened,
    shortening_error,
    source_damaged,
)
from bidwitness.storage.store.s3_listing import drop_unfinished, page_of
from bidwitness.storage.store.s3_locks import S3Attacks, S3Locks, retention_until
from bidwitness.words import LockLevel

if TYPE_CHECKING:
    from minio.datatypes import Object
    from urllib3.response import BaseHTTPResponse

# A segment of a minute is one request; larger objects go in parts of this size, one after another.
PART_BYTES = 32 << 20
CONNECT_S, READ_S = 5, 30
# No upload of a segment takes so long.
UNFINISHED_US = 86_400_000_000
LABEL = "x-amz-meta-sha256"

_ABSENT = {"NoSuchKey", "NoSuchVersion", "NotFound"}
_FULL = {"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "EntityTooLarge"}
_PERMANENT = {
    "AccessDenied": "the key may not do this (or the object is locked)",
    "InvalidAccessKeyId": "BIDWITNESS_S3_ACCESS_KEY is not known to it",
    "SignatureDoesNotMatch": "BIDWITNESS_S3_SECRET_KEY is wrong",
    # A lock in a bucket that has none, among others.
    "InvalidRequest": "it does not take what it was asked for",
    "InvalidArgument": "it does not take what it was asked for",
    "NoSuchBucket": "there is no such bucket",
    "InvalidBucketName": "the bucket's name is not allowed",
    "MethodNotAllowed": "it does not offer this",
    "NotImplemented": "it does not offer this",
    "AuthorizationHeaderMalformed": "the region in BIDWITNESS_STORE is wrong",
    "RequestTimeTooSkewed": "its clock and ours differ",
}


def client_for(endpoint: str, *, secure: bool, region: str, access: str, secret: str) -> Minio:
    """Give a client that gives up soon and never retries: ``Retrying`` does. Connects at first use."""
    return Minio(
        endpoint,
        access_key=access,
        secret_key=secret,
        secure=secure,
        region=region,
        http_client=urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S), retries=False, maxsize=8
        ),
    )


class S3Store:
    """Keeps objects in one bucket. ``host`` is how messages name the server."""

    def __init__(self, client: Minio, bucket: str, host: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._client = client
        self._bucket = bucket
        self._host = host
        self._locks = S3Locks(client, bucket)

    def prepare(self) -> None:
        """Make the bucket, with Object Lock where the server can, and see that it keeps versions;
        drop what crashes of long ago left unfinished."""
        with self._errors("use"):
            if not self._client.bucket_exists(self._bucket):
                self._make_bucket()
            if self._client.get_bucket_versioning(self._bucket).status != ENABLED:
                self._client.set_bucket_versioning(self._bucket, VersioningConfig(ENABLED))
            drop_unfinished(self._client, self._bucket, self._clock.utc_us() - UNFINISHED_US)

    def put(
        self,
        key: str,
        source: Source,
        sha256: bytes,
        *,
        expect_absent: bool = True,
        lock: Lock = UNLOCKED,
    ) -> StoredVersion:
        """See ``Store.put``."""
        check_key(key)
        with opened(source) as file:
            digest, size = digest_of(chunks_of(file))
        if digest != sha256:
            raise source_damaged(key)
        with self._errors(f"keep {key} in"):
            present = self._latest(key)
            if present is not None and self._holds(present, sha256, size):
                brought_up(self, key, present.version, lock)
                return StoredVersion(key, present.version, size, sha256)
            # One that was meant to be this and is damaged (and perhaps locked) is not in the way.
            if present is not None and expect_absent and present.said_sha256 != sha256:
                raise Conflict(f"The store already holds other bytes as {key}.")
            with opened(source) as file:
                version = self._send(key, file, size, sha256, lock)
            made = Found(key, version, size, sha256)
            if not self._holds(made, sha256, size):
                S3Attacks(self._client, self._bucket).delete(key, version)
                raise StoreError(f"The store {self._host} gave back other bytes for {key}.")
            if lock != UNLOCKED and not self._locks.read(key, version).covers(lock):
                raise StoreError(f"The store {self._host} did not lock {key} as it was told to.")
            return StoredVersion(key, version, size, sha256)

    def read(self, key: str, version: str, offset: int = 0, length: int | None = None) -> bytes:
        """See ``Store.read``."""
        check_key(key)
        if length == 0:
            return b""
        with self._errors(f"read {key} from"):
            response = self._get(key, version, offset, length or 0)
            if response is None:
                return b""
            with _released(response):
                return bytes(response.read())

    def stream(self, key: str, version: str, offset: int = 0) -> Iterator[bytes]:
        """See ``Store.stream``."""
        check_key(key)
        with self._errors(f"read {key} from"):
            response = self._get(key, version, offset, 0)
            if response is not None:
                with _released(response):
                    yield from response.stream(CHUNK)

    def stat(self, key: str, version: str | None = None) -> Found:
        """See ``Store.stat``."""
        check_key(key)
        with self._errors(f"look up {key} in"):
            return _described(
                key, self._client.stat_object(self._bucket, key, version_id=version or None)
            )

    def list(self, prefix: str = "") -> Iterator[Found]:
        """See ``Store.list``; the label is empty, as a listing does not carry it."""
        with self._errors("list"):
            for entry in self._client.list_objects(
                self._bucket, prefix=prefix, recursive=True, include_version=True
            ):
                if not entry.is_delete_marker and entry.object_name and not entry.is_dir:
                    yield Found(entry.object_name, entry.version_id or "", entry.size or 0, None)

    def versions(self, prefix: str = "", after: Place | None = None, limit: int = 1000) -> Page:
        """See ``Store.versions``."""
        with self._errors("list"):
            return page_of(self._client, self._bucket, prefix, after, limit)

    def delete_version(self, key: str, version: str) -> None:
        """See ``Store.delete_version``."""
        check_key(key)
        if not version:
            # Without a version S3 hides the object behind a marker and calls that success.
            raise InvalidInput(f"To remove {key} its version is needed.")
        with self._errors(f"remove {key} from"):
            try:
                self._client.remove_object(self._bucket, key, version_id=version)
            except S3Error as error:
                lock = self._lock_if_there(key, version)
                if error.code in _ABSENT or lock is None:
                    return
                if error.code == "AccessDenied" and lock != UNLOCKED:
                    raise locked_error(key, lock) from error
                raise
            try:
                self._client.stat_object(self._bucket, key, version_id=version)
            except S3Error as error:
                if error.code in _ABSENT:
                    return
                raise
            raise StoreError(f"The store {self._host} still has {key} after removing it.")

    def lock_level(self) -> LockLevel:
        """See ``Lockable.lock_level``."""
        with self._errors("ask for Object Lock in"):
            return self._locks.level()

    def lock_of(self, key: str, version: str) -> Lock:
        """See ``Lockable.lock_of``."""
        check_key(key)
        with self._errors(f"look up {key} in"):
            return self._locks.read(key, version)

    def retain(self, key: str, version: str, until_us: int) -> Lock:
        """See ``Lockable.retain``; the date is rounded up to a whole second."""
        present = self.lock_of(key, version)
        if until_us < (present.until_us or 0):
            raise shortening_error(key)
        with self._errors(f"lock {key} in"):
            self._locks.retain(key, version, until_us)
        return self._read_back(key, version, Lock(until_us, present.held))

    def hold(self, key: str, version: str) -> Lock:
        """See ``Lockable.hold``."""
        with self._errors(f"lock {key} in"):
            self._locks.hold(check_key(key), version)
        return self._read_back(key, version, Lock(None, True))

    def release(self, key: str, version: str) -> Lock:
        """See ``Lockable.release``."""
        with self._errors(f"release {key} in"):
            self._locks.release(check_key(key), version)
        after = self.lock_of(key, version)
        if after.held:
            raise StoreError(f"The store {self._host} still holds {key} after releasing it.")
        return after

    def attacks(self) -> Attacks:
        """See ``Lockable.attacks``."""
        return S3Attacks(self._client, self._bucket)

    def is_permanent(self, error: Exception) -> bool:
        """Wrong keys, rights and names stay wrong; time-outs and server errors may pass."""
        cause = error.__cause__
        if isinstance(error, StoreError):
            return isinstance(cause, S3Error) and cause.code in _PERMANENT
        return isinstance(error, BidWitnessError) and not isinstance(error, StorageFull)

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket, object_lock=True)
        except S3Error as error:
            if error.code in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                return
            if error.code not in {"NotImplemented", "MethodNotAllowed", "InvalidArgument"}:
                raise
            self._client.make_bucket(self._bucket)

    def _latest(self, key: str) -> Found | None:
        try:
            return _described(key, self._client.stat_object(self._bucket, key))
        except S3Error as error:
            if error.code in _ABSENT:
                return None
            raise

    def _read_back(self, key: str, version: str, wanted: Lock) -> Lock:
        after = self.lock_of(key, version)
        if not after.covers(wanted):
            raise StoreError(f"The store {self._host} did not lock {key} as it was told to.")
        return after

    def _lock_if_there(self, key: str, version: str) -> Lock | None:
        try:
            return self._locks.read(key, version)
        except S3Error as error:
            if error.code in _ABSENT:
                return None
            raise

    def _send(self, key: str, file: BinaryIO, size: int, sha256: bytes, lock: Lock) -> str:
        result = self._client.put_object(
            self._bucket,
            key,
            file if size else io.BytesIO(b""),
            size,
            part_size=PART_BYTES,
            num_parallel_uploads=1,
            metadata={LABEL: sha256.hex()},
            retention=None if lock.until_us is None else retention_until(lock.until_us),
            legal_hold=lock.held,
        )
        if not result.version_id:
            raise StoreError(
                f"The bucket {self._bucket} keeps no versions. Switch versioning on: without it an "
                "object can be overwritten."
            )
        return result.version_id

    def _holds(self, found: Found, sha256: bytes, size: int) -> bool:
        """Say whether this very version holds the bytes, by reading all of it."""
        if found.size != size:
            return False
        if found.said_sha256 not in (None, sha256):
            return False
        response = self._get(found.key, found.version, 0, 0)
        if response is None:
            return size == 0
        with _released(response):
            return digest_of(iter(lambda: response.read(CHUNK), b""))[0] == sha256

    def _get(self, key: str, version: str, offset: int, length: int) -> "BaseHTTPResponse | None":
        """Begin to read; nothing if ``offset`` is at or beyond the end."""
        try:
            return self._client.get_object(
                self._bucket, key, offset=offset, length=length, version_id=version or "null"
            )
        except S3Error as error:
            if error.code == "InvalidRange":
                return None
            raise

    @contextmanager
    def _errors(self, doing: str) -> Iterator[None]:
        where = f"the store {self._host} (bucket {self._bucket})"
        try:
            yield
        except S3Error as error:
            code = error.code or "no reason"
            if code in _ABSENT:
                raise NotFound(f"The store has no such version: cannot {doing} it.") from error
            if code in _FULL:
                raise StorageFull(f"Cannot {doing} {where}: it has no room.") from error
            why = _PERMANENT.get(code, f"it answered {code}")
            raise StoreError(f"Cannot {doing} {where}: {why}.") from error
        except HTTPError as error:
            raise StoreError(f"Cannot {doing} {where}: {_network(error)}.") from error
        except (MinioException, ParseError, UnicodeDecodeError) as error:
            raise StoreError(f"Cannot {doing} {where}: it answered with no S3 answer.") from error
        except OSError as error:
            why = error.strerror or "reading what is to be kept failed"
            raise StoreError(f"Cannot {doing} {where}: {why}.") from error


@contextmanager
def _released(response: "BaseHTTPResponse") -> Iterator[None]:
    with closing(response):
        yield
        response.release_conn()


def _described(key: str, entry: "Object") -> Found:
    label = (entry.metadata or {}).get(LABEL)
    try:
        said = bytes.fromhex(str(label)) if label else None
    except ValueError:
        said = None
    return Found(key, entry.version_id or "null", entry.size or 0, said)


def _network(error: HTTPError) -> str:
    """Name a network error without the addresses and objects of its representation."""
    names = {
        "NewConnectionError": "it does not answer",
        "ConnectTimeoutError": "it does not answer",
        "NameResolutionError": "its name is not known",
        "ReadTimeoutError": "it answers too slowly",
        "SSLError": "its certificate is not trusted",
    }
    return names.get(type(error).__name__, "the connection broke off")

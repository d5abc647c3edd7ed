"""Open the store that the settings name."""

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from bidwitness.config import Settings
from bidwitness.errors import ConfigError
from bidwitness.storage.store.base import LockingStore
from bidwitness.storage.store.file import FileStore


def open_store(settings: Settings) -> LockingStore:
    """Give the store of ``settings.store_url``, without connecting to it.

    ``file:///folder`` (with ``?immutable=yes`` to set the system's immutable bit) or ``s3://bucket?endpoint=http://host:port&region=name`` with the keys from
    ``BIDWITNESS_S3_ACCESS_KEY`` and ``BIDWITNESS_S3_SECRET_KEY``. Raises ``ConfigError``.
    """
    url = urlsplit(settings.store_url)
    if url.scheme == "file":
        query = parse_qs(url.query)
        immutable = query.pop("immutable", ["no"])[-1]
        if query or immutable not in ("yes", "no"):
            raise ConfigError(
                "BIDWITNESS_STORE: write file:///folder or file:///folder?immutable=yes."
            )
        return FileStore(_folder(url.netloc, url.path), immutable=immutable == "yes")
    return _s3(settings)


def _folder(host: str, path: str) -> Path:
    if host or not path.startswith("/"):
        raise ConfigError("BIDWITNESS_STORE: write file:///folder with an absolute path.")
    return Path(unquote(path))


def _s3(settings: Settings) -> LockingStore:
    # Only here: the client is slow to import, and most installations need none.
    from bidwitness.storage.store.s3 import S3Store, client_for

    url = urlsplit(settings.store_url)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    endpoint = urlsplit(query.pop("endpoint", ""))
    region = query.pop("region", "us-east-1")
    if url.path.strip("/") or query or not url.netloc or "@" in url.netloc:
        raise ConfigError(
            "BIDWITNESS_STORE: write s3://bucket?endpoint=https://host:port&region=name."
        )
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname:
        raise ConfigError("BIDWITNESS_STORE: its endpoint must be http://… or https://….")
    if "@" in endpoint.netloc or endpoint.path.strip("/"):
        raise ConfigError("BIDWITNESS_STORE: its endpoint is only a host and a port.")
    if settings.s3_access_key is None or settings.s3_secret_key is None:
        raise ConfigError(
            "An s3:// store needs BIDWITNESS_S3_ACCESS_KEY and BIDWITNESS_S3_SECRET_KEY."
        )
    try:
        client = client_for(
            endpoint.netloc,
            secure=endpoint.scheme == "https",
            region=region,
            access=settings.s3_access_key.get_secret_value(),
            secret=settings.s3_secret_key.get_secret_value(),
        )
        return S3Store(client, url.netloc, endpoint.netloc)
    except ValueError as error:
        raise ConfigError(f"BIDWITNESS_STORE: {error}") from None

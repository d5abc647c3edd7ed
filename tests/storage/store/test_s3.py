"""What only the S3 store meets: wrong keys, no server, no versions, bytes that rot on the way."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.memory_store import sha256_of
from support.seaweed import SECRET, Seaweed, free_ports, running_seaweed

from bidwitness.clock import SystemClock
from bidwitness.config import Settings, load_settings
from bidwitness.errors import ConfigError, InvalidInput, StoreError
from bidwitness.ids import new_id
from bidwitness.locking import Lock
from bidwitness.storage.store import Retrying, Store, open_store
from bidwitness.storage.store.s3 import S3Store

BODY = b"bytes of a segment" * 100


def put(store: Store, key: str, data: bytes = BODY) -> str:
    return store.put(key, lambda: io.BytesIO(data), sha256_of(data)).version


def test_the_bucket_is_made_with_versions_and_object_lock(seaweed: Seaweed) -> None:
    store = open_store(seaweed.settings("made-by-prepare"))
    store.prepare()
    store.prepare()
    client = seaweed.client()
    assert client.get_bucket_versioning("made-by-prepare").status == "Enabled"
    put(store, "a")
    assert client.get_object_lock_config("made-by-prepare") is not None


def test_a_bucket_without_versions_gets_them(seaweed: Seaweed) -> None:
    seaweed.client().make_bucket("without-versions")
    store = open_store(seaweed.settings("without-versions"))
    with pytest.raises(StoreError, match="versions"):
        put(store, "a")
    store.prepare()
    assert put(store, "b")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"s3_secret_key": "wrong-secret-key"}, "BIDWITNESS_S3_SECRET_KEY is wrong|may not"),
        ({"s3_access_key": "nobody"}, "BIDWITNESS_S3_ACCESS_KEY|may not"),
    ],
)
def test_wrong_keys_are_named_permanent_and_not_shown(
    seaweed: Seaweed, change: dict[str, object], says: str
) -> None:
    settings = seaweed.settings("contract").model_dump() | change
    store = open_store(load_settings(**settings))
    with pytest.raises(StoreError, match=says) as caught:
        put(store, "wrong/key")
    assert store.is_permanent(caught.value)
    assert "wrong-secret" not in caught.value.detail
    assert SECRET not in caught.value.detail


def test_a_missing_bucket_is_permanent(seaweed: Seaweed) -> None:
    store = open_store(seaweed.settings("never-made"))
    with pytest.raises(StoreError, match="no such bucket") as caught:
        put(store, "a")
    assert store.is_permanent(caught.value)


def test_no_server_is_passing_and_clear() -> None:
    (port,) = free_ports(1)
    store = open_store(
        load_settings(
            store=f"s3://bucket?endpoint=http://127.0.0.1:{port}",
            s3_access_key="a",
            s3_secret_key="b",
        )
    )
    for act in (lambda: put(store, "a"), store.prepare, lambda: list(store.list())):
        with pytest.raises(StoreError, match="does not answer") as caught:
            act()
        assert not store.is_permanent(caught.value)
        assert f"127.0.0.1:{port}" in caught.value.detail
        assert "object at 0x" not in caught.value.detail


def test_a_removal_without_version_is_refused(seaweed: Seaweed) -> None:
    store = open_store(seaweed.settings("contract"))
    with pytest.raises(InvalidInput):
        store.delete_version("a", "")


def test_overwritten_behind_our_back_the_recorded_version_is_still_read(
    seaweed: Seaweed,
) -> None:
    store = open_store(seaweed.settings("contract"))
    store.prepare()
    key = f"over/{new_id()}"
    version = put(store, key)
    seaweed.client().put_object("contract", key, io.BytesIO(b"forged"), 6)
    seaweed.client().remove_object("contract", key)
    assert store.read(key, version) == BODY
    assert version in {f.version for f in store.list(key)}


class ForgetfulS3(S3Store):
    """Sends other bytes than it was given, as a broken proxy might."""

    def _send(self, key: str, file: object, size: int, sha256: bytes, lock: Lock) -> str:
        return super()._send(key, io.BytesIO(b"?" * size), size, sha256, lock)


def test_a_put_is_believed_only_after_reading_that_version(seaweed: Seaweed) -> None:
    store = ForgetfulS3(seaweed.client(), "contract", "here")
    store.prepare()
    key = f"forget/{new_id()}"
    with pytest.raises(StoreError, match="other bytes"):
        put(store, key)
    assert list(store.list(key)) == []


@pytest.fixture
def own_seaweed(tmp_path: Path) -> Iterator[Seaweed]:
    with running_seaweed(tmp_path / "weed") as server:
        yield server


def test_the_store_comes_back_after_a_restart_with_what_it_held(own_seaweed: Seaweed) -> None:
    store = open_store(own_seaweed.settings("restarted"))
    store.prepare()
    version = put(store, "a/b.mp4")
    own_seaweed.stop()
    with pytest.raises(StoreError) as caught:
        store.read("a/b.mp4", version)
    assert not store.is_permanent(caught.value)
    own_seaweed.start()
    # It answers before its volumes have come back: that too is passing.
    patient = Retrying(store, SystemClock(), waits=(0.5,) * 100)
    assert patient.read("a/b.mp4", version) == BODY


KEYS: dict[str, object] = {"s3_access_key": "a", "s3_secret_key": "b"}


@pytest.mark.parametrize(
    ("url", "more", "says"),
    [
        ("s3://bucket", KEYS, "endpoint"),
        ("s3://bucket?endpoint=ftp://host", KEYS, "endpoint"),
        ("s3://bucket?endpoint=http://user:pass@host", KEYS, "host and a port"),
        ("s3://bucket/folder?endpoint=http://host", KEYS, "s3://bucket"),
        ("s3://a:b@bucket?endpoint=http://host", KEYS, "s3://bucket"),
        ("s3://bucket?endpoint=http://host&unknown=1", KEYS, "s3://bucket"),
        ("s3://bucket?endpoint=http://host", {}, "BIDWITNESS_S3_ACCESS_KEY"),
        ("file://host/folder", {}, "absolute"),
        ("file:folder", {}, "absolute"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(
    url: str, more: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        open_store(settings_of(url, more))
    assert "pass" not in caught.value.detail


def settings_of(url: str, more: dict[str, object]) -> Settings:
    return load_settings(store=url, **more)

"""The store: where closed segments are kept for good, behind two narrow interfaces."""

from bidwitness.storage.store.base import (
    Attacks,
    Found,
    Lockable,
    LockingStore,
    Source,
    Store,
    StoredVersion,
    check_key,
)
from bidwitness.storage.store.opening import open_store
from bidwitness.storage.store.retrying import Retrying

__all__ = [
    "Attacks",
    "Found",
    "Lockable",
    "LockingStore",
    "Retrying",
    "Source",
    "Store",
    "StoredVersion",
    "check_key",
    "open_store",
]

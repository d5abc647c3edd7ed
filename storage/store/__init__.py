"""The store: where closed segments are kept for good, behind two narrow interfaces."""

from bidwitness.storage.store.base import (
    Attacks,
    Found,
    Listed,
    Lockable,
    LockingStore,
    Page,
    Place,
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
    "Listed",
    "Lockable",
    "LockingStore",
    "Page",
    "Place",
    "Retrying",
    "Source",
    "Store",
    "StoredVersion",
    "check_key",
    "open_store",
]

"""The store: where closed segments are kept for good, behind one narrow interface."""

from bidwitness.storage.store.base import Found, Source, Store, StoredVersion, check_key
from bidwitness.storage.store.opening import open_store
from bidwitness.storage.store.retrying import Retrying

__all__ = ["Found", "Retrying", "Source", "Store", "StoredVersion", "check_key", "open_store"]

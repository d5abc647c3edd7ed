"""Identifiers of rows that are named outside the index (URLs, records, file names)."""

import base64
import secrets

ID_LENGTH = 16


def new_id() -> str:
    """Give 16 lower-case base32 characters (80 random bits): safe in URLs, paths and logs."""
    return base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()

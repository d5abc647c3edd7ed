"""The one byte form of a record: a subset of JCS (RFC 8785) that every language writes alike.

ASCII keys, no floating point, whole numbers below 2**53, nothing but ``str``, ``int``, ``bool``,
``None``, ``list`` and ``dict``. Within these bounds sorting keys by code point and Python's own
string escapes give exactly the bytes of RFC 8785.
"""

import json
from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"

INT_LIMIT = 2**53
DEPTH_LIMIT = 32
# Made once: records come by the thousand.
_WRITES = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
)
_EITHER = (dict, list)
_CONTAINERS = frozenset(_EITHER)


class BadRecord(ValueError):
    """A value that is not a record as docs/evidence-format.md defines it; names the path."""


def canonical(value: object) -> bytes:
    """Give the canonical bytes of a value.

    Raises ``BadRecord`` naming the path of what does not fit.
    """
    if not _fits(value, 0):
        _check(value, "$", 0)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def parse(data: bytes) -> dict[str, JsonValue]:
    """Read one canonical object from outside; the bytes must be exactly its canonical form.

    Raises ``BadRecord`` for anything else, whatever the bytes are.
    """
    value = _parsed(data)
    # JSON gives nothing but its own types; what this does not settle is looked at one by one.
    if not (data.isascii() and _plain(value, DEPTH_LIMIT)):
        _check(value, "$", 0)
    _check_form(value, data)
    return value


def parse_unbounded(data: bytes) -> dict[str, JsonValue]:
    """``parse`` for ASCII and for whoever bounds every number and depth by what it declares.

    Raises ``BadRecord``; then ``parse`` says what is wrong.
    """
    value = _parsed(data)
    if not data.isascii():
        raise BadRecord("$: not ASCII")
    _check_form(value, data)
    return value


def _parsed(data: bytes) -> dict[str, JsonValue]:
    try:
        value = _READS.decode(data.decode("utf-8"))
    except BadRecord:
        raise
    except (ValueError, RecursionError) as error:
        raise _no_json(error) from None
    if not isinstance(value, dict):
        raise BadRecord("$: an object is needed")
    return value


def _check_form(value: dict[str, JsonValue], data: bytes) -> None:
    """Duplicate keys, spaces, another order or another spelling of a number all differ here, and
    so does what was escaped without need: ASCII bytes that pass hold nothing but ASCII."""
    try:
        text = _WRITES.encode(value)
    except (ValueError, RecursionError) as error:
        raise _no_json(error) from None
    if text.encode("utf-8", "surrogatepass") != data:
        raise BadRecord("$: the bytes are not in canonical form")


def _no_json(error: Exception) -> BadRecord:
    return BadRecord(f"$: not JSON in UTF-8 ({type(error).__name__})")


def _refuse(number: str) -> None:
    raise BadRecord(f"$: {number[:20]} is no whole number")


_READS = json.JSONDecoder(parse_float=_refuse, parse_constant=_refuse)


def _plain(value: "dict[str, JsonValue] | list[JsonValue]", levels: int) -> bool:
    """Say whether numbers are within bounds and containers at most ``levels`` deep."""
    items = value.values() if isinstance(value, dict) else value
    kinds = set(map(type, items))
    if int in kinds and not all(-INT_LIMIT < n < INT_LIMIT for n in items if isinstance(n, int)):
        return False
    if _CONTAINERS.isdisjoint(kinds):
        return True
    return levels > 0 and all(
        _plain(item, levels - 1) for item in items if item and isinstance(item, _EITHER)
    )


def check_value(value: object) -> None:
    """Raise ``BadRecord`` for a value that has no canonical form."""
    if not _fits(value, 0):
        _check(value, "$", 0)


def _fits(value: object, depth: int) -> bool:
    """Say quickly that a value fits. If it says no, ``_check`` has the last word."""
    if isinstance(value, str):
        return value.isascii()
    if isinstance(value, int):
        return -INT_LIMIT < value < INT_LIMIT
    if isinstance(value, list):
        return depth < DEPTH_LIMIT and all(_fits(item, depth + 1) for item in value)
    if isinstance(value, dict):
        return depth < DEPTH_LIMIT and all(
            isinstance(key, str) and key.isascii() and _fits(item, depth + 1)
            for key, item in value.items()
        )
    return value is None


def _check(value: object, path: str, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise BadRecord(f"{path}: nested too deeply")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, int):
        if not -INT_LIMIT < value < INT_LIMIT:
            raise BadRecord(f"{path}: a whole number must be below 2**53")
    elif isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise BadRecord(f"{path}: a lone surrogate is not text") from None
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise BadRecord(f"{path}: keys must be ASCII text, not {key!r}")
            _check(item, f"{path}.{key}", depth + 1)
    else:
        raise BadRecord(f"{path}: {type(value).__name__} has no canonical form")

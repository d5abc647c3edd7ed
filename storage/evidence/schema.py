"""Frozen dataclasses to JSON objects and back, strictly: every key known, every value checked.

A record from outside is read by its declaration alone, so the declaration *is* the format.
By convention a field with the default ``None`` is left out of the object while it is ``None``,
and the keys of a field named ``place`` stand in the outer object.
"""

import dataclasses
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Union, cast, get_args, get_origin, get_type_hints

from bidwitness.storage.evidence.canonical import INT_LIMIT, BadRecord, JsonValue


@dataclass(frozen=True)
class Rule:
    """A bound on a value, with the words that say what is allowed."""

    says: str
    holds: Callable[[Any], bool]


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: compiled.fullmatch(value) is not None


def _between(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: low <= value < high


Hex32 = Annotated[str, Rule("64 lower-case hex digits", _matches("[0-9a-f]{64}"))]
# Never a name that means something to a file system: it stands in paths of packages.
Name = Annotated[
    str,
    Rule(
        "1 to 128 of A-Z a-z 0-9 . _ : -, the first a letter or digit",
        _matches("[A-Za-z0-9][A-Za-z0-9._:-]{0,127}"),
    ),
]
Word = Annotated[str, Rule("a lower-case word", _matches("[a-z][a-z0-9_]{0,63}"))]
Day = Annotated[str, Rule("a day YYYYMMDD", _matches("[0-9]{8}"))]
Text = Annotated[str, Rule("at most 4096 characters", lambda value: len(value) <= 4096)]
Ticks = Annotated[int, Rule("a whole number", _between(1 - INT_LIMIT, INT_LIMIT))]
Count = Annotated[int, Rule("a whole number, 0 or more", _between(0, INT_LIMIT))]
Positive = Annotated[int, Rule("a whole number, 1 or more", _between(1, INT_LIMIT))]
# Up to the year 2200: what a day can be computed from.
Micros = Annotated[int, Rule("microseconds UTC", _between(0, 7_258_118_400_000_000))]


# Words that Python keeps to itself, or that read better in code than in JSON.
_JSON_NAMES = {"start": "from", "end": "to", "klass": "class"}
_FLAT = "place"


def _optional(item: "dataclasses.Field[Any]") -> bool:
    return item.default is None


def to_json(facts: object) -> dict[str, JsonValue]:
    """Give the object that a dataclass declares."""
    out: dict[str, JsonValue] = {}
    for item in dataclasses.fields(cast("Any", facts)):
        value = getattr(facts, item.name)
        if item.name == _FLAT:
            out.update(to_json(value))
        elif value is not None or not _optional(item):
            out[_JSON_NAMES.get(item.name, item.name)] = _to_json(value)
    return out


def _to_json(value: object) -> JsonValue:
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if dataclasses.is_dataclass(value):
        return to_json(value)
    if isinstance(value, str):
        return str(value)  # a word of a closed list becomes plain text
    if value is None or isinstance(value, bool | int):
        return value
    raise BadRecord(f"$: {type(value).__name__} has no place in a record")


def from_json(declared: type[Any], value: object, path: str = "$") -> Any:
    """Read an object by the dataclass that declares it.

    Raises ``BadRecord`` naming the path of what does not fit: a missing or unknown key, another
    type, a value out of bounds.
    """
    if not isinstance(value, dict):
        raise BadRecord(f"{path}: an object is needed")
    rest = dict(value)
    facts = _take(declared, rest, path)
    if rest:
        raise BadRecord(f"{path}: unknown key {min(map(str, rest))!r}")
    return facts


@cache
def _hints(declared: Any) -> dict[str, Any]:
    return get_type_hints(declared, include_extras=True)


def _take(declared: Any, rest: dict[str, object], path: str) -> Any:
    """Build ``declared`` from its own keys, taking them out of ``rest``."""
    given: dict[str, Any] = {}
    for item in dataclasses.fields(declared):
        hint = _hints(declared)[item.name]
        name = _JSON_NAMES.get(item.name, item.name)
        if item.name == _FLAT:
            given[item.name] = _take(hint, rest, path)
        elif name in rest:
            raw = rest.pop(name)
            if raw is None and _optional(item):
                raise BadRecord(f"{path}.{name}: leave the key out instead of null")
            given[item.name] = _read(hint, raw, f"{path}.{name}")
        elif not _optional(item):
            raise BadRecord(f"{path}.{name}: is missing")
    try:
        return declared(**given)
    except BadRecord as error:
        raise BadRecord(f"{path}: {error}") from None


def _read(hint: Any, value: object, path: str) -> object:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        plain, rule = args[0], args[1]
        if not _is(plain, value) or not rule.holds(value):
            raise BadRecord(f"{path}: must be {rule.says}")
        return value
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        (plain,) = (arg for arg in args if arg is not types.NoneType)
        return _read(plain, value, path)
    if origin is tuple:
        return _read_tuple(args, value, path)
    if dataclasses.is_dataclass(hint):
        return from_json(cast("type[Any]", hint), value, path)
    if not _is(hint, value):
        raise BadRecord(f"{path}: must be {hint.__name__}")
    return value


def _read_tuple(args: tuple[Any, ...], value: object, path: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise BadRecord(f"{path}: a list is needed")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_read(args[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if len(value) != len(args):
        raise BadRecord(f"{path}: must have {len(args)} items")
    pairs = zip(args, value, strict=True)
    return tuple(_read(arg, item, f"{path}[{i}]") for i, (arg, item) in enumerate(pairs))


def _is(plain: type[Any], value: object) -> bool:
    if plain is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, plain)

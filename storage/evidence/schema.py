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
from typing import (
    Annotated,
    Any,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from bidwitness.storage.evidence.canonical import INT_LIMIT, BadRecord, JsonValue


@dataclass(frozen=True)
class Rule:
    """A bound on a value, with the words that say what is allowed; of a number also as it is."""

    says: str
    holds: Callable[[Any], object]
    between: tuple[int, int] | None = None


def _matches(pattern: str) -> Callable[[Any], object]:
    return re.compile(pattern, re.ASCII).fullmatch


def _number(says: str, low: int, high: int) -> Rule:
    return Rule(says, lambda value: low <= value < high, (low, high))


Hex32 = Annotated[str, Rule("64 lower-case hex digits", _matches("[0-9a-f]{64}"))]
Hex64 = Annotated[str, Rule("128 lower-case hex digits", _matches("[0-9a-f]{128}"))]
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
Ticks = Annotated[int, _number("a whole number", 1 - INT_LIMIT, INT_LIMIT)]
Count = Annotated[int, _number("a whole number, 0 or more", 0, INT_LIMIT)]
Positive = Annotated[int, _number("a whole number, 1 or more", 1, INT_LIMIT)]
# Up to the year 2200: what a day can be computed from.
Micros = Annotated[int, _number("microseconds UTC", 0, 7_258_118_400_000_000)]


# Words that Python keeps to itself, or that read better in code than in JSON.
JSON_NAMES = {"start": "from", "end": "to", "klass": "class"}
FLAT = "place"


def _optional(item: "dataclasses.Field[Any]") -> bool:
    return item.default is None


def to_json(facts: object) -> dict[str, JsonValue]:
    """Give the object that a dataclass declares."""
    out: dict[str, JsonValue] = {}
    for item in dataclasses.fields(cast("Any", facts)):
        value = getattr(facts, item.name)
        if item.name == FLAT:
            out.update(to_json(value))
        elif value is not None or not _optional(item):
            out[JSON_NAMES.get(item.name, item.name)] = _to_json(value)
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


def from_json(declared: Any, value: object) -> Any:
    """Read an object by the dataclass that declares it.

    Raises ``BadRecord`` naming the path of what does not fit: a missing or unknown key, another
    type, a value out of bounds.
    """
    try:
        return _reader(declared)(value)
    except _Misfit as error:
        raise BadRecord(f"${error}") from None


class _Misfit(Exception):
    """What does not fit, after the path to it; whoever called puts its own part in front."""


_Read: TypeAlias = Callable[[Any], Any]


@cache
def _reader(hint: Any) -> _Read:
    """Give what reads a value of a type; made once, because records come by the thousand."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _ruled(args[0], args[1])
    if origin in (Union, types.UnionType):
        (plain,) = (arg for arg in args if arg is not types.NoneType)
        inner = _reader(plain)
        return lambda value: None if value is None else inner(value)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _list_of(_reader(args[0]), _at_once(args[0]))
    if origin is tuple:
        return _fixed([_reader(arg) for arg in args])
    return _object(hint)


def _ruled(plain: type[Any], rule: Rule) -> _Read:
    holds, says = rule.holds, rule.says
    low, high = rule.between or (0, 0)

    def read_number(value: Any) -> Any:
        if type(value) is int and low <= value < high:
            return value
        return read(value)

    def read(value: Any) -> Any:
        # A bool is an int to Python, not to JSON.
        fits = type(value) is plain or (isinstance(value, plain) and not isinstance(value, bool))
        if not fits or not holds(value):
            raise _Misfit(f": must be {says}")
        return value

    return read if rule.between is None else read_number


_AtOnce: TypeAlias = Callable[[list[Any]], "tuple[Any, ...] | None"]


def _at_once(hint: Any) -> _AtOnce:
    """Give what reads a whole list if all of it is as plain as it mostly is, else says nothing.

    Digests come by the hundred thousand.
    """
    if get_origin(hint) is Annotated:
        plain, rule = get_args(hint)
        return lambda value: (
            tuple(value)
            if {plain} == set(map(type, value)) and all(map(rule.holds, value))
            else None
        )
    if get_origin(hint) is tuple and get_args(hint)[-1] is Ellipsis:
        return lambda value: ((),) * len(value) if value.count([]) == len(value) else None
    return lambda value: None


def _list_of(inner: _Read, at_once: _AtOnce) -> _Read:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _Misfit(": a list is needed")
        if not value:
            return ()
        plain = at_once(value)
        if plain is not None:
            return plain
        out: list[Any] = []
        try:
            out.extend(map(inner, value))
        except _Misfit as error:
            # What came before it fitted.
            raise _Misfit(f"[{len(out)}]{error}") from None
        return tuple(out)

    return read


def _fixed(inner: list[_Read]) -> _Read:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list) or len(value) != len(inner):
            raise _Misfit(f": a list of {len(inner)} is needed")
        out = []
        for index, item in enumerate(value):
            try:
                out.append(inner[index](item))
            except _Misfit as error:
                raise _Misfit(f"[{index}]{error}") from None
        return tuple(out)

    return read


def _object(declared: Any) -> _Read:
    take, names = _taker(declared)

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Misfit(": an object is needed")
        facts, taken = take(value)
        if taken != len(value):
            unknown = min(str(name) for name in value if name not in names)
            raise _Misfit(f": unknown key {unknown!r}")
        return facts

    return read


_Take: TypeAlias = "Callable[[dict[Any, Any]], tuple[Any, int]]"


def _taker(declared: Any) -> tuple[_Take, frozenset[str]]:
    """Give what builds ``declared`` from its own keys in an object and says how many those are; and
    what they may be."""
    hints = get_type_hints(declared, include_extras=True)
    fields = dataclasses.fields(declared)
    keys = [
        (JSON_NAMES.get(f.name, f.name), _reader(hints[f.name]), _optional(f))
        for f in fields
        if f.name != FLAT
    ]
    inner = [(at, *_taker(hints[f.name])) for at, f in enumerate(fields) if f.name == FLAT]
    names = frozenset(name for name, _, _ in keys).union(*(those for _, _, those in inner))

    def take(given: dict[Any, Any]) -> tuple[Any, int]:
        places = [(at, *take_place(given)) for at, take_place, _ in inner]
        # In the order of the declaration.
        values: list[Any] = []
        taken = 0
        for name, read, optional in keys:
            if name not in given:
                if not optional:
                    raise _Misfit(f".{name}: is missing")
                values.append(None)
                continue
            value = given[name]
            if value is None and optional:
                raise _Misfit(f".{name}: leave the key out instead of null")
            try:
                values.append(read(value))
            except _Misfit as error:
                raise _Misfit(f".{name}{error}") from None
            taken += 1
        for at, place, count in places:
            values.insert(at, place)
            taken += count
        try:
            return declared(*values), taken
        except BadRecord as error:
            raise _Misfit(f": {error}") from None

    return take, names

"""Making this project's modules readable to older Pythons, back to 3.8.

The stand-alone verifier is made of modules written for Python 3.11. Whoever gets a package in ten
years, or has an old machine without a network today, should not need that one: what the language
lacked is put in another way, position by position, so that the text stays the one that is reviewed.
"""

import ast
from collections.abc import Iterator

# Evaluated when the program runs, unlike the annotations of functions.
_GENERIC = {"tuple": "Tuple", "list": "List", "dict": "Dict", "type": "Type"}
_ATTRIBUTES = {"types.UnionType": "Union", "types.NoneType": "type(None)"}
_LATER = {
    "datetime": {"UTC"},
    "functools": {"cache"},
    "itertools": {"pairwise"},
    "typing": {"Annotated", "TypeAlias", "get_args", "get_origin", "get_type_hints"},
    "dataclasses": {"dataclass"},
}
PRELUDE = '''\
import sys
import typing
from dataclasses import dataclass
from datetime import timezone
from functools import lru_cache
from typing import Dict, List, Optional, Tuple, Type, Union

# What Python had not got before 3.11, for this program.
UTC = timezone.utc
TypeAlias = typing.Any
cache = lru_cache(maxsize=None)


def pairwise(items):
    return zip(items, items[1:])


if sys.version_info < (3, 10):
    _builtin_zip, _old_dataclass = zip, dataclass

    def zip(*parts, strict=False):
        parts = [list(part) for part in parts]
        if strict and len({len(part) for part in parts}) > 1:
            raise ValueError("not as many in one as in the other")
        return _builtin_zip(*parts)

    def dataclass(*given, slots=False, **options):
        return _old_dataclass(*given, **options)


if sys.version_info >= (3, 9):
    from typing import Annotated, get_args, get_origin, get_type_hints
else:

    class Annotated:
        """A type with a bound, which typing did not know."""

        def __init__(self, plain, rule):
            self.parts = (plain, rule)

        def __class_getitem__(cls, parts):
            return cls(*parts)

        def __call__(self):
            raise TypeError("typing wants types that can be called")

    def get_origin(hint):
        return Annotated if isinstance(hint, Annotated) else typing.get_origin(hint)

    def get_args(hint):
        return hint.parts if isinstance(hint, Annotated) else typing.get_args(hint)

    def get_type_hints(declared, include_extras=False):
        return typing.get_type_hints(declared)
'''


def lowered_import(node: ast.Import | ast.ImportFrom) -> str | None:
    """Give an import of the standard library as old Pythons know it; nothing if ``PRELUDE`` has it
    all."""
    if isinstance(node, ast.Import):
        return ast.unparse(node)
    # Only the names in typing could be subscripted before 3.9.
    module = "typing" if node.module == "collections.abc" else node.module or ""
    names = [a for a in node.names if a.name not in _LATER.get(module, ())]
    return ast.unparse(ast.ImportFrom(module, names, 0)) if names else None


def lower(source: str) -> str:
    """Give a module's text with what older Pythons cannot evaluate put in another way."""
    data = source.encode()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    edits = [
        (starts[node.lineno - 1] + node.col_offset, _end(starts, node), text)
        for node, text in _edits(ast.parse(source))
    ]
    for start, end, text in sorted(edits, reverse=True):
        data = data[:start] + text.encode() + data[end:]
    return data.decode()


def _end(starts: list[int], node: ast.expr) -> int:
    return starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)


def _edits(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Find the expressions that are evaluated when the program runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.AnnAssign):
                    yield item.annotation, _lowered(item.annotation)
        elif isinstance(node, ast.Call) and _called(node) == "isinstance":
            kinds = list(_alternatives(node.args[1]))
            if len(kinds) > 1:
                yield node.args[1], f"({', '.join(map(ast.unparse, kinds))})"
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in _ATTRIBUTES:
            yield node, _ATTRIBUTES[ast.unparse(node)]
    for statement in tree.body:
        if (
            isinstance(statement, ast.AnnAssign)
            and statement.value is not None
            and ast.unparse(statement.annotation) == "TypeAlias"
        ):
            yield statement.value, _lowered(statement.value)


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    else:
        yield node


class _Lower(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        parts: list[ast.expr] = [self.visit(part) for part in _alternatives(node)]
        return ast.Subscript(ast.Name("Union"), ast.Tuple(parts), ast.Load())

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name):
            node.value = ast.Name(_GENERIC.get(node.value.id, node.value.id))
        return node


def _lowered(node: ast.expr) -> str:
    copy = ast.parse(ast.unparse(node), mode="eval")
    return ast.unparse(ast.fix_missing_locations(_Lower().visit(copy)))

"""The stand-alone ``verify.py``: the verifier's own modules put into one file.

The program in a package is the code that verifies here, not a second one that could differ. It
needs only the standard library, of Python 3.8 or later; ``tests`` hold it to that.
"""

import ast
from functools import cache
from importlib import import_module
from inspect import getsource

from bidwitness.storage.evidence.lowering import PRELUDE, lower, lowered_import

# In an order in which each uses only those before it.
MODULES = (
    "bidwitness.intervals",
    "bidwitness.storage.evidence.canonical",
    "bidwitness.storage.evidence.quick_sm3",
    "bidwitness.storage.evidence.merkle",
    "bidwitness.storage.evidence.schema",
    "bidwitness.storage.evidence.session_records",
    "bidwitness.storage.evidence.records",
    "bidwitness.storage.evidence.chain",
    "bidwitness.storage.evidence.pieces",
    "bidwitness.storage.evidence.bag",
    "bidwitness.storage.evidence.disclosure",
    "bidwitness.storage.evidence.footage",
    "bidwitness.storage.evidence.checkfile",
    "bidwitness.storage.evidence.media_check",
    "bidwitness.storage.evidence.tracks",
    "bidwitness.storage.evidence.ed25519",
    "bidwitness.storage.evidence.note",
    "bidwitness.storage.evidence.policy",
    "bidwitness.storage.evidence.material",
    "bidwitness.storage.evidence.entries",
    "bidwitness.storage.evidence.token",
    "bidwitness.storage.evidence.stamps",
    "bidwitness.storage.evidence.proof",
    "bidwitness.storage.evidence.attached",
    "bidwitness.storage.evidence.report",
    "bidwitness.storage.evidence.verify",
    "bidwitness.storage.evidence.standalone",
)
_HEAD = '''#!/usr/bin/env python3
"""校验本证据包 / Verify this package:  python3 verify.py [PACKAGE] [--json]

只需 Python 3.8 以上及其标准库,无需联网。Needs Python 3.8 or later, nothing else, no network.
退出码 exit code: 0 真实 authentic, 1 不真实 not, 2 无法读取 unreadable, 3 自洽但未获证明 unproven.
Made from the modules of BidWitness named below; the format is docs/evidence-format.md there.
"""

from __future__ import annotations
'''


@cache
def standalone_verifier() -> str:
    """Give the text of ``verify.py``.

    Raises ``ValueError`` if two modules define the same name: in one file one would hide the other.
    """
    imports: set[str] = set()
    bodies: list[str] = []
    owners = dict.fromkeys(_defined(ast.parse(PRELUDE)), "the prelude")
    for module in MODULES:
        source = lower(getsource(import_module(module)))
        tree = ast.parse(source)
        for name in _defined(tree):
            if owners.setdefault(name, module) != module:
                raise ValueError(f"{name} is defined in {owners[name]} and in {module}")
        bodies.append(f"\n\n# {module}\n{_without_head(source, tree, imports)}")
    return _HEAD + "\n" + "\n".join(sorted(imports)) + "\n" + PRELUDE + "".join(bodies) + "\n"


def _defined(tree: ast.Module | ast.If) -> list[str]:
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.If):
            names += _defined(node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
    return names


def _without_head(source: str, tree: ast.Module, imports: set[str]) -> str:
    """Give a module's text without docstring and imports; note what it needs of the library."""
    lines = source.splitlines()
    for index, node in enumerate(tree.body):
        docstring = index == 0 and isinstance(node, ast.Expr)
        if isinstance(node, ast.Import | ast.ImportFrom):
            inner = isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
                "bidwitness"
            )
            needed = None if inner else lowered_import(node)
            if needed is not None:
                imports.add(needed)
        elif not docstring:
            continue
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
    return "\n".join(lines).strip("\n")

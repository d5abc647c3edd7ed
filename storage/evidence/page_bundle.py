"""``verify.html``: the verifier for a browser, put into one file that loads nothing.

Its scripts stand in ``page/``, each a module of its own; here they become one. How records are built
comes from the declarations that read them here, so that the two cannot differ.
"""

import base64
import dataclasses
import hashlib
import json
import re
import types
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from bidwitness.storage.evidence import report, schema
from bidwitness.storage.evidence.attached import NO_REPORT_CHECK
from bidwitness.storage.evidence.disclosure import DisclosureFacts
from bidwitness.storage.evidence.entries import LogEntry
from bidwitness.storage.evidence.material import MATERIAL_TITLE, NO_POLICY_KEY, PLAIN_POLICY
from bidwitness.storage.evidence.proof import NO_WITNESS, CoveredFacts, LogIndex
from bidwitness.storage.evidence.records import Record
from bidwitness.storage.evidence.stamps import NO_TOKEN_CHECK, ConsistencyFacts

# In an order in which each uses only those before it.
SCRIPTS = (
    "bytes",
    "hashes",
    "merkle",
    "records",
    "bag",
    "media",
    "chain",
    "note",
    "stamps",
    "log",
    "words",
    "material",
    "describe",
    "reports",
    "verify",
    "ui",
)
_RULES = ("Hex32", "Hex64", "Name", "Word", "Day", "Text", "Ticks", "Count", "Positive", "Micros")
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_DEFINED = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE
)
_Json: TypeAlias = "str | bool | list[_Json] | dict[str, _Json]"


def _declared(hint: Any) -> _Json:
    """Give a type as the page reads it: a rule's name, or a list that begins with what it is."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return next(name for name in _RULES if getattr(schema, name) == hint)
    if origin in (Union, types.UnionType):
        (plain,) = (arg for arg in args if arg is not types.NoneType)
        return ["?", _declared(plain)]
    if origin is tuple and args[-1] is Ellipsis:
        return ["*", _declared(args[0])]
    if origin is tuple:
        return ["=", *map(_declared, args)]
    return ["{", _fields(hint)]


def _fields(declared: Any) -> list[_Json]:
    hints = get_type_hints(declared, include_extras=True)
    out: list[_Json] = []
    for item in dataclasses.fields(declared):
        if item.name == schema.FLAT:
            out += _fields(hints[item.name])
        else:
            name = schema.JSON_NAMES.get(item.name, item.name)
            out.append([name, _declared(hints[item.name]), item.default is None])
    return out


def _by_kind(union: Any) -> dict[str, _Json]:
    return {kind.T: _declared(kind) for kind in get_args(union)}


def declarations() -> dict[str, _Json]:
    """Give how each kind of record, entry and line is built."""
    return {
        "rules": {name: get_args(getattr(schema, name))[1].says for name in _RULES},
        "records": _by_kind(Record),
        "entries": _by_kind(LogEntry),
        "disclosure": _declared(DisclosureFacts),
        "logged": _declared(LogIndex),
        "covered": _declared(CoveredFacts),
        "consistent": _declared(ConsistencyFacts),
    }


def _words() -> dict[str, object]:
    codes = sorted(report.VERDICTS)
    return {
        "notes": {
            "always": report.NOT_CHECKED,
            "noMedia": report.NO_MEDIA,
            "noSound": report.NO_SOUND,
            "noSoundStated": report.NO_SOUND_STATED,
            "noTokenCheck": NO_TOKEN_CHECK,
            "noReportCheck": NO_REPORT_CHECK,
            "noWitness": NO_WITNESS,
            "unsealed": report.UNSEALED,
            "materialTitle": MATERIAL_TITLE,
            "plainPolicy": PLAIN_POLICY,
            "noPolicyKey": NO_POLICY_KEY,
        },
        "said": {
            "verdicts": [[report.VERDICTS_ZH[code], report.VERDICTS_EN[code]] for code in codes],
            "kinds": {kind: [zh, kind] for kind, zh in report.PROBLEMS_ZH.items()},
            "media": {medium: [zh, medium] for medium, zh in report.MEDIA_ZH.items()},
        },
    }


def _source(name: str) -> str:
    return files(__package__).joinpath("page", name).read_text("utf-8")


def _script() -> str:
    """Join the scripts; what each takes from another is at hand by its name.

    Raises ``ValueError`` if two define the same name: one would silently take the other's place.
    """
    names = [name for script in SCRIPTS for name in _DEFINED.findall(_source(f"{script}.js"))]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"defined in two scripts: {', '.join(sorted(twice))}")
    parts = [_IMPORT.sub("", _source(f"{name}.js")) for name in SCRIPTS]
    body = re.sub(r"^export ", "", "".join(parts), flags=re.MULTILINE)
    return f"'use strict';\n(() => {{\n{body}}})();\n"


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


@cache
def verifier_page() -> str:
    """Give the text of ``verify.html``. It may run its own script and style, and nothing else."""
    script, style = _script(), _source("page.css")
    given = {"format": declarations(), "words": _words()}
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; form-action 'none'; base-uri 'none'"
    parts = {
        "policy": policy,
        "style": style,
        # Within a script's element nothing may look like its end.
        "given": json.dumps(given, ensure_ascii=False).replace("<", "\\u003c"),
        "script": script,
    }
    return re.sub(r"\{(policy|style|given|script)\}", lambda m: parts[m[1]], _source("page.html"))

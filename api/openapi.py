"""What the OpenAPI document says beyond what the routes' types say: errors, and answers in bytes."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from bidwitness.api.schemas import Answer

PROBLEM = "application/problem+json"
_REF = {"$ref": "#/components/schemas/Problem"}
# What the framework says of its own refusals, which never leave: ours have another form.
_REPLACED = ("HTTPValidationError", "ValidationError")
# They ask for no login.
_OPEN = ("/log/", "/api/v1/system")
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})

_MEANINGS = {
    401: "Nobody is signed in, or the credential is not good.",
    403: "Not allowed, or the request comes from a page of another site.",
    404: "There is no such thing, or not for you.",
    408: "The body did not arrive in time.",
    409: "Right in itself, but not in the present state.",
    413: "The body is too large.",
    422: "What was given is wrong: see `fields`.",
    429: "Too many: come back after `Retry-After` seconds.",
    503: "A part that this needs does not answer: try again.",
    507: "There is no room for what must be written.",
}
_ALWAYS = frozenset({403, 422, 503})
_OF_SOMETHING = frozenset({404, 409, 429})
_WRITING = frozenset({404, 408, 409, 413, 429, 507})


class Problem(Answer):
    """An error, as RFC 9457 wants it. Rely on ``type`` and ``fields``, show ``detail``."""

    type: str
    title: str
    status: int
    detail: str
    fields: dict[str, str]


def gives(*types: str) -> dict[int | str, dict[str, Any]]:
    """Say of a route that it answers with bytes of one of these media types."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"content": {name: {"schema": schema} for name in types}}}


class Described(FastAPI):
    """An application whose description names its errors."""

    def openapi(self) -> dict[str, Any]:
        """Give the document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = with_problems(super().openapi())
        return self.openapi_schema


def with_problems(document: dict[str, Any]) -> dict[str, Any]:
    """Name the errors of every operation in a document. Changes it and gives it back."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for name in _REPLACED:
        schemas.pop(name, None)
    for path, method, operation in _operations(document):
        answers: dict[str, Any] = operation.setdefault("responses", {})
        for status in sorted(_errors(path, method)):
            answers[str(status)] = {
                "description": _MEANINGS[status],
                "content": {PROBLEM: {"schema": _REF}},
            }
    return document


def _errors(path: str, method: str) -> frozenset[int]:
    errors = _ALWAYS if path.startswith(_OPEN) else _ALWAYS | {401}
    if "{" in path:
        errors |= _OF_SOMETHING
    return errors if method == "get" else errors | _WRITING


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method in _METHODS:
                yield path, method, operation

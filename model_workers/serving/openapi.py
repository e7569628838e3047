"""``/openapi.json``: each language says what it answers, and here it becomes one document. Pure.

A language's module has ``openapi(worker)``, which gives a fragment: ``paths``, and the schemas that
they refer to, made with the functions below.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Json = dict[str, Any]
JSON = "application/json"


class Fragment(NamedTuple):
    """``paths`` as in OpenAPI; ``schemas`` by the names that :func:`ref` refers to."""

    paths: Mapping[str, Json]
    schemas: Mapping[str, Json]


ERRORS = {
    400: "The request is not understood.",
    403: "This is not for callers from elsewhere.",
    404: "Another model or version than the one served here was named.",
    413: "The body is too large.",
    415: "The body is in an encoding that is not understood.",
    422: "The fault plan is not understood.",
    500: "The model failed, or broke its contract.",
    501: "This is not built in for this model, or needs an extra that is not installed.",
    503: "Too many requests wait, or too many predictions hang: see Retry-After.",
    504: "The model hangs; this request is given up.",
}
PREDICTING = (413, 415, 500, 503, 504)  # what may happen to a prediction in any language
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "One sentence."}},
}


def document(model: str, version: str, fragments: Iterable[Fragment]) -> Json:
    """The whole, of OpenAPI 3.1."""
    found: Json = {"Error": _ERROR}
    paths: Json = {}
    for fragment in fragments:
        paths |= fragment.paths
        found |= fragment.schemas
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Model worker: {model}", "version": version},
        "paths": paths,
        "components": {"schemas": found},
    }


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def operation(
    about: str,
    answer: Json,
    errors: Iterable[int] = (),
    *,
    body: Json | None = None,
    more: Mapping[int, Json] | None = None,
) -> Json:
    """One method of one path. ``answer`` and ``body`` are made with :func:`content`; ``errors`` are
    statuses of the usual answer ``{"error"}``, ``more`` other ones with their content.
    """
    responses = {"200": {"description": "As asked.", "content": answer}}
    for status in errors:
        responses[str(status)] = {"description": ERRORS[status], "content": content(ref("Error"))}
        if status == 503:
            responses["503"]["headers"] = {"Retry-After": {"schema": {"type": "string"}}}
    for status, said in (more or {}).items():
        responses[str(status)] = said
    found: Json = {"summary": about, "responses": dict(sorted(responses.items()))}
    if body is not None:
        found["requestBody"] = {"required": True, "content": body}
    return found


def content(schema: Json, example: Any = None, media: str = JSON) -> Json:
    """A body: its schema, and an example if there is one."""
    found: Json = {"schema": schema}
    return {media: found if example is None else {**found, "example": example}}

"""The description of the API (OpenAPI 3.1), made of the operations and the decoders' own types."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from contraflow.api.operation import JSON, VERSION, Operation
from contraflow.api.problem import MEDIA_TYPE, ProblemBody, status_of
from contraflow.domain.ids import NAME_MAX
from contraflow.engine.papers import ReceiptBody
from contraflow.errors import ErrorCode

PAIR = {"amount", "currency"}  # They come together, or not at all.
REFS = "#/components/schemas/{name}"
REF = re.compile(r"(?<=#/components/schemas/)\w+")
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "With the same key and the same request it happens once; see "
    "draft-ietf-httpapi-idempotency-key-header-07.",
    "schema": {"type": "string", "pattern": f"^[!-.0-~]{{1,{NAME_MAX}}}$", "maxLength": NAME_MAX},
    "example": "order-7-refund-1",
}
PREFER = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`wait=N` answers at the end, or after N seconds; `respond-async` at once.",
    "schema": {"type": "string"},
    "example": "wait=10",
}


def description_of(operations: Sequence[Operation]) -> dict[str, Any]:
    shapes = _shapes_of(operations)
    _, components = msgspec.json.schema_components(shapes, ref_template=REFS)
    schemas: dict[str, Any] = dict(components)
    for schema in schemas.values():
        optional = set(schema.get("properties", ())) - set(schema.get("required", ()))
        if optional >= PAIR:
            schema["dependentRequired"] = {"amount": ["currency"], "currency": ["amount"]}
    schemas = {shown(name): schema for name, schema in schemas.items()}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = described(operation)
    told = {
        "openapi": "3.1.0",
        "info": {
            "title": "contraflow",
            "version": VERSION,
            "summary": "Cancels, voids, closes and refunds payments exactly once.",
            "description": "Amounts are minor units; times are RFC 3339 in UTC.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key."}
            },
        },
    }
    renamed: dict[str, Any] = json.loads(REF.sub(lambda found: shown(found[0]), json.dumps(told)))
    return renamed


def shown(name: str) -> str:
    """A resource is called as the field calls it."""
    return "Receipt" if name == ReceiptBody.__name__ else name.removesuffix("Shape")


def described(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.about,
        "tags": [operation.path.split("/")[2] if operation.path.count("/") > 1 else "health"],
        "parameters": [*parameters_of(operation)],
        "responses": responses_of(operation),
        "security": [] if operation.scope is None else [{"key": [str(operation.scope)]}],
    }
    if operation.body is not None:
        content: dict[str, Any] = {"schema": schema_of(operation.body)}
        if operation.example is not None:
            content["example"] = operation.example
        told["requestBody"] = {"required": True, "content": {JSON: content}}
    elif operation.takes:
        text = {"schema": {"type": "string"}}
        told["requestBody"] = {"required": True, "content": dict.fromkeys(operation.takes, text)}
    return told


def parameters_of(operation: Operation) -> Iterable[dict[str, Any]]:
    for part in operation.path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            schema = {"type": "string", "minLength": 1, "maxLength": NAME_MAX}
            yield {"name": name, "in": "path", "required": True, "schema": schema}
    fields: dict[str, Any] = inlined(operation.query)["properties"]
    for name, schema in fields.items():
        plain = {key: value for key, value in schema.items() if key != "default"}
        yield {"name": name, "in": "query", "required": False, "schema": _without_null(plain)}
    if operation.is_money:
        yield KEY
    if operation.may_wait:
        yield PREFER


def responses_of(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status, shape in operation.answers.items():
        told[str(status)] = {"description": WORDS[status]}
        if shape is not None:
            told[str(status)]["content"] = {operation.gives: {"schema": schema_of(shape)}}
    problem = {MEDIA_TYPE: {"schema": schema_of(ProblemBody)}}
    for status in sorted(refusals_of(operation)):
        told[str(status)] = {"description": WORDS[status], "content": problem}
    return told


def refusals_of(operation: Operation) -> set[int]:
    """The statuses of its problems."""
    found = {400, 431, 503}
    if operation.scope is not None:
        found |= {401, 403, 429}
    if "{" in operation.path or "cursor" in operation.query.__struct_fields__:
        found.add(404)
    if operation.body is not None or operation.takes:
        found |= {408, 413, 415}
    if operation.is_money:
        found |= {404, 409, *(status_of(code) for code in ErrorCode)}
    return found | set(operation.refuses)


def schema_of(shape: Any) -> dict[str, Any]:
    [schema], _ = msgspec.json.schema_components([shape], ref_template=REFS)
    return schema


def inlined(shape: Any) -> dict[str, Any]:
    """Without a reference to itself, as parameters need it."""
    [schema], components = msgspec.json.schema_components([shape], ref_template=REFS)
    found: dict[str, Any] = components[schema["$ref"].rpartition("/")[2]]
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not there is left out; there is no null in a query."""
    choices = [each for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(choices) == 1:
        return {**{key: v for key, v in schema.items() if key != "anyOf"}, **choices[0]}
    if "enum" in schema:
        return {**schema, "enum": [each for each in schema["enum"] if each is not None]}
    return schema


def _shapes_of(operations: Sequence[Operation]) -> list[Any]:
    shapes: list[Any] = [ProblemBody, ReceiptBody]
    for operation in operations:
        shapes += [shape for shape in operation.answers.values() if shape is not None]
        if operation.body is not None:
            shapes.append(operation.body)
    return list(dict.fromkeys(shapes))


WORDS = {
    200: "As it is now.",
    201: "At its end, whichever that is: the resource says.",
    202: "Accepted, and not at its end; Location says where to look.",
    204: "Kept.",
    400: "The request has not the form that is described here.",
    401: "No valid key, or no valid signature.",
    403: "The key may not do this.",
    404: "Not there for this key.",
    408: "The body came too slowly.",
    409: "In conflict with what is there; or the same key is being decided.",
    410: "Not there any more.",
    413: "The body is too large.",
    415: "Not the media type that is taken.",
    422: "The rules refuse it; or the key was used for another request.",
    429: "Too many requests; Retry-After says when to come again.",
    431: "The headers are too large.",
    503: "Not now; Retry-After says when to come again.",
}

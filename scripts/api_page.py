"""The reference page of the HTTP API, from the same description that the server gives."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contraflow.api.openapi import description_of
from contraflow.api.table import OPERATIONS
from contraflow.requests.scopes import ROLES, Scope

Schema = Mapping[str, Any]
COMMON = """\
Where a scope is named, `Authorization: Bearer KEY` is needed.
A body is JSON in UTF-8, every name once, and unknown names are refused.
Amounts are whole minor units, times RFC 3339 in UTC.
Trouble is a problem (RFC 9457) with a [code](errors.md).
A list is the newest first; its `next` is a cursor for the same filters, told in `Link`, too."""


def api_parts() -> Iterator[str]:
    described = description_of(OPERATIONS)
    schemas: Mapping[str, Schema] = described["components"]["schemas"]
    yield COMMON
    yield "## Roles of keys"
    yield table_of(("Role", "Scopes"), [(role, ", ".join(each)) for role, each in ROLES.items()])
    yield f"A key may also be given single scopes: {', '.join(f'`{scope}`' for scope in Scope)}."
    yield "## Operations"
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield from operation_parts(method.upper(), path, operation, schemas)
    yield "## Resources"
    for name in shown_in(described):
        yield f"### {name}"
        schema = schemas[name]
        if text := schema.get("description"):
            yield str(text)
        yield fields_of(schema)


def operation_parts(
    method: str, path: str, operation: Mapping[str, Any], schemas: Mapping[str, Schema]
) -> Iterator[str]:
    yield f"### {method} {path}"
    yield str(operation["summary"])
    security = operation["security"]
    scope = f"`{security[0]['key'][0]}`" if security else "none"
    answers = [
        f"{status} {type_of(each['schema'])}".strip()
        for status, answer in operation["responses"].items()
        if status < "300"
        for each in (list(answer.get("content", {}).values()) or [{"schema": {}}])
    ]
    yield f"Scope: {scope}. Answers: {', '.join(answers)}."
    rows = [
        (p["name"], p["in"], "yes" if p["required"] else "", type_of(p["schema"]))
        for p in operation["parameters"]
    ]
    if rows:
        yield table_of(("Parameter", "In", "Required", "Type"), rows)
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        if "$ref" in content["schema"]:
            yield fields_of(schemas[name_in(content["schema"])])
        else:
            yield f"The body is `{media_type}`."
        if "example" in content:
            yield f"```json\n{json.dumps(content['example'], ensure_ascii=False)}\n```"


def shown_in(described: Mapping[str, Any]) -> list[str]:
    """The schemas of answers, and what they are made of; bodies stand with their operations."""
    bodies = {
        name_in(content["schema"])
        for methods in described["paths"].values()
        for operation in methods.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    }
    return sorted(name for name in described["components"]["schemas"] if name not in bodies)


def fields_of(schema: Schema) -> str:
    required = set(schema.get("required", ()))
    rows = [
        (name, "yes" if name in required else "", type_of(each), str(each.get("description", "")))
        for name, each in schema.get("properties", {}).items()
    ]
    if not rows:
        return f"One of: {type_of(schema)}."
    return table_of(("Field", "Required", "Type", ""), rows)


def type_of(schema: Schema) -> str:
    if "$ref" in schema:
        return f"[{name_in(schema)}](#{name_in(schema).lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_of(each) for each in schema["anyOf"]))
    if "enum" in schema:
        words = [str(word) for word in schema["enum"]]
        return "a currency of ISO 4217" if len(words) > 50 else ", ".join(f"`{w}`" for w in words)
    sort = str(schema.get("type", ""))
    match sort:
        case "array":
            return f"list of {type_of(schema.get('items', {}))}"
        case "object" if schema.get("additionalProperties"):
            return "object of texts"
        case "string" if schema.get("format"):
            return str(schema["format"])
    return sort + bounds_of(schema)


def bounds_of(schema: Schema) -> str:
    least = schema.get("minimum", schema.get("minLength"))
    most = schema.get("maximum", schema.get("maxLength"))
    if most is None:
        return ""
    unit = " characters" if "maxLength" in schema else ""
    return f", {least}..{most}{unit}" if least is not None else f", at most {most}{unit}"


def name_in(schema: Schema) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def table_of(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown, without the columns in which no row has anything to say."""
    columns = [n for n in range(len(heads)) if any(row[n] for row in rows)]
    lines = [[line[n] for n in columns] for line in (heads, ("---",) * len(heads), *rows)]
    return "\n".join(f"| {' | '.join(c.replace('|', chr(92) + '|') for c in r)} |" for r in lines)

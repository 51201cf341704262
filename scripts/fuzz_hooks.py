"""What schemathesis cannot know of our API from its description.

* Our integers are written as integers: for JSON Schema `7.0` is one, for money it is none.
* Every request has an idempotency key of its own; that a key is used twice is in the tests.
* A file has the form of CSV, or of one JSON object a line, which JSON Schema cannot say.
"""

from __future__ import annotations

import itertools
import json
import os
from typing import Any

import schemathesis
from hypothesis import strategies as st

COUNT = itertools.count()
LINES = st.lists(
    st.tuples(st.sampled_from(["tea-1", "tea-2", "none"]), st.integers(1, 10**15)),
    min_size=1,
    max_size=5,
)


def csv_of(lines: list[tuple[str, int]]) -> bytes:
    rows = "".join(f"{payment},{amount},GBP\n" for payment, amount in lines)
    return f"payment,amount,currency\n{rows}".encode()


def ndjson_of(lines: list[tuple[str, int]]) -> bytes:
    told = ({"payment": p, "amount": amount, "currency": "GBP"} for p, amount in lines)
    return "".join(json.dumps(each) + "\n" for each in told).encode()


schemathesis.openapi.media_type("text/csv", LINES.map(csv_of))
schemathesis.openapi.media_type("application/x-ndjson", LINES.map(ndjson_of))


@schemathesis.hook
def map_headers(context: Any, headers: Any) -> Any:  # noqa: ARG001 schemathesis calls it so
    if isinstance(headers, dict) and "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = f"fuzz-{os.getpid()}-{next(COUNT)}"
    return headers


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:  # noqa: ARG001
    if isinstance(body, dict):
        return {name: written(value) for name, value in body.items()}
    return body


def written(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value

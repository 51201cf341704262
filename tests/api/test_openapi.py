"""The description of the API is true: it is made of what decodes, and what it shows works."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shop import Shop

from contraflow.api.body import read_body
from contraflow.api.openapi import description_of
from contraflow.api.table import OPERATIONS

Open = Callable[..., None]
DESCRIBED = description_of(OPERATIONS)
CHANGING = [each for each in OPERATIONS if each.method in ("POST", "PATCH", "PUT")]


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            if name == "$ref":
                yield each
            else:
                yield from references_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from references_in(each)


def test_every_reference_leads_somewhere() -> None:
    schemas = DESCRIBED["components"]["schemas"]
    wanted = {name.rpartition("/")[2] for name in references_in(DESCRIBED)}

    assert wanted == set(schemas)


@pytest.mark.parametrize("operation", CHANGING, ids=lambda each: each.name)
def test_a_body_is_described_and_has_no_room_for_more(operation: Any) -> None:
    told = DESCRIBED["paths"][operation.path][operation.method.lower()]
    if operation.name == "take_notice":
        return  # It has the form of its channel.
    content = told["requestBody"]["content"]
    for media_type, each in content.items():
        if media_type == "application/json":
            schema = DESCRIBED["components"]["schemas"][each["schema"]["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False
            assert set(schema["properties"]) == set(operation.body.__struct_fields__)
        else:
            assert media_type in operation.takes


@pytest.mark.parametrize("operation", CHANGING, ids=lambda each: each.name)
def test_an_example_is_what_is_taken(operation: Any) -> None:
    if operation.body is None:
        return
    assert operation.example is not None, "a POST without an example"

    read_body(json.dumps(operation.example).encode(), operation.body)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
def test_every_answer_and_every_refusal_is_described(operation: Any) -> None:
    told = DESCRIBED["paths"][operation.path][operation.method.lower()]["responses"]

    assert set(told) >= {str(status) for status in operation.answers}
    for status, answer in told.items():
        if status >= "400":
            assert list(answer["content"]) == ["application/problem+json"]
    if operation.scope is not None:
        assert set(told) >= {"401", "403", "429", "503"}
    if operation.is_money:
        assert set(told) >= {"400", "404", "409", "413", "415", "422"}


def test_the_server_gives_its_own_description(at_door: Open) -> None:
    async def work(shop: Shop) -> None:
        status, told = await shop.get("/openapi.json")

        assert status == 200
        assert told == json.loads(json.dumps(DESCRIBED))

    at_door(work)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/v1/payments/a/b/c", 404, "not_found"),
        ("GET", "/v1/payments/a%2Fb", 404, "not_found"),
        ("DELETE", "/v1/refunds", 405, "method_not_allowed"),
        ("PUT", "/v1/refunds/x", 405, "method_not_allowed"),
        ("PATCH", "/healthz", 405, "method_not_allowed"),
        ("GET", "/v1/errors/none", 404, "not_found"),
    ],
)
def test_trouble_is_a_problem_everywhere(
    at_door: Open, method: str, path: str, status: int, code: str
) -> None:
    async def work(shop: Shop) -> None:
        async with shop.send(method, path, Request_Id="mine-7") as reply:
            assert reply.status == status
            assert reply.content_type == "application/problem+json"
            assert reply.headers["Request-Id"] == "mine-7"
            assert "Access-Control-Allow-Origin" not in reply.headers
            assert (status == 405) == ("Allow" in reply.headers)
            problem = await reply.json(content_type=None)
        assert problem["code"] == code
        assert (await shop.get(problem["type"]))[1]["code"] == code

    at_door(work)

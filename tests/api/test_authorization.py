"""Who may do what: every role, owner and state of a key, at every operation of the description."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from shop import Shop

from contraflow.api.openapi import description_of
from contraflow.api.table import OPERATIONS
from contraflow.requests.scopes import ROLES, Scope
from contraflow.requests.tokens import token_of

Open = Callable[..., None]
DESCRIBED = description_of(OPERATIONS)
LOOPBACK = {"webhooks_to_loopback": True}
CSV = b"payment,amount,currency\npay_1,1,CNY\n"


def operations() -> Iterator[tuple[str, str, str, Any]]:
    """Method, path, the scope that it needs, and its body as the description shows it."""
    for path, methods in DESCRIBED["paths"].items():
        for method, operation in methods.items():
            for security in operation["security"]:
                content = operation.get("requestBody", {}).get("content", {})
                body = content.get("application/json", {}).get("example")
                sort = next(iter(content), "")
                yield method.upper(), path, security["key"][0], (sort, body)


GUARDED = list(operations())
CHANCES = iter(range(1, 1_000))


def fresh_token(mode: str = "test") -> str:
    return token_of(mode, next(CHANCES).to_bytes(32, "little"))


async def names_in(shop: Shop) -> dict[str, str]:
    """One object of each sort, all of them made with the first key."""
    await shop.record()
    _, refund = await shop.refund(prefer="wait=5")
    hook = {"url": "http://127.0.0.1:9/x"}
    _, endpoint = await shop.post("/v1/webhook-endpoints", hook)
    _, delivery = await shop.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", {})
    async with shop.send(
        "POST", "/v1/refund-batches", CSV, "batch", Content_Type="text/csv"
    ) as reply:
        batch = await reply.json()
    return {
        "payments": "pay_1",
        "refunds": refund["id"],
        "reversals": refund["id"],
        "webhook-endpoints": endpoint["id"],
        "refund-batches": batch["id"],
        "delivery": delivery["id"],
    }


async def answer(
    shop: Shop, token: str, method: str, path: str, body: Any, **headers: str
) -> tuple[int, Any]:
    sort, example = body
    sent = None if not sort else CSV if example is None else example
    shop.asked += 1
    key = f"auth-{shop.asked}"
    told = {"Authorization": f"Bearer {token}", "Content_Type": sort} | headers
    async with shop.send(method, path, sent, key, **told) as reply:
        text = await reply.read()
    is_json = text[:1] == b"{"
    return reply.status, json.loads(text) if is_json else text


def placed(path: str, names: dict[str, str]) -> str:
    resource = path.split("/")[2] if path.count("/") > 1 else ""
    name = names.get(resource, "none")
    return path.replace("{id}", name).replace("{delivery}", names["delivery"])


def test_there_is_a_scope_for_all_but_the_open_addresses() -> None:
    guarded = {(method, path) for method, path, _, _ in GUARDED}
    every = {(m.upper(), p) for p, methods in DESCRIBED["paths"].items() for m in methods}

    assert {path for _, path in every - guarded} == {
        *("/healthz", "/readyz", "/v1/errors/{code}", "/openapi.json", "/notices"),
    }
    assert {scope for _, _, scope, _ in GUARDED} == {str(scope) for scope in Scope}


@pytest.mark.parametrize(
    "scopes",
    [*ROLES.values(), *((scope,) for scope in Scope), ()],
    ids=lambda scopes: " ".join(scopes) or "none",
)
def test_a_key_may_do_what_its_scopes_say_and_nothing_else(
    at_door: Open, scopes: tuple[Scope, ...]
) -> None:
    async def work(shop: Shop) -> None:
        names, token = await names_in(shop), fresh_token()
        await shop.admit(token, scopes=tuple(str(scope) for scope in scopes))
        for method, path, scope, body in GUARDED:
            status, told = await answer(shop, token, method, placed(path, names), body)
            if scope in scopes:
                assert status not in (401, 403), (method, path, told)
                assert status < 500
            else:
                assert (status, told["code"]) == (403, "forbidden"), (method, path)

    at_door(work, **LOOPBACK)


@pytest.mark.parametrize(
    ("whose", "mode"),
    [
        ({"tenant": "other"}, "test"),
        ({"merchant": "berlin"}, "test"),
        ({}, "live"),
    ],
    ids=["tenant", "merchant", "mode"],
)
def test_what_is_not_its_own_does_not_exist_for_a_key(
    at_door: Open, whose: dict[str, str], mode: str
) -> None:
    """Foreign and unknown are told apart by nothing, and no list or figure shows the foreign."""

    async def work(shop: Shop) -> None:
        names, token = await names_in(shop), fresh_token(mode)
        await shop.admit(token, **whose)
        unknown = dict.fromkeys(names, "nothing")
        before = await shop.get("/v1/payments/pay_1")
        for method, path, _, body in GUARDED:
            if "{" in path:
                foreign = await answer(shop, token, method, placed(path, names), body)
                nobody = await answer(shop, token, method, placed(path, unknown), body)
                assert foreign[0] == nobody[0] == 404, (method, path, foreign)
                assert stripped(foreign[1]) == stripped(nobody[1]), (method, path)
            elif method == "GET" and path != "/metrics":
                _, page = await answer(shop, token, method, path, body)
                for name in names.values():
                    assert name not in json.dumps(page), (path, name)
        for path in ("/v1/refunds", "/v1/reversals"):
            wish = {"payment": "pay_1", "amount": 1, "currency": "CNY"}
            status, told = await answer(shop, token, "POST", path, ("application/json", wish))
            assert (status, told["code"]) == (404, "payment_unknown")
        assert await shop.get("/v1/payments/pay_1") == before

    at_door(work, **LOOPBACK)


def stripped(problem: dict[str, Any]) -> dict[str, Any]:
    """Without what differs with every request, or only repeats the name that was asked for."""
    receipt = {n: v for n, v in problem.get("receipt", {}).items() if n not in ("at", "detail")}
    told = {n: v for n, v in problem.items() if n not in ("request_id", "detail", "receipt")}
    return told | {"receipt": receipt}


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ({"revoked_at": 1}, 401),
        ({"expires_at": 1}, 401),
        ({"networks": ("10.0.0.0/8",)}, 403),
        ({"networks": ("127.0.0.0/8", "10.0.0.0/8")}, 200),
        ({}, 200),
    ],
    ids=["revoked", "expired", "elsewhere", "here", "good"],
)
def test_a_key_opens_nothing_once_it_is_no_good(
    at_door: Open, state: dict[str, Any], status: int
) -> None:
    async def work(shop: Shop) -> None:
        token = fresh_token()
        await shop.admit(token, **state)
        for method, path, _, body in GUARDED:
            if "{" in path or (method == "POST" and status == 200):
                continue
            found, _ = await answer(shop, token, method, path, body)
            assert found == status, (method, path)

    at_door(work)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic Y2Y6eA==",
        "Token {}",
        "{}",
        "Bearer {}x",
        "Bearer x{}",
        "Bearer {} {}",
        "Bearer " + fresh_token(),
        "Bearer cf_test_" + "a" * 60,
        "Bearer " + "x" * 5_000,
    ],
)
def test_without_a_key_there_is_nothing(at_door: Open, told: str) -> None:
    async def work(shop: Shop) -> None:
        for method, path, _, body in GUARDED[:6]:
            header = told.replace("{}", shop.token)
            async with shop.send(
                method, path, body[1], "k", Authorization=header, Content_Type=body[0]
            ) as reply:
                assert reply.status == 401, (method, path)
                assert reply.headers["WWW-Authenticate"].startswith("Bearer ")

    at_door(work)

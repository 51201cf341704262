"""The door for programs: every operation becomes a route, and every trouble an answer."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import HttpMethod, Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from contraflow.api.admission import admit, unwritable
from contraflow.api.desk import Desk
from contraflow.api.operation import VERSION, Answer, Operation
from contraflow.api.problem import MEDIA_TYPE, Problem
from contraflow.api.request import Request as Asked
from contraflow.errors import DoorCode, Overloaded, StoreUnwritable

HANDLED_MAX = 8_192  # More than may wait for a commit, so that health is still told.
REQUEST_ID_MAX = 64
ALWAYS = {
    "contraflow-version": VERSION,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
}
CODES = {
    404: DoorCode.NOT_FOUND,
    405: DoorCode.METHOD_NOT_ALLOWED,
    413: DoorCode.BODY_TOO_LARGE,
    415: DoorCode.MEDIA_TYPE_UNSUPPORTED,
}
GOING = {"retry-after": "1", "connection": "close"}
LOG = logging.getLogger("contraflow")
ENCODER = msgspec.json.Encoder()


def application(desk: Desk, operations: Sequence[Operation]) -> Litestar:
    return Litestar(
        route_handlers=[
            # First, or Litestar makes its own, which knows one method only.
            *(options_for(path, operations) for path in sorted({o.path for o in operations})),
            *(route_for(desk, operation) for operation in operations),
        ],
        exception_handlers={HTTPException: _no_route},
        openapi_config=None,  # It is made of the operations; see openapi.py.
        logging_config=None,
        debug=False,
    )


def route_for(desk: Desk, operation: Operation) -> HTTPRouteHandler:
    async def act(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await serve(desk, operation, Asked(request.scope, request.receive))

    path = operation.path.replace("}", ":str}")
    route = HTTPRouteHandler(path, http_method=HttpMethod(operation.method), name=operation.name)
    return route(act)


def options_for(path: str, operations: Sequence[Operation]) -> HTTPRouteHandler:
    """What may be done at an address."""
    methods = sorted({o.method for o in operations if o.path == path} | {"OPTIONS"})

    async def tell(request: Request[Any, Any, Any]) -> Response[bytes]:
        headers = {**ALWAYS, "request-id": id_of(Asked(request.scope, request.receive))}
        return Response(b"", status_code=204, headers=headers | {"allow": ", ".join(methods)})

    return HTTPRouteHandler(path.replace("}", ":str}"), http_method=HttpMethod.OPTIONS)(tell)


async def serve(desk: Desk, operation: Operation, request: Asked) -> Response[bytes]:
    began = time.perf_counter()
    response = await answer(desk, operation, request)
    status = str(response.status_code)
    desk.gauges.answers.labels(operation.name, status).inc()
    desk.gauges.seconds.labels(operation.name).observe(time.perf_counter() - began)
    return response


async def answer(desk: Desk, operation: Operation, request: Asked) -> Response[bytes]:
    request_id = id_of(request)
    if desk.handled >= HANDLED_MAX:
        return told(request, request_id, overloaded("too many requests at once"))
    desk.handled += 1
    try:
        done = await operation.act(desk, await admit(desk, operation, request))
    except Problem as problem:
        return told(request, request_id, problem)
    except Overloaded as error:
        return told(request, request_id, overloaded(str(error)))
    except StoreUnwritable:
        return told(request, request_id, unwritable())
    except AssertionError as error:
        # A broken promise of ours is no answer: it ends the process.
        desk.parts.runtime.spawn(_fail(error))
        return told(request, request_id, Problem(503, DoorCode.ENDING, headers=GOING))
    except Exception:
        LOG.exception("request %s has failed", request_id)
        return told(request, request_id, Problem(500, DoorCode.INTERNAL))
    finally:
        desk.handled -= 1
    return given(desk, request, request_id, done)


def id_of(request: Asked) -> str:
    """The caller's own word for it, if it is a plain one; else one of ours."""
    own = request.headers.get("request-id", "")
    is_plain = own.isascii() and own.replace("-", "").replace("_", "").isalnum()
    return own if is_plain and len(own) <= REQUEST_ID_MAX else secrets.token_hex(8)


def given(desk: Desk, request: Asked, request_id: str, answer: Answer) -> Response[bytes]:
    body = answer.body if isinstance(answer.body, bytes) else ENCODER.encode(answer.body)
    headers = {**ALWAYS, "request-id": request_id, **answer.headers}
    if request.rate:
        headers["ratelimit"] = request.rate
        headers["ratelimit-policy"] = desk.key_rates.policy
    return Response(body, status_code=answer.status, media_type=answer.media_type, headers=headers)


def told(request: Asked, request_id: str, problem: Problem) -> Response[bytes]:
    headers = {**ALWAYS, "request-id": request_id, **problem.headers}
    if request.rate:
        headers["ratelimit"] = request.rate
    return Response(
        problem.body(request_id),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def overloaded(detail: str) -> Problem:
    return Problem(503, DoorCode.OVERLOADED, detail, headers={"retry-after": "1"})


def _no_route(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the routes themselves refuse: no such address, or no such method there."""
    asked = Asked(request.scope, request.receive)
    status = error.status_code if error.status_code in CODES else HTTPStatus.NOT_FOUND
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    problem = Problem(status, CODES[status], headers=headers)
    return told(asked, id_of(asked), problem)


async def _fail(error: AssertionError) -> None:
    raise error

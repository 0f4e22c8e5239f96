"""The server's application: one that only says how far it is, and once the model is loaded the one that serves it."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

import holdfast
from holdfast.serving import receiving
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import answering
from holdfast.serving.hosted.answering import Keyed, Measured, Weighed
from holdfast.serving.hosted.clients import GONE, ClientGoneError
from holdfast.serving.hosted.endpoints.health import Health
from holdfast.serving.hosted.service import Service

_MOST_BODIES = 64
"""Of the longest that is taken: what all requests in hand may hold together."""

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Front:
    """What uvicorn calls. `app` is replaced when there is more to answer with; what is around it stays."""

    def __init__(self, service: Service, app: ASGIApp, keys: Sequence[str] = ()) -> None:
        self.app = app
        held = Weighed(self._pass, _MOST_BODIES * service.bounds.max_body_mib * 2**20)
        self._around = Measured(Keyed(held, keys), service.answered)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._around(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def bare(service: Service, routers: Sequence[APIRouter], description: str, found: str) -> FastAPI:
    """An application of these routes. found: what a path that is not among them is answered with, besides 404."""
    app = FastAPI(
        title=f"holdfast: {service.names[0]}",
        version=holdfast.__version__,
        description=description,
        docs_url=None,
        redoc_url=None,
        # They would lead to whatever host the request names.
        redirect_slashes=False,
    )
    for router in routers:
        app.include_router(router)

    async def refuse_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code != 404:
            return await receiving.refuse_route(request, error)
        return receiving.refusal(RequestError(404, f"{request.method} {request.url.path} is not served here; {found}"))

    app.add_exception_handler(RequestError, receiving.refuse)
    app.add_exception_handler(HTTPException, refuse_route)
    app.add_exception_handler(RequestValidationError, _refuse_parameters)
    app.add_exception_handler(ClientGoneError, _leave)
    app.add_exception_handler(ClientDisconnect, _leave)
    app.add_exception_handler(Exception, _fail)
    return app


def loading(service: Service) -> FastAPI:
    """The application until the model is loaded: every request for the model is answered 503."""

    async def wait(request: Request) -> Response:
        raise RequestError(503, f"the server is {service.lifecycle.phase.value}: {service.lifecycle.reason}")

    waiting = APIRouter()
    waiting.add_api_route(answering.CATCH_ALL, wait, methods=_METHODS, include_in_schema=False)
    return bare(service, [Health(service).router(), waiting], "The model is being loaded.", "")


async def _refuse_parameters(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    name = str(first["loc"][-1])
    said = str(first["msg"]).removeprefix("Input should be ")
    return receiving.refusal(RequestError(400, f"{name} must be {said}, not {first['input']!r:.60}", param=name))


async def _fail(request: Request, _: Exception) -> Response:
    return answering.failure(request.scope)


async def _leave(_: Request, __: Exception) -> Response:
    return Response(status_code=GONE)

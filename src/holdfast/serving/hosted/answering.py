"""What is done around every HTTP request, whatever it asks for: measured, named, its key asked for. Plain ASGI, so that
streams pass unbuffered."""

from __future__ import annotations

import hmac
import logging
import re
import time
import uuid
from collections.abc import Callable, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast.serving import receiving
from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.clients import GONE, left

REQUEST_ID = "x-request-id"
_LOG = logging.getLogger("holdfast.serving")
_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
_OPEN = frozenset({"/", "/health", "/readiness", "/metrics", "/docs", "/openapi.json"})
CATCH_ALL = "/{path:path}"
Answered = Callable[[str, str, int, float], None]


class Measured:
    """Tells `answered` the route, method, status and seconds of every answer, and gives each its id. What was not
    foreseen is answered 500; the id finds it in the log."""

    def __init__(self, app: ASGIApp, answered: Answered) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s, status = time.monotonic(), 0
        scope[REQUEST_ID] = request_id = _request_id(scope)

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            try:
                await send(message)
            except RuntimeError as error:
                # uvloop says so of a connection that was reset; uvicorn hears of it a little later.
                if "handler is closed" not in str(error):
                    raise
                await left(receive)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            _LOG.exception("a request failed id=%s %s %s", request_id, scope["method"], scope["path"])
            if not status:
                await failure(scope)(scope, receive, sending)
        finally:
            self._answered(_route(scope), scope["method"], status or GONE, time.monotonic() - began_s)


def failure(scope: Scope) -> Response:
    """The answer to a request that failed in a way that was not foreseen."""
    message = f"the server failed on this request; its log has it by the id {scope[REQUEST_ID]}"
    return receiving.refusal(RequestError(500, message))


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def _route(scope: Scope) -> str:
    # A mounted application writes the routes within it into the scope.
    path = scope.get("root_path") or getattr(scope.get("route"), "path", None)
    return "other" if not path or path == CATCH_ALL else str(path)


class Weighed:
    """Refuses a body where those of all requests in hand would come to more than `most` bytes together: each by itself
    is bounded, and how many clients send one is not."""

    def __init__(self, app: ASGIApp, most: float) -> None:
        self._app = app
        self._most = most
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = 0

        async def weighing() -> Message:
            nonlocal own
            message = await receive()
            size = len(message.get("body", b""))
            if self._held + size > self._most:
                raise RequestError(429, "the requests in hand hold too much; ask again later", code="queue_full")
            own += size
            self._held += size
            return message

        try:
            await self._app(scope, weighing, send)
        finally:
            self._held -= own


class Keyed:
    """Asks for one of the keys as a bearer token, but for what probes, scrapers and readers of the API's page fetch."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if self._keys and scope["type"] == "http" and scope["path"] not in _OPEN and not self._fits(scope):
            app = receiving.refusal(RequestError(401, "give a key of this server: Authorization: Bearer KEY"))
        await app(scope, receive, send)

    def _fits(self, scope: Scope) -> bool:
        scheme, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        token = given.strip().encode("latin-1")
        fits = [hmac.compare_digest(token, key) for key in self._keys]
        return scheme.lower() == "bearer" and any(fits)

"""The HTTP face of an emulated accelerator, as a Starlette application."""

from __future__ import annotations

import abc
import asyncio
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from holdfast.serving import metrics, openai
from holdfast.serving.device import Device, Ticket
from holdfast.serving.engine import ContinuousBatching
from holdfast.serving.lifecycle import Lifecycle, Phase
from holdfast.serving.metrics import Metrics
from holdfast.serving.openai import Generation, RequestError, Served, Wording
from holdfast.serving.profiles import Profile

_RETRY_AFTER = {"retry-after": "1"}
_MAX_NOTICE_S = 86400.0


class Face:
    """The endpoints of one server. `profile` is in wall time; `withdraw` is told the notice in seconds."""

    def __init__(
        self,
        profile: Profile,
        *,
        time_scale: float,
        device: Device,
        lifecycle: Lifecycle,
        published: Metrics,
        withdraw: Callable[[float], None],
    ) -> None:
        self._profile = profile
        self._time_scale = time_scale
        self._device = device
        self._lifecycle = lifecycle
        self._metrics = published
        self._withdraw = withdraw
        self._created = int(time.time())
        shape = profile.device
        length = shape.max_model_len if isinstance(shape, ContinuousBatching) else 0
        self._served = Served(profile.model, length, profile.answer_tokens)

    def app(self) -> Starlette:
        """The application: the endpoints that suit the model's task, and those that every server has."""
        routes = [
            Route("/health", self._health),
            Route("/readiness", self._readiness),
            Route("/metrics", self._exposition),
            Route("/v1/models", self._models),
            Route("/emulation/withdraw", self._withdrawal, methods=["POST"]),
        ]
        if isinstance(self._profile.device, ContinuousBatching):
            routes.append(Route("/v1/completions", self._completion, methods=["POST"]))
            routes.append(Route("/v1/chat/completions", self._chat, methods=["POST"]))
        else:
            routes.append(Route("/v1/images/generations", self._images, methods=["POST"]))
        return Starlette(routes=routes, exception_handlers={RequestError: _refuse, HTTPException: _refuse_route})

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _readiness(self, _: Request) -> Response:
        status = 200 if self._lifecycle.phase is Phase.READY else 503
        return JSONResponse(
            {"status": self._lifecycle.phase.value, "reason": self._lifecycle.reason}, status_code=status
        )

    async def _exposition(self, _: Request) -> Response:
        return Response(self._metrics.exposition(), headers={"content-type": metrics.CONTENT_TYPE})

    async def _models(self, _: Request) -> Response:
        model: dict[str, Any] = {
            "id": self._profile.model,
            "object": "model",
            "created": self._created,
            "owned_by": "holdfast",
            "emulated": {
                "unit": self._profile.name,
                "time_scale": self._time_scale,
                "source": self._profile.source,
                "caveats": self._profile.caveats,
            },
        }
        if self._served.max_model_len:
            model["max_model_len"] = self._served.max_model_len
        return JSONResponse({"object": "list", "data": [model]})

    async def _withdrawal(self, request: Request) -> Response:
        notice_s = _notice_s(await request.body())
        self._withdraw(notice_s)
        return JSONResponse({"status": self._lifecycle.phase.value, "notice_s": notice_s}, status_code=202)

    async def _completion(self, request: Request) -> Answer:
        return await self._generate(request, chat=False)

    async def _chat(self, request: Request) -> Answer:
        return await self._generate(request, chat=True)

    async def _generate(self, request: Request, *, chat: bool) -> Answer:
        self._require_ready()
        generation = openai.read_generation(await request.body(), self._served, chat=chat)
        ticket = self._admit(generation.prompt_tokens, generation.outputs)
        wording = Wording(generation, ticket.key)
        if generation.stream:
            return StreamedAnswer(self._device, self._metrics, ticket, generation, wording)
        return WholeAnswer(self._device, self._metrics, ticket, generation.finish_reason, wording.body)

    async def _images(self, request: Request) -> Answer:
        self._require_ready()
        count = openai.read_images(await request.body(), self._profile.model)
        ticket = self._admit(0, count)
        return WholeAnswer(self._device, self._metrics, ticket, "stop", lambda: openai.images_body(count))

    def _require_ready(self) -> None:
        if self._lifecycle.phase is not Phase.READY:
            raise RequestError(503, f"the server is {self._lifecycle.phase.value}: {self._lifecycle.reason}")

    def _admit(self, prompt_tokens: int, outputs: int) -> Ticket:
        ticket = self._device.submit(prompt_tokens, outputs)
        if ticket is None:
            raise RequestError(429, "the queue is full; try again later", code="queue_full")
        return ticket


class Answer(abc.ABC):
    """The response to a request on the device. When the client goes away, the device forgets the request."""

    def __init__(self, device: Device, published: Metrics, ticket: Ticket, finish_reason: str) -> None:
        self._device = device
        self._metrics = published
        self._ticket = ticket
        self._finish_reason = finish_reason

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._until_gone(receive), name=f"client of {self._ticket.key}")
                if await self._send(send):
                    self._metrics.request_ended(self._ticket, self._finish_reason)
                watch.cancel()
        finally:
            self._device.cancel(self._ticket)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._device.cancel(self._ticket)

    @abc.abstractmethod
    async def _send(self, send: Send) -> bool:
        """Send the answer; False when it was given up on the way."""


class WholeAnswer(Answer):
    """One JSON body, sent when all the output is there."""

    def __init__(
        self, device: Device, published: Metrics, ticket: Ticket, finish_reason: str, body: Callable[[], bytes]
    ) -> None:
        super().__init__(device, published, ticket, finish_reason)
        self._body = body

    async def _send(self, send: Send) -> bool:
        if not await self._ticket.reach(self._ticket.outputs):
            return False
        body = self._body()
        await send(_start(b"application/json", (b"content-length", str(len(body)).encode())))
        await send({"type": "http.response.body", "body": body})
        return True


class StreamedAnswer(Answer):
    """Server-sent events, one per token, sent as the tokens are made."""

    def __init__(
        self, device: Device, published: Metrics, ticket: Ticket, generation: Generation, wording: Wording
    ) -> None:
        super().__init__(device, published, ticket, generation.finish_reason)
        self._wording = wording

    async def _send(self, send: Send) -> bool:
        await send(_start(b"text/event-stream; charset=utf-8", (b"cache-control", b"no-cache")))
        ticket, seen = self._ticket, 0
        while seen < ticket.outputs:
            if not await ticket.reach(seen + 1):
                return False
            produced = ticket.produced
            events = self._wording.events(seen, produced)
            await send({"type": "http.response.body", "body": events, "more_body": produced < ticket.outputs})
            seen = produced
        return True


def _start(content_type: bytes, header: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [(b"content-type", content_type), header]}


def _notice_s(body: bytes) -> float:
    try:
        fields = json.loads(body or b"{}")
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is not JSON ({error})") from error
    value = fields.get("notice_s", 0) if isinstance(fields, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MAX_NOTICE_S:
        raise RequestError(400, f"notice_s must be seconds from 0 to {_MAX_NOTICE_S:g}", param="notice_s")
    return float(value)


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = _RETRY_AFTER if error.status in (429, 503) else None
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).phrase.lower()}"
    refusal = RequestError(error.status_code, message)
    return JSONResponse(refusal.body(), status_code=error.status_code, headers=error.headers)

"""The HTTP face of an emulated accelerator, as a Starlette application."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from holdfast.model.errors import InputError
from holdfast.serving import receiving
from holdfast.serving.emulated import blocks, metrics, words
from holdfast.serving.emulated.answers import Answer, Slip, StreamedAnswer, WholeAnswer
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.device import Device, Ticket
from holdfast.serving.emulated.faults import Draw, Fate
from holdfast.serving.emulated.metrics import Metrics
from holdfast.serving.emulated.profiles import Profile
from holdfast.serving.emulated.words import Wording
from holdfast.serving.errors import RequestError
from holdfast.serving.lifecycle import Lifecycle, Phase

_LONGEST_S = 86400.0


@dataclass(frozen=True)
class Ends:
    """How the process may be ended from outside: withdrawn after a notice in wall seconds, or crashed at once."""

    withdraw: Callable[[float], None]
    crash: Callable[[], None]


class Face:
    """The endpoints of one server. `profile` and `draw` are in wall time; max_body_mib: of a request."""

    def __init__(
        self,
        profile: Profile,
        *,
        time_scale: float,
        device: Device,
        lifecycle: Lifecycle,
        published: Metrics,
        draw: Draw,
        ends: Ends,
        max_body_mib: float,
    ) -> None:
        self._profile = profile
        self._time_scale = time_scale
        self._device = device
        self._lifecycle = lifecycle
        self._metrics = published
        self._draw = draw
        self._ends = ends
        self._max_body_mib = max_body_mib
        self._created = int(time.time())
        shape = profile.device
        length = shape.max_model_len if isinstance(shape, ContinuousBatching) else 0
        self._block_size = shape.block_size if isinstance(shape, ContinuousBatching) and shape.prefix_caching else 0
        self._served = words.served((profile.model, *profile.aliases), length)

    def app(self) -> Starlette:
        """The application: the endpoints that suit the model's task, and those that every server has."""
        routes = [
            Route("/health", self._health),
            Route("/readiness", self._readiness),
            Route("/metrics", self._exposition),
            Route("/v1/models", self._models),
            Route("/emulation/withdraw", self._withdrawal, methods=["POST"]),
            Route("/emulation/crash", self._crash, methods=["POST"]),
            Route("/emulation/stall", self._stall, methods=["POST"]),
            Route("/emulation/faults", self._faults, methods=["GET", "POST"]),
        ]
        if isinstance(self._profile.device, ContinuousBatching):
            routes.append(Route("/v1/completions", self._completion, methods=["POST"]))
            routes.append(Route("/v1/chat/completions", self._chat, methods=["POST"]))
        else:
            routes.append(Route("/v1/images/generations", self._images, methods=["POST"]))
        return Starlette(
            routes=routes, exception_handlers={RequestError: receiving.refuse, HTTPException: receiving.refuse_route}
        )

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
        others = [{**model, "id": alias} for alias in self._profile.aliases]
        return JSONResponse({"object": "list", "data": [model, *others]})

    async def _withdrawal(self, request: Request) -> Response:
        notice_s = _seconds(await self._body(request), "notice_s")
        self._ends.withdraw(notice_s)
        return JSONResponse({"status": self._lifecycle.phase.value, "notice_s": notice_s}, status_code=202)

    async def _crash(self, _: Request) -> Response:
        self._ends.crash()
        return JSONResponse({}, status_code=202)

    async def _stall(self, request: Request) -> Response:
        for_s = _seconds(await self._body(request), "for_s")
        self._device.stall(for_s)
        return JSONResponse({"for_s": for_s}, status_code=202)

    async def _faults(self, request: Request) -> Response:
        if request.method == "POST":
            try:
                self._draw.faults = self._draw.faults.changed(_object(await self._body(request)))
            except InputError as error:
                raise RequestError(400, str(error)) from error
        return JSONResponse(self._draw.faults.document())

    async def _body(self, request: Request) -> bytes:
        return await receiving.body(request, self._max_body_mib)

    async def _completion(self, request: Request) -> Answer:
        return await self._generate(request, chat=False)

    async def _chat(self, request: Request) -> Answer:
        return await self._generate(request, chat=True)

    async def _generate(self, request: Request, *, chat: bool) -> Answer:
        self._require_ready()
        asked = words.read_generation(await self._body(request), self._served, self._profile.answer_tokens, chat=chat)
        fate = self._fate()
        names = blocks.chain(asked.tokens(), self._block_size) if self._block_size else ()
        ticket = self._admit(asked.prompt_tokens, asked.outputs, names)
        wording = Wording(asked, ticket.key)
        if asked.generation.stream:
            return StreamedAnswer(self._device, self._metrics, ticket, asked.finish_reason, self._slip(fate), wording)
        return WholeAnswer(self._device, self._metrics, ticket, asked.finish_reason, self._slip(fate), wording.body)

    async def _images(self, request: Request) -> Answer:
        self._require_ready()
        count = words.read_images(await self._body(request), self._served.models)
        fate = self._fate()
        ticket = self._admit(0, count, ())
        body = functools.partial(words.images_body, count)
        return WholeAnswer(self._device, self._metrics, ticket, "stop", self._slip(fate), body)

    def _require_ready(self) -> None:
        if self._lifecycle.phase is not Phase.READY:
            raise RequestError(503, f"the server is {self._lifecycle.phase.value}: {self._lifecycle.reason}")

    def _fate(self) -> Fate:
        fate = self._draw.fate()
        if fate is not Fate.SERVED:
            self._metrics.fault(fate.value)
        if fate is Fate.REFUSED:
            kind = self._draw.kind()
            raise RequestError(kind.status, "this request was failed on purpose", code=kind.value)
        return fate

    def _slip(self, fate: Fate) -> Slip:
        return Slip(fate is Fate.RESET, self._draw.faults.stall_s if fate is Fate.STALLED else 0.0)

    def _admit(self, prompt_tokens: int, outputs: int, names: tuple[int, ...]) -> Ticket:
        ticket = self._device.submit(prompt_tokens, outputs, names)
        if ticket is None:
            raise RequestError(429, "the queue is full; try again later", code="queue_full")
        return ticket


def _object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body or b"{}")
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise RequestError(400, "the body must be a JSON object")
    return fields


def _seconds(body: bytes, name: str) -> float:
    value = _object(body).get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LONGEST_S:
        raise RequestError(400, f"{name} must be seconds from 0 to {_LONGEST_S:g}", param=name)
    return float(value)

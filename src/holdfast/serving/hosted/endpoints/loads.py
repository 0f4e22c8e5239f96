"""GET /load/{n}/infer/{m}, as the seeds have it: n requests, one after another, of m steps, tokens or inputs each.

They go the way of all requests: through the queue, the batches and the metrics, beside those of others.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import asking
from holdfast.serving.hosted.clients import unless_gone
from holdfast.serving.hosted.endpoints import batched
from holdfast.serving.hosted.generation.answers import TextRequest
from holdfast.serving.hosted.generation.sampling import GREEDY
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.predicting.painting import Painting
from holdfast.serving.hosted.predicting.pictures import Picture
from holdfast.serving.hosted.predicting.texts import Text
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.hosted.threads import preparing

_PROMPT = "a photo of an astronaut riding a horse on mars"
_MOST_RUNS = 1000
_MOST_EACH = 4096
_PERCENTILES = (0, 50, 90, 95, 99, 100)
_Runs = Annotated[int, Path(ge=1, le=_MOST_RUNS, description="requests, one after another")]
_Each = Annotated[int, Path(ge=1, le=_MOST_EACH, description="steps of an image, tokens of a text, or inputs at once")]
Ask = Callable[[int], Awaitable[object]]


class Loads:
    """A loop of requests that the server puts to itself."""

    def __init__(self, service: Service, model: Model) -> None:
        self._service = service
        self._model = model
        self._ask, self._counted = asker(service, model)

    def router(self) -> APIRouter:
        router = APIRouter(tags=["load"])
        router.add_api_route("/load/{n}/infer/{m}", self.load, methods=["GET"], response_class=Response)
        return router

    async def load(self, request: Request, n: _Runs, m: _Each) -> Response:
        """Runs n requests one after another and tells the percentiles of their latencies. For load that means something
        use `holdfast load`: this loop shares the machine with what it measures."""
        await asking.body(request, self._service)
        latencies_s = await unless_gone(request.receive, self._run(n, m))
        return JSONResponse(self._document(latencies_s, m))

    async def _run(self, runs: int, each: int) -> list[float]:
        latencies_s = []
        for _ in range(runs):
            self._service.require_ready()
            began_s = time.monotonic()
            await self._ask(each)
            latencies_s.append(time.monotonic() - began_s)
        return latencies_s

    def _document(self, latencies_s: list[float], each: int) -> dict[str, Any]:
        ranked = {f"p{rank}": float(np.percentile(latencies_s, rank)) for rank in _PERCENTILES}
        told = " ".join(f"P{rank}={ranked[f'p{rank}'] * 1000:.1f}ms" for rank in _PERCENTILES)
        return {
            "message": f"{len(latencies_s)} requests of {each} {self._counted} on {self._model.device.name}: {told}",
            "model": self._service.names[0],
            "device": self._model.device.name,
            "unit": self._service.unit,
            "node_pool": self._service.node_pool,
            "runs": len(latencies_s),
            self._counted: each,
            "latency_s": ranked,
            "rate_per_s": len(latencies_s) / sum(latencies_s),
        }


def asker(service: Service, model: Model) -> tuple[Ask, str]:
    """What puts a synthetic request of a size to a model and waits for its whole answer; and what that size counts."""
    loaded = model.loaded
    if isinstance(loaded, TextGenerator):
        return _asks_text(loaded), "tokens"
    batcher, task = loaded, model.files.task
    if task is Task.TEXT_TO_IMAGE:
        return lambda steps: batcher.answer(Painting(_PROMPT, steps=steps, seed=0)), "steps"
    one = Text(_PROMPT) if task in (Task.TEXT_CLASSIFICATION, Task.EMBEDDINGS) else Picture(_grey())

    async def ask(inputs: int) -> None:
        batched.require_room(inputs, service, "m")
        await batched.answers(batcher, [one] * inputs)

    return ask, "inputs"


def _asks_text(generator: TextGenerator) -> Ask:
    async def ask(tokens: int) -> None:
        prompt = tuple(await preparing(generator.encode, _PROMPT))
        room = generator.max_model_len - len(prompt)
        if tokens > room:
            raise RequestError(400, f"m must be a whole number from 1 to {room}, not {tokens}", param="m")
        asked = TextRequest(prompt, tokens, tokens, ignore_eos=True, sampling=GREEDY)
        async with contextlib.aclosing(generator.answer(asked)) as pieces:
            async for _ in pieces:
                pass

    return ask


def _grey() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (224, 224), (128, 128, 128)).save(file, "PNG")
    return file.getvalue()

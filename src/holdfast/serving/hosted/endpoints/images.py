"""POST /v1/images/generations, and the seeds' /genimage."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from holdfast.serving.hosted import asking, openapi
from holdfast.serving.hosted.clients import unless_gone
from holdfast.serving.hosted.endpoints import batched
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.predicting.painting import Painted, Painting
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.threads import preparing
from holdfast.serving.openai import reading
from holdfast.serving.openai.bodies import ImagesBody


class PromptBody(pydantic.BaseModel):
    """POST /genimage."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True)

    prompt: Annotated[str, Field(pattern=r"\S", description="a text that is not empty")]


class Images:
    """What a model that makes images is asked."""

    def __init__(self, service: Service, batcher: Batcher[Any, Any, Painted]) -> None:
        self._service = service
        self._batcher = batcher

    def router(self) -> APIRouter:
        router = APIRouter(tags=["images"])
        prompt = "a photo of an astronaut riding a horse on mars"
        for path, endpoint, form, example in (
            ("/v1/images/generations", self.generate, ImagesBody, {"model": self._service.names[0], "prompt": prompt}),
            ("/genimage", self.genimage, PromptBody, {"prompt": prompt}),
        ):
            router.add_api_route(
                path, endpoint, methods=["POST"], response_class=Response, openapi_extra=openapi.takes(form, example)
            )
        return router

    async def generate(self, request: Request) -> Response:
        """Makes n images of a prompt, as PNG files in base64. With a seed, that of each next image is one higher."""
        asked = await asking.read(request, self._service, ImagesBody)
        reading.require_model(asked.model, self._service.names)
        reading.require_served(asked)
        count = asked.n or 1
        batched.require_room(count, self._service, "n")
        paintings = [painting(asked, number) for number in range(count)]
        painted = await unless_gone(request.receive, batched.answers(self._batcher, paintings))
        return Response(await preparing(images_body, painted), media_type="application/json")

    async def genimage(self, request: Request) -> Response:
        """One image of a prompt, as PNG in base64, and how long it took in seconds."""
        began_s = time.monotonic()
        asked = await asking.read(request, self._service, PromptBody)
        painted = await unless_gone(request.receive, self._batcher.answer(Painting(asked.prompt)))
        latency_s = time.monotonic() - began_s
        body = await preparing(genimage_body, asked.prompt, painted, latency_s)
        return Response(body, media_type="application/json")


def painting(asked: ImagesBody, number: int) -> Painting:
    """The image of that number, from 0, of those asked for."""
    width, height = asked.sides()
    return Painting(
        asked.prompt,
        asked.negative_prompt or "",
        width=width,
        height=height,
        steps=asked.steps,
        guidance=asked.guidance,
        seed=None if asked.seed is None else asked.seed + number,
    )


def genimage_body(prompt: str, painted: Painted, latency_s: float) -> bytes:
    """As the published guides word it."""
    image = base64.b64encode(painted.png).decode()
    return json.dumps({"prompt": prompt, "response": image, "latency": latency_s}).encode()


def images_body(painted: Sequence[Painted]) -> bytes:
    """As OpenAI words it, and the seed of each image, by which it can be made again."""
    data = [{"b64_json": base64.b64encode(one.png).decode(), "seed": one.seed} for one in painted]
    return json.dumps({"created": int(time.time()), "data": data}).encode()

"""POST /classify-image and /detect: an image as it is, or as base64 in JSON."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import pydantic
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import asking, openapi
from holdfast.serving.hosted.clients import unless_gone
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.predicting.pictures import Picture
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.threads import preparing
from holdfast.serving.openai import reading

_IMAGES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream")
_THRESHOLD = 0.5
_Threshold = Annotated[float, Query(ge=0, le=1, description="the least score of an object that is told")]
_TopK = Annotated[int | None, Query(ge=1, description="how many labels; all where it is left out")]


class PictureBody(pydantic.BaseModel):
    """An image as JSON."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid", frozen=True)

    image: Annotated[str, Field(min_length=1, description="a PNG, JPEG or WebP file in base64, or a data: URL of one")]
    model: Annotated[str | None, Field(description="the name of a model that is served here")] = None

    def data(self) -> bytes:
        """Raises RequestError for what is no base64."""
        text = self.image.partition(",")[2] if self.image.startswith("data:") else self.image
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(400, f"image is not base64 ({error})", param="image") from error


class Pictures:
    """What a model of images is asked."""

    def __init__(self, service: Service, batcher: Batcher[Any, Any, Any]) -> None:
        self._service = service
        self._batcher = batcher

    def classification(self) -> APIRouter:
        return self._router("/classify-image", self.classify_image)

    def detection(self) -> APIRouter:
        return self._router("/detect", self.detect)

    def _router(self, path: str, endpoint: Any) -> APIRouter:
        router = APIRouter(tags=["images"])
        takes = openapi.takes(PictureBody, {"image": "iVBORw0KGgo…"}, _IMAGES)
        router.add_api_route(path, endpoint, methods=["POST"], response_class=Response, openapi_extra=takes)
        return router

    async def classify_image(self, request: Request, top_k: _TopK = None) -> Response:
        """The labels of an image with their scores, the likeliest first."""
        answer = await self._answer(request, _THRESHOLD)
        labels = [{"label": labelled.label, "score": labelled.score} for labelled in answer.labels[:top_k]]
        return JSONResponse({"model": self._service.names[0], "data": labels})

    async def detect(self, request: Request, threshold: _Threshold = _THRESHOLD) -> Response:
        """The objects of an image, the likeliest first; boxes in pixels of the image that was sent."""
        answer = await self._answer(request, threshold)
        corners = ("xmin", "ymin", "xmax", "ymax")
        objects = [
            {"label": found.label, "score": found.score, "box": dict(zip(corners, found.box, strict=True))}
            for found in answer.objects
        ]
        size = {"width": answer.width, "height": answer.height}
        return JSONResponse({"model": self._service.names[0], **size, "data": objects})

    async def _answer(self, request: Request, threshold: float) -> Any:
        picture = Picture(await self._image(request), threshold)
        return await unless_gone(request.receive, self._batcher.answer(picture))

    async def _image(self, request: Request) -> bytes:
        kind = asking.media_type(request)
        if kind in _IMAGES:
            return await asking.body(request, self._service)
        if kind != "application/json":
            message = (
                f"send an image as {', '.join(_IMAGES)} or application/json, not as {kind or 'nothing that is told'}"
            )
            raise RequestError(415, message, code="unsupported_media_type")
        asked = await asking.read(request, self._service, PictureBody)
        if asked.model is not None:
            reading.require_model(asked.model, self._service.names)
        return await preparing(asked.data)

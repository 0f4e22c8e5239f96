"""What a server says of itself and its model: /, /v1/models and the page that shows the API."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import HTMLResponse, JSONResponse, Response

from holdfast.serving.hosted import openapi
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.service import Service


class About:
    """What a server says of its model. paths: what else it answers."""

    def __init__(self, service: Service, model: Model, paths: list[str]) -> None:
        self._service = service
        self._model = model
        self._paths = paths

    def router(self) -> APIRouter:
        router = APIRouter(tags=["server"])
        router.add_api_route("/", self.what, methods=["GET"], response_class=Response)
        router.add_api_route("/v1/models", self.models, methods=["GET"], response_class=Response)
        router.add_api_route("/docs", self.docs, methods=["GET"], include_in_schema=False, response_class=Response)
        return router

    async def what(self) -> Response:
        """What this server is."""
        service, device = self._service, self._model.device
        name, task = service.names[0], self._model.files.task.value
        return JSONResponse(
            {
                "message": f"This is {name} ({task}) on {device.name} ({device.kind}); /docs shows how to ask it.",
                "model": name,
                "task": task,
                "device": device.name,
                "device_kind": device.kind,
                "framework": device.framework,
                "unit": service.unit,
                "node_pool": service.node_pool,
                "paths": self._paths,
            }
        )

    async def models(self) -> Response:
        """The model, by each of its names."""
        model = {"object": "model", "created": self._service.created, "owned_by": "holdfast"}
        model |= {"task": self._model.files.task.value, "root": self._model.files.name}
        if isinstance(self._model.loaded, TextGenerator):
            model["max_model_len"] = self._model.loaded.max_model_len
        return JSONResponse({"object": "list", "data": [{"id": name, **model} for name in self._service.names]})

    async def docs(self) -> Response:
        return HTMLResponse(openapi.page())

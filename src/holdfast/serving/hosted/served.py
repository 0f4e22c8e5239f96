"""The application of a model that is loaded: the endpoints that suit its task."""

from __future__ import annotations

import pydantic
from fastapi import APIRouter, FastAPI

from holdfast.serving.hosted import app as apps
from holdfast.serving.hosted import openapi
from holdfast.serving.hosted.endpoints.about import About
from holdfast.serving.hosted.endpoints.encoders import Encoders
from holdfast.serving.hosted.endpoints.health import Health
from holdfast.serving.hosted.endpoints.images import Images, PromptBody
from holdfast.serving.hosted.endpoints.loads import Loads
from holdfast.serving.hosted.endpoints.pictures import PictureBody, Pictures
from holdfast.serving.hosted.endpoints.texts import Texts
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.loaded import Model
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.tasks import Task
from holdfast.serving.openai.bodies import ChatBody, CompletionBody, EmbeddingsBody, ImagesBody, InputsBody

_FORMS: dict[Task, tuple[type[pydantic.BaseModel], ...]] = {
    Task.TEXT_GENERATION: (CompletionBody, ChatBody),
    Task.TEXT_CLASSIFICATION: (InputsBody,),
    Task.EMBEDDINGS: (EmbeddingsBody,),
    Task.IMAGE_CLASSIFICATION: (PictureBody,),
    Task.OBJECT_DETECTION: (PictureBody,),
    Task.TEXT_TO_IMAGE: (ImagesBody, PromptBody),
}


def serving(service: Service, model: Model) -> FastAPI:
    """The endpoints of a model's task, and those that every server has."""
    task = model.files.task
    asked = [_router(service, model), Loads(service, model).router()]
    paths = [route.path for router in asked for route in router.routes if hasattr(route, "path")]
    about = About(service, model, [*paths, "/v1/models", "/health", "/readiness", "/metrics", "/docs"])
    described = f"{service.names[0]} ({task.value}) on {model.device.name} ({model.device.kind})."
    found = f"this model's task is {task.value}, asked for at {', '.join(paths)}"
    app = apps.bare(service, [*asked, about.router(), Health(service).router()], described, found)
    openapi.describe(app, _FORMS[task])
    return app


def _router(service: Service, model: Model) -> APIRouter:
    loaded, task = model.loaded, model.files.task
    if isinstance(loaded, TextGenerator):
        return Texts(service, loaded).router()
    if task is Task.TEXT_CLASSIFICATION:
        return Encoders(service, loaded, model.files.config).classification()
    if task is Task.EMBEDDINGS:
        return Encoders(service, loaded, model.files.config).embeddings()
    if task is Task.IMAGE_CLASSIFICATION:
        return Pictures(service, loaded).classification()
    if task is Task.OBJECT_DETECTION:
        return Pictures(service, loaded).detection()
    return Images(service, loaded).router()

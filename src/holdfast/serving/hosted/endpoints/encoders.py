"""POST /v1/embeddings and /classify, which answers as vLLM's does."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.serving.hosted import asking, openapi
from holdfast.serving.hosted.answering import REQUEST_ID
from holdfast.serving.hosted.clients import unless_gone
from holdfast.serving.hosted.endpoints import batched
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.predicting.texts import Classified, Embedded, Labelled, Text
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.threads import preparing
from holdfast.serving.openai import reading
from holdfast.serving.openai.bodies import EmbeddingsBody, InputsBody
from holdfast.serving.openai.wording import usage

Form = TypeVar("Form", bound=InputsBody)


class Encoders:
    """What a model of texts is asked. config: its config.json."""

    def __init__(self, service: Service, batcher: Batcher[Any, Any, Any], config: Mapping[str, Any]) -> None:
        self._service = service
        self._batcher = batcher
        self._config = config

    def embeddings(self) -> APIRouter:
        return self._router("/v1/embeddings", self.embed, EmbeddingsBody)

    def classification(self) -> APIRouter:
        return self._router("/classify", self.classify, InputsBody)

    def _router(self, path: str, endpoint: Any, form: type[InputsBody]) -> APIRouter:
        router = APIRouter(tags=["text"])
        example = {"model": self._service.names[0], "input": ["Kelp is a brown alga.", "Nobody likes wet feet."]}
        router.add_api_route(
            path, endpoint, methods=["POST"], response_class=Response, openapi_extra=openapi.takes(form, example)
        )
        return router

    async def embed(self, request: Request) -> Response:
        """A vector of length 1 for each input: a text, token ids, or a list of either."""
        asked, answers = await self._answers(request, EmbeddingsBody)
        wording = functools.partial(embeddings_body, asked.model, answers, in_base64=asked.encoding_format == "base64")
        return Response(await preparing(wording), media_type="application/json")

    async def classify(self, request: Request) -> Response:
        """The label of each input. probs is in the order of the model's labels, scores has the likeliest first."""
        asked, answers = await self._answers(request, InputsBody)
        key = request.scope[REQUEST_ID]
        wording = (asked.model, key, self._service.created, answers, self._config)
        return Response(await preparing(classification_body, *wording), media_type="application/json")

    async def _answers(self, request: Request, form: type[Form]) -> tuple[Form, list[Any]]:
        asked = await asking.read(request, self._service, form)
        reading.require_model(asked.model, self._service.names)
        reading.require_served(asked)
        inputs = asked.inputs()
        batched.require_room(len(inputs), self._service, "input")
        texts = [Text(one) for one in inputs]
        return asked, await unless_gone(request.receive, batched.answers(self._batcher, texts))


def embeddings_body(model: str, answers: Sequence[Embedded], *, in_base64: bool) -> bytes:
    """As OpenAI words it: numbers, or base64 of little-endian 32-bit floats."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(answer.vector.astype("<f4").tobytes()).decode()
            if in_base64
            else answer.vector.tolist(),
        }
        for index, answer in enumerate(answers)
    ]
    tokens = sum(answer.tokens for answer in answers)
    counts = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json.dumps({"object": "list", "data": data, "model": model, "usage": counts}).encode()


def classification_body(
    model: str, key: str, created: int, answers: Sequence[Classified], config: Mapping[str, Any]
) -> bytes:
    """As vLLM words it, and `scores` besides, so that nobody has to know the order of the labels."""
    data = []
    for index, answer in enumerate(answers):
        probs = [labelled.score for labelled in in_order(answer.labels, config)]
        scores = [{"label": labelled.label, "score": labelled.score} for labelled in answer.labels]
        label = answer.labels[0].label
        data.append({"index": index, "label": label, "probs": probs, "num_classes": len(probs), "scores": scores})
    counts = usage(sum(answer.tokens for answer in answers), 0)
    head = {"id": f"classify-{key}", "object": "list", "created": created, "model": model}
    return json.dumps({**head, "data": data, "usage": counts}).encode()


def in_order(labels: Sequence[Labelled], config: Mapping[str, Any]) -> list[Labelled]:
    """By the numbers that the model's config gives them, or that transformers gives where it names none."""
    names: Mapping[Any, str] = config.get("id2label") or {number: f"LABEL_{number}" for number in range(len(labels))}
    numbers = {name: int(number) for number, name in names.items()}
    return sorted(labels, key=lambda labelled: numbers[labelled.label])

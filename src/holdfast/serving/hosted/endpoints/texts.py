"""POST /v1/completions and /v1/chat/completions."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Hashable, Sequence
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from holdfast.serving.hosted import openapi
from holdfast.serving.hosted.answering import REQUEST_ID
from holdfast.serving.hosted.asking import json_body
from holdfast.serving.hosted.clients import Events, unless_gone
from holdfast.serving.hosted.generation.answers import Piece, TextRequest
from holdfast.serving.hosted.generation.sampling import Sampling
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.service import Service
from holdfast.serving.hosted.threads import preparing
from holdfast.serving.openai import generation
from holdfast.serving.openai.bodies import ChatBody, CompletionBody, Message
from holdfast.serving.openai.generation import Generation, Served
from holdfast.serving.openai.wording import DONE, Wording


class Texts:
    """What a language model is asked."""

    def __init__(self, service: Service, generator: TextGenerator) -> None:
        self._service = service
        self._generator = generator
        self._served = Served(
            service.names, generator.max_model_len, generator.encode, self._encode_chat, obeys_all=True
        )

    def router(self) -> APIRouter:
        router = APIRouter(tags=["text"])
        prompt = {"model": self._service.names[0], "prompt": "Kelp is", "max_tokens": 16}
        chat = {"model": self._service.names[0], "messages": [{"role": "user", "content": "What is kelp?"}]}
        for path, endpoint, form, example in (
            ("/v1/completions", self.completion, CompletionBody, prompt),
            ("/v1/chat/completions", self.chat, ChatBody, chat),
        ):
            router.add_api_route(
                path, endpoint, methods=["POST"], response_class=Response, openapi_extra=openapi.takes(form, example)
            )
        return router

    async def completion(self, request: Request) -> Response:
        """Goes on with a prompt of text or token ids; with "stream": true as server-sent events."""
        return await self._answer(request, chat=False)

    async def chat(self, request: Request) -> Response:
        """Answers a conversation; with "stream": true as server-sent events."""
        return await self._answer(request, chat=True)

    def _encode_chat(self, messages: Sequence[Message]) -> Sequence[Hashable]:
        """Contents as one text each, their parts a line each as vLLM has it: templates put a list into the prompt as
        Python prints it."""
        told = [
            message.model_dump(exclude_unset=True) | {"content": "\n".join(message.texts())} for message in messages
        ]
        return self._generator.encode_chat(told)

    async def _answer(self, request: Request, *, chat: bool) -> Response:
        body = await json_body(request, self._service)
        asked = await preparing(functools.partial(generation.read, body, self._served, chat=chat))
        wording = Wording(chat=chat, model=asked.model, key=request.scope[REQUEST_ID])
        if asked.stream:
            return Events(functools.partial(self._events, asked, wording))
        answer = await unless_gone(request.receive, self._whole(asked, wording))
        return Response(answer, media_type="application/json")

    async def _events(self, asked: Generation, wording: Wording) -> AsyncGenerator[bytes, None]:
        opening, made = wording.opening(), 0
        async with self._pieces(asked) as pieces:
            async for piece in pieces:
                made += len(piece.tokens)
                if piece.text or piece.finish_reason:
                    yield opening + wording.event(piece.text, piece.finish_reason)
                    opening = b""
        usage = wording.usage_event(asked.prompt_tokens, made) if asked.include_usage else b""
        yield usage + DONE

    async def _whole(self, asked: Generation, wording: Wording) -> bytes:
        async with self._pieces(asked) as pieces:
            made = [piece async for piece in pieces]
        tokens = sum(len(piece.tokens) for piece in made)
        text = "".join(piece.text for piece in made)
        return wording.body(text, made[-1].finish_reason or "stop", asked.prompt_tokens, tokens)

    def _pieces(self, asked: Generation) -> contextlib.aclosing[AsyncGenerator[Piece, None]]:
        request = TextRequest(
            tokens=tuple(cast(Sequence[int], asked.prompt)),
            max_tokens=asked.max_tokens,
            min_tokens=asked.min_tokens,
            ignore_eos=asked.ignore_eos,
            stop=asked.stop,
            sampling=Sampling(asked.temperature, asked.top_p, asked.top_k, asked.seed),
        )
        return contextlib.aclosing(self._generator.answer(request))

"""Models that behave and compute nothing: their tokens are bytes, their answers follow from what was asked."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.answers import Piece, TextRequest
from holdfast.serving.hosted.generation.streams import TextGenerator
from holdfast.serving.hosted.predicting.batcher import Batcher
from holdfast.serving.hosted.predicting.painting import Painted, Painting
from holdfast.serving.hosted.predicting.pictures import Detected, Found, Picture, Recognised
from holdfast.serving.hosted.predicting.texts import Classified, Embedded, Labelled, Text
from holdfast.serving.hosted.tasks import Task

PNG = b"\x89PNG\r\n\x1a\n"
LABELS = {"0": "calm", "1": "stormy"}


class Hand:
    """The time that a model takes for each of its steps, how many are in hand at most, and what became of them."""

    def __init__(self, bounds: Bounds, step_s: float) -> None:
        self.step_s = step_s
        self.most = bounds.max_batch + bounds.max_queued
        self.held = 0
        self.done = 0
        self.given_up = 0
        self._free = asyncio.Event()
        self._free.set()

    async def __aenter__(self) -> None:
        self.held += 1
        self._free.clear()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.held -= 1
        self.done += kind is None
        self.given_up += kind is not None
        if not self.held:
            self._free.set()

    def admit(self) -> None:
        if self.held >= self.most:
            raise RequestError(429, "the queue is full; try again later", code="queue_full")

    async def idle(self) -> None:
        await self._free.wait()


class Speller(TextGenerator):
    """Answers with the alphabet, a letter a token and a step; a prompt that has "!" fails at the third."""

    max_model_len = 200

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.asked: list[TextRequest] = []

    def warm_up(self) -> None:
        pass

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def encode_chat(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        return self.encode("".join(f"<{message['role']}>{message['content']}" for message in messages))

    async def run(self) -> None:
        await asyncio.Event().wait()

    def answer(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        self.hand.admit()
        self.asked.append(request)
        return self._pieces(request)

    async def _pieces(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        async with self.hand:
            for number in range(request.max_tokens):
                await asyncio.sleep(self.hand.step_s)
                if number == 2 and ord("!") in request.tokens:
                    raise RequestError(500, "the device failed", code="device_failed")
                last = number == request.max_tokens - 1
                yield Piece(chr(ord("a") + number % 26), (number,), "length" if last else None)

    async def idle(self) -> None:
        await self.hand.idle()


class Answering(Batcher[Any, Any, Any]):
    """Answers each request by a function, after a step."""

    def __init__(self, hand: Hand, answer: Callable[[Any], Any]) -> None:
        self.hand = hand
        self._answer = answer

    async def answer(self, request: Any) -> Any:
        self.hand.admit()
        async with self.hand:
            await asyncio.sleep(self.hand.step_s)
            return self._answer(request)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def idle(self) -> None:
        await self.hand.idle()


class Bench(Device):
    """No device at all."""

    name, kind, framework = "cpu", "a double", "eager"

    def __init__(self) -> None: ...


Bench.__abstractmethods__ = frozenset()


def device() -> Device:
    return Bench()  # type: ignore[abstract]


def files(task: Task) -> ModelFiles:
    return ModelFiles("kelp/double", Path(), task, {"id2label": LABELS})


def loaded(task: Task, bounds: Bounds, step_s: float = 0.0) -> Speller | Answering:
    """A double of that task, whose every step takes so long."""
    hand = Hand(bounds, step_s)
    return Speller(hand) if task is Task.TEXT_GENERATION else Answering(hand, _ANSWERS[task])


def _count(text: str | tuple[int, ...]) -> int:
    if not text:
        raise RequestError(400, "input is empty", param="input")
    if "?" in str(text):
        raise ZeroDivisionError("not foreseen")
    return len(text.split()) if isinstance(text, str) else len(text)


def _classify(one: Text) -> Classified:
    return Classified((Labelled("stormy", 0.75), Labelled("calm", 0.25)), _count(one.text))


def _embed(one: Text) -> Embedded:
    tokens = _count(one.text)
    return Embedded(np.array([1.0, float(tokens), -0.5], dtype=np.float32), tokens)


def _recognise(one: Picture) -> Recognised:
    _require_image(one)
    return Recognised((Labelled("calm", 0.9), Labelled("stormy", 0.1)))


def _detect(one: Picture) -> Detected:
    _require_image(one)
    found = (Found("otter", 0.9, (1.0, 2.0, 3.0, 4.0)), Found("urchin", 0.4, (0.0, 0.0, 1.0, 1.0)))
    return Detected(tuple(thing for thing in found if thing.score >= one.threshold), 64, 48)


def _require_image(one: Picture) -> None:
    if not one.data.startswith(PNG):
        raise RequestError(400, "the image is no PNG, JPEG or WebP file", param="image")


def _paint(one: Painting) -> Painted:
    seed = time.monotonic_ns() if one.seed is None else one.seed
    return Painted(PNG + hashlib.sha256(repr((one, seed)).encode()).digest(), seed)


_ANSWERS: dict[Task, Callable[[Any], Any]] = {
    Task.TEXT_CLASSIFICATION: _classify,
    Task.EMBEDDINGS: _embed,
    Task.IMAGE_CLASSIFICATION: _recognise,
    Task.OBJECT_DETECTION: _detect,
    Task.TEXT_TO_IMAGE: _paint,
}

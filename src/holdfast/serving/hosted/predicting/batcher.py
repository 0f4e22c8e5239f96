"""Dynamic batching by size and deadline: `batches` decides (no I/O), this waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import refusals, threads
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.lost import FAILURES, DeviceLostError
from holdfast.serving.hosted.metrics import Published
from holdfast.serving.hosted.pace import Pace
from holdfast.serving.hosted.predicting.batches import Queue
from holdfast.serving.hosted.predicting.predictor import Predictor
from holdfast.serving.occupancy import Occupancy

Request = TypeVar("Request")
Prepared = TypeVar("Prepared")
Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Asked(Generic[Prepared, Answer]):
    """One request between its preparation and its answer; began_s: when its batch did, by the loop's clock."""

    prepared: Prepared
    shape: object
    arrived_s: float
    answer: asyncio.Future[Answer]
    began_s: float = 0.0


class Batcher(Generic[Request, Prepared, Answer]):
    """Answers requests with a predictor, in batches, on an event loop.

    on_device, preparing: where the predictor's blocking calls are made.
    """

    def __init__(
        self,
        predictor: Predictor[Request, Prepared, Answer],
        bounds: Bounds,
        published: Published,
        *,
        on_device: threads.Blocking = threads.on_device,
        preparing: threads.Blocking = threads.preparing,
    ) -> None:
        self.predictor = predictor
        self._max_queued = bounds.max_queued
        self._published = published
        self._on_device = on_device
        self._preparing = preparing
        self._queue: Queue[_Asked[Prepared, Answer]] = Queue(
            min(bounds.max_batch, predictor.max_batch), bounds.max_wait_s
        )
        self._in_preparation = 0
        self._running: list[_Asked[Prepared, Answer]] = []
        self._pace = Pace()
        self._closed = False
        self._failed_in_a_row = 0
        self._changed = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        published.watch(self.occupancy)

    def occupancy(self) -> Occupancy:
        """What the device has, and what it does not have yet."""
        return Occupancy(running=len(self._running), waiting=self._in_preparation + len(self._queue))

    async def answer(self, request: Request) -> Answer:
        """Raises RequestError: 429 where the queue is full, 503 once run has ended, 500 where the model fails, or what
        the predictor refuses.

        Cancelled, it leaves the queue; a batch of which nobody waits any more is not begun.
        """
        if self._closed:
            raise refusals.shutting_down()
        held = self.occupancy().waiting
        if held >= self._max_queued:
            message = f"The server's queue is full: {held} requests wait. Ask again later."
            raise RequestError(429, message, code="queue_full", retry_after_s=self._pace.retry_after_s(held))
        arrived_s = _now_s()
        asked = await self._prepare(request, arrived_s)
        key = self._queue.add(asked, asked.shape, _now_s())
        self._stir()
        try:
            return await asked.answer
        finally:
            if asked.answer.cancelled():
                self._queue.remove(key)
                self._stir()
                self._published.ended("abort", _now_s() - arrived_s, 0.0)

    async def run(self) -> None:
        """Serve until cancelled. Batches run in the device's thread, never on the event loop.

        Raises DeviceLostError where the model failed several times in a row and then on its warm-up.
        """
        try:
            while True:
                await self._run_batch(await self._next_batch())
        finally:
            self._closed = True
            for asked in [*self._running, *self._queue.clear()]:
                if not asked.answer.done():
                    asked.answer.set_exception(refusals.shutting_down())
            self._running = []
            self._stir()

    async def idle(self) -> None:
        """Return when nothing waits or runs."""
        await self._quiet.wait()

    async def _prepare(self, request: Request, arrived_s: float) -> _Asked[Prepared, Answer]:
        self._in_preparation += 1
        self._stir()
        try:
            prepared, shape = await self._preparing(self._prepared, request)
        except asyncio.CancelledError:
            self._published.ended("abort", _now_s() - arrived_s, 0.0)
            raise
        finally:
            self._in_preparation -= 1
            self._stir()
        if self._closed:
            raise refusals.shutting_down()
        return _Asked(prepared, shape, arrived_s, asyncio.get_running_loop().create_future())

    def _prepared(self, request: Request) -> tuple[Prepared, object]:
        prepared = self.predictor.prepare(request)
        return prepared, self.predictor.shape(prepared)

    async def _next_batch(self) -> list[_Asked[Prepared, Answer]]:
        """Wait until one should begin, for as long as the queue says and not by looking again and again."""
        while True:
            batch = self._queue.take(_now_s())
            if batch:
                return batch
            self._changed.clear()
            try:
                async with asyncio.timeout_at(self._queue.begins_s()):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _run_batch(self, batch: list[_Asked[Prepared, Answer]]) -> None:
        self._running = batch
        for asked in batch:
            asked.began_s = _now_s()
            self._published.began(asked.began_s - asked.arrived_s)
        came = await self._predict(batch)
        if isinstance(came, Exception) and len(batch) > 1:
            # One input that the model fails on must not fail the others, and what is too much for the device's memory
            # together may not be alone.
            _log.warning("a batch of %d failed, each of it is tried alone: %s", len(batch), _said(came))
            for asked in batch:
                if not asked.answer.done():
                    self._tell([asked], await self._predict([asked]))
        else:
            self._tell(batch, came)
        if self._failed_in_a_row >= FAILURES:
            await self._try_device()
        self._running = []
        self._stir()

    async def _try_device(self) -> None:
        try:
            await self._on_device(self.predictor.warm_up)
        except Exception as error:
            raise DeviceLostError.after(self._failed_in_a_row, error) from error
        _log.warning(
            "the model failed %d times in a row, and not on its warm-up: requests are to blame", self._failed_in_a_row
        )
        self._failed_in_a_row = 0

    async def _predict(self, batch: Sequence[_Asked[Prepared, Answer]]) -> list[Answer] | Exception:
        """The answers, or what the model raised: whatever it is, the next batch must be served."""
        began_s = _now_s()
        came: list[Answer] | Exception
        try:
            came = await self._on_device(self._answers, [asked.prepared for asked in batch])
        except Exception as error:
            # Without its frames, which hold the tensors of the batch.
            came = error.with_traceback(None)
            self._failed_in_a_row += 1
        seconds = _now_s() - began_s
        self._published.batch_ran(len(batch), seconds)
        if not isinstance(came, Exception):
            self._failed_in_a_row = 0
            self._pace.left(len(batch), seconds)
            self._queue.ran(batch[0].shape, len(batch), seconds, _now_s())
        return came

    def _answers(self, batch: list[Prepared]) -> list[Answer]:
        answers = self.predictor.predict(batch)
        if len(answers) != len(batch):
            raise ValueError(f"the predictor gave {len(answers)} answers to {len(batch)} inputs")
        return answers

    def _tell(self, batch: Sequence[_Asked[Prepared, Answer]], came: list[Answer] | Exception) -> None:
        answers: Sequence[Answer | Exception] = [came] * len(batch) if isinstance(came, Exception) else came
        for asked, answer in zip(batch, answers, strict=True):
            if asked.answer.done():
                continue
            latency_s, inference_s = _now_s() - asked.arrived_s, _now_s() - asked.began_s
            if isinstance(answer, Exception):
                asked.answer.set_exception(_failed(answer))
                self._published.ended("error", latency_s, inference_s)
            else:
                asked.answer.set_result(answer)
                # Answers of texts say how many tokens the input had.
                tokens = getattr(answer, "tokens", 0)
                self._published.ended("stop", latency_s, inference_s, prompt_tokens=tokens)

    def _stir(self) -> None:
        self._changed.set()
        held = self.occupancy()
        if held.running or held.waiting:
            self._quiet.clear()
        else:
            self._quiet.set()


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _failed(error: Exception) -> RequestError:
    """What the client is told; the log has what the model said."""
    if isinstance(error, RequestError):
        return error
    _log.error("the model failed on a request: %s", _said(error))
    failed = refusals.model_failed()
    failed.__cause__ = error
    return failed

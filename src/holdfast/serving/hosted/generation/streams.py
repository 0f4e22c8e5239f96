"""Text generation on an event loop: a queue before the slots, and a stream for each request."""

from __future__ import annotations

import asyncio
import collections
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted import refusals
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.answers import Answer, Job
from holdfast.serving.hosted.generation.answers import Piece as Piece
from holdfast.serving.hosted.generation.answers import TextRequest as TextRequest
from holdfast.serving.hosted.generation.decoder import PartDecoder
from holdfast.serving.hosted.generation.engine import PREFILL_TOKENS, Made, Prompt, Sampling, SlotEngine
from holdfast.serving.hosted.generation.prompts import Prompts
from holdfast.serving.hosted.generation.text import Detokeniser, Stops
from holdfast.serving.hosted.lost import FAILURES, DeviceLostError
from holdfast.serving.hosted.metrics import Published
from holdfast.serving.hosted.pace import Pace
from holdfast.serving.hosted.threads import DEVICE
from holdfast.serving.occupancy import Occupancy

_LOG = logging.getLogger(__name__)


class TextGenerator:
    """A loaded language model that answers requests. Made in the device's thread, used on the event loop.

    A step of the device, whoever it is for, is one task of the device's thread: requests whose client left go out,
    those that wait go in, everybody gets a token.

    max_model_len: tokens of a prompt and its answer together, at most.
    """

    def __init__(self, files: ModelFiles, device: Device, bounds: Bounds, published: Published) -> None:
        self._decoder = device.decoder(files, bounds)
        self._engine = SlotEngine(self._decoder)
        self.max_model_len = min(self._decoder.positions, bounds.max_tokens or self._decoder.positions)
        self._prompts = Prompts(files, self.max_model_len)
        self._most = self._decoder.slots + bounds.max_queued
        self._published = published
        self._keys = itertools.count()
        self._waiting: collections.deque[Job] = collections.deque()
        self._seated: dict[int, Job] = {}
        self._leaving: list[int] = []
        self._kv_share = 0.0
        self._work = asyncio.Event()
        self._rest = asyncio.Event()
        self._rest.set()
        self._pace = Pace()
        self._closed = False
        self._failed_in_a_row = 0
        published.watch(lambda: Occupancy(len(self._seated), len(self._waiting), kv_share=self._kv_share))

    def warm_up(self) -> None:
        """Run every shape that will be served. Blocks."""
        if isinstance(self._decoder, PartDecoder):
            self._decoder.warm_up(PREFILL_TOKENS)
        lengths = [1] if isinstance(self._decoder, PartDecoder) else [1 << power for power in range(30)]
        for length in lengths:
            if length + 2 <= self._decoder.positions:
                # Sampling too, which on a GPU has kernels of its own to load.
                sampling = Sampling(temperature=1.0, top_p=0.9, top_k=9)
                self._engine.enter(-1, Prompt((0,) * length, 2, ignore_eos=True, sampling=sampling))
                self._engine.step()

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt, as the tokenizer makes them with its special tokens. Blocks. Raises RequestError."""
        return self._prompts.encode(text)

    def encode_chat(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """By the tokenizer's chat template, with the assistant's opening. Blocks. Raises RequestError where there is no
        template."""
        return self._prompts.encode_chat(messages)

    def answer(self, request: TextRequest) -> AsyncGenerator[Piece, None]:
        """Queue it at once, raising RequestError 429 where the queue is full, and stream what comes of it. Closing the
        iterator early frees the slot before the next step."""
        room = self._prompts.room(request.tokens)
        if not 1 <= request.max_tokens <= room:
            message = f"max_tokens must be a whole number from 1 to {room}, not {request.max_tokens}"
            raise RequestError(400, message, param="max_tokens")
        if not 0 <= request.min_tokens <= request.max_tokens:
            message = f"min_tokens must be a whole number from 0 to {request.max_tokens}, not {request.min_tokens}"
            raise RequestError(400, message, param="min_tokens")
        if self._closed:
            raise refusals.shutting_down()
        if len(self._waiting) + len(self._seated) >= self._most:
            message = f"The server's queue is full: {len(self._waiting)} requests wait. Ask again later."
            retry_after_s = self._pace.retry_after_s(len(self._waiting))
            raise RequestError(429, message, code="queue_full", retry_after_s=retry_after_s)
        tokenizer = self._prompts.tokenizer
        job = Job(next(self._keys), request, time.monotonic(), Detokeniser(tokenizer), Stops(request.stop))
        self._waiting.append(job)
        self._rest.clear()
        self._work.set()
        return Answer(job, self._abandon)

    async def idle(self) -> None:
        """Return when nothing waits or runs."""
        await self._rest.wait()

    async def run(self) -> None:
        """Serve until cancelled. Steps run in the device's thread, never on the event loop.

        A step that fails fails those who are in a slot, with 500. After several without an answer completed in between
        the warm-up is run once more; DeviceLostError is raised where that fails too.
        """
        try:
            while True:
                await self._work.wait()
                await self._turn()
                if not (self._waiting or self._seated or self._leaving):
                    self._work.clear()
                    self._rest.set()
        finally:
            self._closed = True
            self._fail([*self._seated.values(), *self._waiting], refusals.shutting_down())
            self._rest.set()

    async def _turn(self) -> None:
        """One step, and what comes of it."""
        loop = asyncio.get_running_loop()
        leaving, self._leaving = self._leaving, []
        entering = [self._waiting.popleft() for _ in range(min(self._free, len(self._waiting)))]
        begun_s = time.monotonic()
        for job in entering:
            job.entered_s = begun_s
            self._seated[job.key] = job
            self._published.began(begun_s - job.arrived_s)
        size = len(self._seated)
        try:
            made, tokens = await loop.run_in_executor(DEVICE, self._step, leaving, entering)
        except Exception:
            # Whatever a device throws ends here: its own errors have no common class, and the next request may do.
            _LOG.exception("a step of the device failed, with %d requests", size)
            await loop.run_in_executor(DEVICE, self._engine.clear)
            self._fail(list(self._seated.values()), refusals.model_failed())
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= FAILURES:
                await self._try_device()
            return
        ended_s = time.monotonic()
        if size:
            self._published.batch_ran(size, ended_s - begun_s, tokens)
        for one in made:
            self._deliver(one, ended_s)

    async def _try_device(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(DEVICE, self.warm_up)
        except Exception as error:
            raise DeviceLostError.after(self._failed_in_a_row, error) from error
        _LOG.warning("%d steps failed in a row, and not the warm-up: requests are to blame", self._failed_in_a_row)
        self._failed_in_a_row = 0

    @property
    def _free(self) -> int:
        return self._decoder.slots - len(self._seated)

    def _step(self, leaving: Sequence[int], entering: Sequence[Job]) -> tuple[list[Made], int]:
        """In the device's thread: what was made, and tokens made and prefilled."""
        for key in leaving:
            self._engine.leave(key)
        for job in entering:
            asked = job.request
            self._engine.begin(
                job.key,
                Prompt(asked.tokens, asked.max_tokens, asked.min_tokens, asked.ignore_eos, asked.sampling),
            )
        before = self._engine.prefilled
        made = self._engine.step()
        self._kv_share = self._engine.tokens / (self._decoder.slots * self._decoder.positions)
        return made, len(made) + self._engine.prefilled - before

    def _deliver(self, made: Made, now_s: float) -> None:
        job = self._seated.get(made.key)
        if job is None:
            return
        if made.finish_reason == "broken":
            _LOG.error("what the model gave to a request of %d tokens is not finite", len(job.request.tokens))
            self._fail([job], refusals.model_failed())
            return
        if job.newest_s is None:
            self._published.first_token(now_s - job.arrived_s, len(job.request.tokens))
        else:
            self._published.token_gap(now_s - job.newest_s)
        job.newest_s = now_s
        piece = job.piece(made)
        job.pieces.put_nowait(piece)
        if piece.finish_reason is not None:
            del self._seated[job.key]
            self._failed_in_a_row = 0
            if made.finish_reason is None:
                self._leaving.append(job.key)
            self._ended(job, piece.finish_reason, now_s)
            if job.entered_s is not None:
                self._pace.left(self._decoder.slots, now_s - job.entered_s)

    def _fail(self, jobs: Sequence[Job], error: RequestError) -> None:
        for job in jobs:
            self._remove(job)
            job.pieces.put_nowait(error)
            self._ended(job, "error" if error.status == 500 else "abort", time.monotonic())

    def _abandon(self, job: Job) -> None:
        """Nobody waits for it any more."""
        if self._remove(job):
            self._leaving.append(job.key)
            self._work.set()
            self._ended(job, "abort", time.monotonic())

    def _remove(self, job: Job) -> bool:
        """Whether it was still in hand."""
        if job in self._waiting:
            self._waiting.remove(job)
            return True
        return self._seated.pop(job.key, None) is not None

    def _ended(self, job: Job, finish_reason: str, now_s: float) -> None:
        entered_s = now_s if job.entered_s is None else job.entered_s
        self._published.ended(
            finish_reason,
            now_s - job.arrived_s,
            now_s - entered_s,
            prompt_tokens=len(job.request.tokens),
            output_tokens=job.made,
        )

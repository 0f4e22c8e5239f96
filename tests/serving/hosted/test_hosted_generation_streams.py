"""Streams of text on an event loop: in order, bounded, and no slot is lost whatever clients and devices do."""

from __future__ import annotations

import asyncio
import functools
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from holdfast.serving.errors import RequestError
from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.devices.device import Device
from holdfast.serving.hosted.files import ModelFiles
from holdfast.serving.hosted.generation.decoder import Decoder
from holdfast.serving.hosted.generation.engine import Sampling
from holdfast.serving.hosted.generation.streams import Piece, TextGenerator, TextRequest
from holdfast.serving.hosted.generation.torch_decoder import TorchDecoder
from holdfast.serving.hosted.lost import DeviceLostError
from holdfast.serving.hosted.metrics import Labels, Published
from holdfast.serving.occupancy import Occupancy
from serving.hosted import generation_models as models

TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('no system here') }}{% endif %}"
    "[{{ message.role }}]{{ message.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


class Cpu(Device):
    """A device for text alone; `around` may wrap its decoder."""

    name, kind, framework = "cpu", "a CPU", "eager"

    def __init__(self, around: Callable[[TorchDecoder], Decoder] = lambda decoder: decoder) -> None:
        self._around = around

    def decoder(self, files: ModelFiles, bounds: Bounds) -> Decoder:
        positions = bounds.max_tokens or 256
        return self._around(
            TorchDecoder(model(), slots=bounds.max_batch, positions=positions, device=torch.device("cpu"))
        )

    def encoder(self, files: ModelFiles) -> Any:
        raise NotImplementedError

    def pipeline(self, files: ModelFiles) -> Any:
        raise NotImplementedError

    def shapes(self, files: ModelFiles) -> Mapping[str, int] | None:
        raise NotImplementedError

    def move(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        raise NotImplementedError

    def synchronise(self) -> None:
        raise NotImplementedError


class Noted(Published):
    """What was published, as it came."""

    def __init__(self) -> None:
        super().__init__(Labels("unit", "tiny", "cpu", "none"), has_tokens=True)
        self.counts: Counter[str] = Counter()
        self.reasons: list[str] = []
        self.tokens = 0
        self.occupancy: Callable[[], Occupancy] = lambda: Occupancy(-1, -1)

    def watch(self, occupancy: Callable[[], Occupancy]) -> None:
        self.occupancy = occupancy

    def batch_ran(self, size: int, seconds: float, tokens: int = 0) -> None:
        self.counts["steps"] += 1
        self.tokens += tokens

    def began(self, queued_s: float) -> None:
        self.counts["began"] += queued_s >= 0

    def first_token(self, seconds: float, prompt_tokens: int) -> None:
        self.counts["first"] += seconds > 0

    def token_gap(self, seconds: float) -> None:
        self.counts["gaps"] += seconds > 0

    def ended(
        self,
        finish_reason: str,
        latency_s: float,
        inference_s: float,
        *,
        prompt_tokens: int = 0,
        output_tokens: int = 0,
    ) -> None:
        assert latency_s >= inference_s >= 0
        self.reasons.append(finish_reason)
        self.counts["prompt tokens"] += prompt_tokens
        self.counts["output tokens"] += output_tokens


class Troubled:
    """A decoder whose steps may fail or take their time."""

    def __init__(self, inner: TorchDecoder) -> None:
        self.slots, self.positions, self.eos_ids = inner.slots, inner.positions, inner.eos_ids
        self.failures = 0
        self.pause_s = 0.0
        self._inner = inner

    def prefill(self, slot: int, tokens: Sequence[int]) -> torch.Tensor:
        return self._inner.prefill(slot, tokens)

    def decode(self, tokens: Sequence[int | None]) -> torch.Tensor:
        time.sleep(self.pause_s)
        if self.failures:
            self.failures -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self._inner.decode(tokens)


@functools.cache
def model() -> Any:
    return models.made("Llama", dtype=torch.float64)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return models.files(tmp_path_factory.mktemp("model"), model(), TEMPLATE)


def generator(files: ModelFiles, bounds: Bounds, device: Device | None = None) -> TextGenerator:
    return TextGenerator(files, device or Cpu(), bounds, Noted())


def noted(made: TextGenerator) -> Noted:
    published = made._published
    assert isinstance(published, Noted)
    return published


def serving(made: TextGenerator, clients: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """What the clients return, while it is served; then nothing waits or runs, and all slots are free."""

    async def session() -> Any:
        running = asyncio.create_task(made.run(), name="run")
        async with asyncio.timeout(20):
            answer = await clients()
            await made.idle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return answer

    answer = asyncio.run(session())
    assert made._engine.free == made._decoder.slots
    return answer


async def gathered(pieces: AsyncIterator[Piece]) -> tuple[str, list[int], str | None]:
    got = [piece async for piece in pieces]
    assert [piece.finish_reason for piece in got[:-1]] == [None] * (len(got) - 1)
    return (
        "".join(piece.text for piece in got),
        [token for piece in got for token in piece.tokens],
        got[-1].finish_reason,
    )


def endless(tokens: int = 200) -> TextRequest:
    return TextRequest((5, 6, 7), tokens, ignore_eos=True)


def test_many_streams_at_once_say_what_each_prompt_says_alone(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=3))
    prompts = models.prompts(3, 30, 1, 17, 60, 9, 4)

    async def clients() -> Any:
        return await asyncio.gather(*(gathered(made.answer(TextRequest(prompt, 12))) for prompt in prompts))

    decode = models.byte_level().decode
    answers = serving(made, clients)
    expected = [models.generated(model(), prompt, 12, ends=[models.EOS]) for prompt in prompts]
    assert [tokens for _, tokens, _ in answers] == expected
    assert [text for text, _, _ in answers] == [decode(tokens, skip_special_tokens=True) for tokens in expected]
    published, total = noted(made), sum(map(len, expected))
    assert published.counts["began"] == published.counts["first"] == len(published.reasons) == len(prompts)
    assert published.counts["gaps"] == total - len(prompts)
    assert published.counts["output tokens"] == total
    assert published.tokens == total + sum(map(len, prompts))
    assert published.occupancy() == Occupancy(0, 0)


def test_a_full_queue_refuses_at_once(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=2, max_queued=1))

    async def clients() -> Any:
        answers = [made.answer(endless(5)) for _ in range(3)]
        with pytest.raises(RequestError) as refused:
            made.answer(endless())
        assert (refused.value.status, refused.value.code) == (429, "queue_full")
        return await asyncio.gather(*map(gathered, answers))

    assert [reason for _, _, reason in serving(made, clients)] == ["length"] * 3


@pytest.mark.parametrize("way", ["closed", "cancelled", "forgotten", "thrown"])
def test_a_client_that_leaves_gives_its_slot_to_the_next(files: ModelFiles, way: str) -> None:
    made = generator(files, Bounds(max_batch=1))

    async def clients() -> Any:
        answer = made.answer(endless())
        await anext(answer)
        held = noted(made).occupancy()
        assert (held.running, held.waiting) == (1, 0)
        assert 3 / 256 <= held.kv_share < 0.5
        following = asyncio.create_task(gathered(made.answer(endless(4))), name="following")
        if way == "closed":
            await answer.aclose()
        elif way == "cancelled":
            reading = asyncio.create_task(gathered(answer), name="reading")
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        elif way == "thrown":
            with pytest.raises(KeyError):
                await answer.athrow(KeyError("of the reader"))
        else:
            del answer
            gc.collect()
        return await following

    assert len(serving(made, clients)[1]) == 4
    assert noted(made).reasons == ["abort", "length"]
    assert noted(made).counts["output tokens"] < 30


def test_a_client_that_leaves_the_queue_is_never_served(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=1))

    async def clients() -> None:
        first, second = made.answer(endless(4)), made.answer(endless())
        await second.aclose()
        assert [piece async for piece in second] == []
        await gathered(first)

    serving(made, clients)
    assert noted(made).reasons == ["abort", "length"]
    assert noted(made).counts["began"] == 1


def test_a_stop_ends_the_answer_before_it_and_frees_the_slot(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=1))
    whole = models.byte_level().decode(models.generated(model(), (5, 6, 7), 40))
    stop = whole[10:13]

    async def clients() -> Any:
        cut = await gathered(made.answer(TextRequest((5, 6, 7), 200, ignore_eos=True, stop=(stop,))))
        later = await gathered(made.answer(TextRequest((5, 6, 7), 40, 40, ignore_eos=True, stop=(stop,))))
        return cut, later

    (text, tokens, reason), later = serving(made, clients)
    assert (text, reason) == (whole[: whole.index(stop)], "stop")
    assert len(tokens) < 40
    assert len(later[1]) == 40
    assert noted(made).reasons[0] == "stop"


def test_a_step_that_fails_is_told_to_those_in_it_and_forgotten(files: ModelFiles) -> None:
    device = Cpu(Troubled)
    made = generator(files, Bounds(max_batch=2), device)
    decoder = made._decoder
    assert isinstance(decoder, Troubled)

    async def clients() -> Any:
        decoder.failures = 1
        answers = [made.answer(endless(5)) for _ in range(3)]
        return await asyncio.gather(*map(gathered, answers), return_exceptions=True)

    *failed, served = serving(made, clients)
    assert [(error.status, error.code) for error in failed] == [(500, "model_failed")] * 2
    assert len(served[1]) == 5
    assert noted(made).reasons == ["error", "error", "length"]


def test_a_device_that_fails_again_and_again_ends_the_server(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=1), Cpu(Troubled))
    assert isinstance(made._decoder, Troubled)
    made._decoder.failures = 99

    async def clients() -> None:
        answers = [made.answer(endless(5)) for _ in range(4)]
        with pytest.raises(DeviceLostError, match=r"3 times in a row, and then on its warm-up \(CUDA out of memory\)"):
            await asyncio.wait_for(made.run(), 10)
        ends = await asyncio.gather(*map(gathered, answers), return_exceptions=True)
        assert [end.status for end in ends if isinstance(end, RequestError)] == [500, 500, 500, 503]
        with pytest.raises(RequestError, match="shutting down"):
            made.answer(endless())

    asyncio.run(clients())


def test_failures_that_the_warm_up_does_not_share_end_nothing(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=1), Cpu(Troubled))
    assert isinstance(made._decoder, Troubled)
    made._decoder.failures = 3

    async def clients() -> Any:
        answers = [made.answer(endless(5)) for _ in range(4)]
        return await asyncio.gather(*map(gathered, answers), return_exceptions=True)

    *failed, served = serving(made, clients)
    assert [error.status for error in failed] == [500] * 3
    assert len(served[1]) == 5


def test_the_event_loop_goes_on_while_the_device_works(files: ModelFiles) -> None:
    made = generator(files, Bounds(max_batch=1), Cpu(Troubled))
    assert isinstance(made._decoder, Troubled)
    made._decoder.pause_s = 0.1

    async def clients() -> int:
        reading = asyncio.create_task(gathered(made.answer(endless(4))), name="reading")
        turns = 0
        while not reading.done():
            await asyncio.sleep(0.005)
            turns += 1
        return turns

    assert serving(made, clients) > 15


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (TextRequest((5,) * 64, 1), "the prompt has 64 tokens and the context ends at 64 tokens with the answer"),
        (TextRequest((5,) * 60, 5), "max_tokens must be a whole number from 1 to 4, not 5"),
        (TextRequest((5,) * 60, 0), "max_tokens must be a whole number from 1 to 4, not 0"),
        (TextRequest((5,), 5, 6), "min_tokens must be a whole number from 0 to 5, not 6"),
        (TextRequest((), 5), "prompt must have at least one token"),
        (TextRequest((5, 300), 5), "300 is no token of the model, whose ids go from 0 to 299"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(files: ModelFiles, request_: TextRequest, message: str) -> None:
    made = generator(files, Bounds(max_tokens=64))
    assert made.max_model_len == 64
    with pytest.raises(RequestError) as refused:
        made.answer(request_)
    assert (refused.value.status, refused.value.message) == (400, message)


@pytest.mark.parametrize("text", ["a" * 64, "a" * 10_000_000])
def test_a_text_too_long_is_refused_when_it_is_encoded(files: ModelFiles, text: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(RequestError) as refused:
        generator(files, Bounds(max_tokens=64)).encode(text)
    assert refused.value.code == "context_length_exceeded"
    assert time.monotonic() - began_s < 0.5


def test_a_chat_is_encoded_by_the_models_own_template(files: ModelFiles) -> None:
    made = generator(files, Bounds())
    hello = {"role": "user", "content": "hé"}
    assert models.byte_level().decode(made.encode_chat([hello])) == "[user]hé[assistant]"
    with pytest.raises(RequestError, match="no system here"):
        made.encode_chat([{"role": "system", "content": "be"}])


@pytest.mark.parametrize(
    "template", ["{{ messages[0].content.index('z') }}", "{{ 1 // 0 }}", "{% for i in range(10 ** 6) %}{% endfor %}"]
)
def test_a_chat_template_that_fails_on_messages_refuses_them(tmp_path: Path, template: str) -> None:
    with pytest.raises(RequestError, match="does not take these messages"):
        generator(models.files(tmp_path, model(), template), Bounds()).encode_chat([{"role": "user", "content": "a"}])


def test_a_model_without_a_chat_template_says_so(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no chat template"):
        generator(models.files(tmp_path, model()), Bounds()).encode_chat([{"role": "user", "content": "a"}])


def test_prompts_are_encoded_by_several_threads_at_once(files: ModelFiles) -> None:
    made = generator(files, Bounds())
    texts = ["a" * length for length in range(1, 200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(len, pool.map(made.encode, texts))) == list(range(1, 200))


@pytest.mark.parametrize("around", [lambda decoder: decoder, Troubled])
def test_warming_up_leaves_all_slots_free(files: ModelFiles, around: Callable[[TorchDecoder], Decoder]) -> None:
    made = generator(files, Bounds(max_batch=2, max_tokens=100), Cpu(around))
    made.warm_up()
    sampled = TextRequest((5,), 6, sampling=Sampling(temperature=1.0, seed=3))

    async def clients() -> Any:
        return [await gathered(made.answer(sampled)) for _ in range(2)]

    first, second = serving(made, clients)
    assert first == second

"""How an accelerator spends its time on requests: plain state and arithmetic, with time as an argument.

Two kinds stand behind the Engine interface:

    FixedWork            every output (an image) takes one of `slots` servers for `service_s`
    ContinuousBatching   all running requests advance by one token per step; a step takes
                         base_s + per_sequence_s * sequences + per_prefill_token_s * prompt tokens in it
                         + per_kv_token_s * tokens in the KV cache at its start

An engine is driven by whoever owns the clock, a server on wall time or a simulator on virtual time:
`advance(now)` first, which reports every step that has ended by `now`, then `submit` or `cancel` at that
same `now`. Steps follow each other at the exact times that the arithmetic gives, however late `advance` is
called, so lateness of the driver never adds up. All times are seconds on the driver's clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Job:
    """What the engine has to know of a request.

    key:           names it; unique among the jobs that have not ended.
    prompt_tokens: tokens to prefill; 0 for images.
    outputs:       output tokens, or images, that complete it.
    """

    key: int
    prompt_tokens: int
    outputs: int

    def __post_init__(self) -> None:
        if self.outputs < 1 or self.prompt_tokens < 0:
            raise ValueError(f"a job has at least 1 output and no negative prompt, not {self}")


@dataclass(frozen=True, slots=True)
class Step:
    """One ended piece of device work.

    produced:      keys that got an output in it, one token each (for images: the job's images, all at once).
    finished:      those of `produced` that are now complete; the engine has forgotten them.
    prompt_tokens: prompt tokens prefilled in it.
    """

    start_s: float
    end_s: float
    produced: tuple[int, ...]
    finished: tuple[int, ...]
    prompt_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What an engine holds: jobs running and waiting, tokens in the KV cache and their share of it, 0..1."""

    running: int
    waiting: int
    kv_tokens: int = 0
    kv_share: float = 0.0


class Engine(Protocol):
    """See the module docstring for the order of calls. A call with a time before a due step raises ValueError."""

    def submit(self, job: Job, now_s: float) -> bool:
        """Take the job, or say False when as many are held as may run and wait together."""

    def cancel(self, key: int, now_s: float) -> bool:
        """Forget the job and free what it holds; False when it had already ended."""

    def advance(self, now_s: float) -> list[Step]:
        """The steps that have ended by `now_s`, in order of their ends."""

    def next_s(self) -> float:
        """When the next step ends; infinite when there is no work."""

    def busy_s(self, now_s: float) -> float:
        """Device time spent up to `now_s`; with several slots, the mean over them. Its rate is the utilisation."""

    def occupancy(self) -> Occupancy:
        """What is held as of the last call."""


@dataclass(frozen=True)
class FixedWork:
    """An accelerator on which each output takes the same time.

    slots:      jobs served at once, at least 1.
    service_s:  seconds per output in one slot, above 0.
    max_queued: jobs that may wait, first come first served; one more is refused.
    """

    slots: int
    service_s: float
    max_queued: int

    def __post_init__(self) -> None:
        _require(self.slots >= 1, "slots", self.slots, "at least 1")
        _require(0 < self.service_s < math.inf, "service_s", self.service_s, "positive")
        _require(self.max_queued >= 0, "max_queued", self.max_queued, "at least 0")

    def scaled(self, time_scale: float) -> FixedWork:
        """The same accelerator, `time_scale` times as fast."""
        return replace(self, service_s=self.service_s / time_scale)

    def engine(self) -> Engine:
        return SlotEngine(self)


@dataclass(frozen=True)
class ContinuousBatching:
    """An accelerator that serves a language model by iterations. Coefficients are seconds, see the module docstring.

    max_num_seqs:           sequences in one step.
    max_num_batched_tokens: tokens in one step, decoded and prefilled; longer prompts are prefilled in chunks.
    max_model_len:          prompt and output tokens of one request together.
    kv_capacity_tokens:     tokens that the KV cache holds. A request is admitted when its prompt and all its
                            output fit beside what is already promised, so nothing is ever preempted.
    max_queued:             jobs that may be held beyond max_num_seqs; one more is refused.
    """

    base_s: float
    per_sequence_s: float
    per_prefill_token_s: float
    per_kv_token_s: float
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    kv_capacity_tokens: int
    max_queued: int

    def __post_init__(self) -> None:
        _require(0 < self.base_s < math.inf, "base_s", self.base_s, "positive")
        for name in ("per_sequence_s", "per_prefill_token_s", "per_kv_token_s"):
            _require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "at least 0")
        _require(self.max_num_seqs >= 1, "max_num_seqs", self.max_num_seqs, "at least 1")
        budget = self.max_num_batched_tokens
        _require(budget >= self.max_num_seqs, "max_num_batched_tokens", budget, "at least max_num_seqs")
        _require(self.max_model_len >= 2, "max_model_len", self.max_model_len, "at least 2")
        capacity = self.kv_capacity_tokens
        _require(capacity >= self.max_model_len, "kv_capacity_tokens", capacity, "at least max_model_len")
        _require(self.max_queued >= 0, "max_queued", self.max_queued, "at least 0")

    def scaled(self, time_scale: float) -> ContinuousBatching:
        """The same accelerator, `time_scale` times as fast."""
        return replace(
            self,
            base_s=self.base_s / time_scale,
            per_sequence_s=self.per_sequence_s / time_scale,
            per_prefill_token_s=self.per_prefill_token_s / time_scale,
            per_kv_token_s=self.per_kv_token_s / time_scale,
        )

    def step_s(self, sequences: int, prompt_tokens: int, kv_tokens: int) -> float:
        """Duration of a step that advances `sequences` and prefills `prompt_tokens`."""
        return (
            self.base_s
            + self.per_sequence_s * sequences
            + self.per_prefill_token_s * prompt_tokens
            + self.per_kv_token_s * kv_tokens
        )

    def engine(self) -> Engine:
        return BatchEngine(self)


def _require(holds: bool, name: str, value: float, bound: str) -> None:
    if not holds:
        raise ValueError(f"{name} must be {bound}, not {value}")


class SlotEngine:
    """The Engine of FixedWork."""

    def __init__(self, shape: FixedWork) -> None:
        self._shape = shape
        self._waiting: dict[int, Job] = {}
        self._running: dict[int, tuple[float, float]] = {}
        self._busy_s = 0.0

    def submit(self, job: Job, now_s: float) -> bool:
        self._check(job.key, now_s)
        if len(self._running) < self._shape.slots:
            self._start(job, now_s)
        elif len(self._waiting) < self._shape.max_queued:
            self._waiting[job.key] = job
        else:
            return False
        return True

    def _check(self, key: int, now_s: float) -> None:
        _check_order(self.next_s(), now_s)
        if key in self._running or key in self._waiting:
            raise ValueError(f"a job with the key {key} has not ended yet")

    def _start(self, job: Job, start_s: float) -> None:
        self._running[job.key] = (start_s, start_s + self._shape.service_s * job.outputs)

    def cancel(self, key: int, now_s: float) -> bool:
        _check_order(self.next_s(), now_s)
        if self._waiting.pop(key, None) is not None:
            return True
        if key not in self._running:
            return False
        start_s, _ = self._running.pop(key)
        self._busy_s += now_s - start_s
        self._fill(now_s)
        return True

    def _fill(self, start_s: float) -> None:
        if self._waiting:
            self._start(self._waiting.pop(next(iter(self._waiting))), start_s)

    def advance(self, now_s: float) -> list[Step]:
        steps = []
        while self.next_s() <= now_s:
            key = min(self._running, key=lambda running: self._running[running][1])
            start_s, end_s = self._running.pop(key)
            self._busy_s += end_s - start_s
            self._fill(end_s)
            steps.append(Step(start_s, end_s, (key,), (key,)))
        return steps

    def next_s(self) -> float:
        return min((end_s for _, end_s in self._running.values()), default=math.inf)

    def busy_s(self, now_s: float) -> float:
        under_way = sum(now_s - start_s for start_s, _ in self._running.values())
        return (self._busy_s + under_way) / self._shape.slots

    def occupancy(self) -> Occupancy:
        return Occupancy(len(self._running), len(self._waiting))


class BatchEngine:
    """The Engine of ContinuousBatching. Scheduling follows vLLM's: decodes first, then prompts in order of arrival.

    A job is waiting, then prefilling (its prompt is partly in the KV cache), then decoding. `_decoding` holds
    the number of the step that completes the job, so that a step costs time only for what begins or ends in it.
    """

    def __init__(self, shape: ContinuousBatching) -> None:
        self._shape = shape
        self._jobs: dict[int, Job] = {}
        self._waiting: deque[int] = deque()
        self._left: dict[int, int] = {}
        self._decoding: dict[int, int] = {}
        self._completing: dict[int, list[int]] = {}
        self._steps = 0
        self._start_s = math.inf
        self._end_s = math.inf
        self._step_prompt_tokens = 0
        self._busy_s = 0.0
        self._kv_tokens = 0
        self._kv_promised = 0

    @property
    def _running(self) -> int:
        return len(self._left) + len(self._decoding)

    def submit(self, job: Job, now_s: float) -> bool:
        _check_order(self._end_s, now_s)
        self._check(job)
        if len(self._jobs) >= self._shape.max_num_seqs + self._shape.max_queued:
            return False
        self._jobs[job.key] = job
        self._waiting.append(job.key)
        if self._end_s == math.inf:
            self._begin(now_s)
        return True

    def _check(self, job: Job) -> None:
        if job.key in self._jobs:
            raise ValueError(f"a job with the key {job.key} has not ended yet")
        if job.prompt_tokens < 1 or job.prompt_tokens + job.outputs > self._shape.max_model_len:
            raise ValueError(f"{job} has no prompt or is longer than max_model_len {self._shape.max_model_len}")

    def _begin(self, start_s: float) -> None:
        """Form the next step, or fall idle."""
        kv_at_start, self._step_prompt_tokens = self._kv_tokens, 0
        sequences = len(self._decoding)
        budget = self._shape.max_num_batched_tokens - sequences
        self._admit(budget - sum(self._left.values()))
        for key, left in self._left.items():
            taken = min(left, budget)
            if not taken:
                break
            self._left[key] = left - taken
            budget -= taken
            self._step_prompt_tokens += taken
            sequences += 1
        self._kv_tokens += self._step_prompt_tokens
        if not sequences:
            self._start_s = self._end_s = math.inf
            return
        self._start_s = start_s
        self._end_s = start_s + self._shape.step_s(sequences, self._step_prompt_tokens, kv_at_start)

    def _admit(self, budget: int) -> None:
        while self._waiting and budget > 0 and self._running < self._shape.max_num_seqs:
            job = self._jobs[self._waiting[0]]
            promised = self._kv_promised + job.prompt_tokens + job.outputs
            if promised > self._shape.kv_capacity_tokens:
                return
            self._waiting.popleft()
            self._kv_promised = promised
            self._left[job.key] = job.prompt_tokens
            budget -= job.prompt_tokens

    def advance(self, now_s: float) -> list[Step]:
        steps = []
        while self._end_s <= now_s:
            steps.append(self._finish())
            self._begin(steps[-1].end_s)
        return steps

    def _finish(self) -> Step:
        self._steps += 1
        self._busy_s += self._end_s - self._start_s
        for key in [key for key, left in self._left.items() if not left]:
            del self._left[key]
            last = self._steps + self._jobs[key].outputs - 1
            self._decoding[key] = last
            self._completing.setdefault(last, []).append(key)
        produced = tuple(self._decoding)
        self._kv_tokens += len(produced)
        ending = self._completing.pop(self._steps, ())
        finished = tuple(key for key in ending if self._decoding.get(key) == self._steps)
        for key in finished:
            self._forget(key)
        return Step(self._start_s, self._end_s, produced, finished, self._step_prompt_tokens)

    def cancel(self, key: int, now_s: float) -> bool:
        _check_order(self._end_s, now_s)
        if key not in self._jobs:
            return False
        if key in self._left or key in self._decoding:
            self._forget(key)
        else:
            self._waiting.remove(key)
            del self._jobs[key]
        return True

    def _forget(self, key: int) -> None:
        """Free what a running job holds. The step under way goes on: a batch cannot be stopped half way."""
        job = self._jobs.pop(key)
        if key in self._left:
            held = job.prompt_tokens - self._left.pop(key)
        else:
            held = job.prompt_tokens + job.outputs - (self._decoding.pop(key) - self._steps)
        self._kv_tokens -= held
        self._kv_promised -= job.prompt_tokens + job.outputs

    def next_s(self) -> float:
        return self._end_s

    def busy_s(self, now_s: float) -> float:
        return self._busy_s + max(0.0, now_s - self._start_s)

    def occupancy(self) -> Occupancy:
        share = self._kv_tokens / self._shape.kv_capacity_tokens
        return Occupancy(self._running, len(self._waiting), self._kv_tokens, share)


def _check_order(due_s: float, now_s: float) -> None:
    if due_s < now_s:
        raise ValueError(f"a step ended at {due_s} s; advance the engine before acting on it at {now_s} s")

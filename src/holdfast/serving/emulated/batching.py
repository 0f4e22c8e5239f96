"""An accelerator that serves a language model by iterations, scheduled as vLLM V1 does by default.

Before every step, in this order:

    1. Each running sequence that decodes is given the block which its next token needs. Where no block is free, the
       sequence admitted last is preempted: it loses its blocks and waits again, before all others.
    2. A prompt that was read in part goes on, with what max_num_batched_tokens leaves beside one token per decode.
    3. Unless something was preempted, requests are admitted in the order of arrival while there are tokens left, fewer
       than max_num_seqs run, and blocks are free for all that the next one has to prefill, not for its first chunk
       alone. What the prefix cache holds is not read again, except the last token, for without it there is nothing to
       predict the next one from.

That is `Scheduler.schedule` (vllm/v1/core/sched/scheduler.py), first come first served and without lookahead, with
`KVCacheManager.allocate_slots` as it admits by default (`full_sequence_must_fit`, no watermark); read 2026-11-21.

A preempted sequence keeps the tokens that it gave; when it is admitted again it prefills its prompt and those, and
goes on with the next. The sequence admitted first can always preempt all others, so that some request always ends:
nothing starves.

A job is waiting, then prefilling (at most one of them outlasts a step), then decoding. While it decodes, the numbers
of the step that completes it and of the one that needs its next block are known, and a step costs time only for what
begins, grows or ends in it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

from holdfast.serving.emulated.blocks import BlockPool
from holdfast.serving.emulated.engine import Engine, Job, Step, between, check_order, require
from holdfast.serving.emulated.pace import Pace, Stretch
from holdfast.serving.emulated.step_time import StepTime
from holdfast.serving.occupancy import Occupancy


@dataclass(frozen=True)
class ContinuousBatching:
    """An accelerator that serves a language model.

    step:                   how long a step takes.
    max_num_seqs:           sequences in one step.
    max_num_batched_tokens: tokens in one step, decoded and prefilled; longer prompts are prefilled in chunks.
    max_model_len:          prompt and output tokens of one request together; the cache must hold them.
    kv_blocks, block_size:  blocks of the KV cache, and tokens in each.
    max_queued:             jobs that may be held beyond max_num_seqs; one more is refused.
    prefix_caching:         whether blocks are shared by requests with the same beginning.
    """

    step: StepTime
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    kv_blocks: int
    max_queued: int
    block_size: int = 16
    prefix_caching: bool = True
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        require(self.max_num_seqs >= 1, "max_num_seqs", self.max_num_seqs, "at least 1")
        budget = self.max_num_batched_tokens
        require(budget >= self.max_num_seqs, "max_num_batched_tokens", budget, "at least max_num_seqs")
        require(self.max_model_len >= 2, "max_model_len", self.max_model_len, "at least 2")
        require(self.block_size >= 1, "block_size", self.block_size, "at least 1")
        least = math.ceil(self.max_model_len / self.block_size)
        require(self.kv_blocks >= least, "kv_blocks", self.kv_blocks, f"at least {least}, to hold max_model_len")
        require(between(self.max_queued, 0), "max_queued", self.max_queued, "at least 0")

    def scaled(self, time_scale: float) -> ContinuousBatching:
        """The same accelerator, `time_scale` times as fast."""
        return replace(self, step=self.step.scaled(time_scale), pace=self.pace.scaled(time_scale))

    def engine(self, ready_s: float = 0.0) -> Engine:
        """A fresh one. ready_s: when a slow start begins, on the driver's clock."""
        return BatchEngine(self, ready_s)


class _Sequence:
    """A job on its way.

    order:     of admission; a later one is preempted first.
    blocks:    what it refers to; named: how many of them others can find.
    computed:  tokens in the cache while it prefills. produced: outputs while it does not decode.
    ends_at:   the number of the step that completes it, and grows_at: after how many steps it needs a block.
    """

    __slots__ = ("blocks", "computed", "ends_at", "grows_at", "job", "named", "order", "preempted", "produced")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.order = 0
        self.blocks: list[int] = []
        self.named = 0
        self.computed = 0
        self.produced = 0
        self.preempted = False
        self.ends_at = -1
        self.grows_at = -1

    @property
    def to_prefill(self) -> int:
        """Tokens that must be in the cache before it can give the next one."""
        return self.job.prompt_tokens + self.produced


class BatchEngine:
    """The Engine of ContinuousBatching."""

    def __init__(self, shape: ContinuousBatching, ready_s: float) -> None:
        self._shape = shape
        self._stretch = Stretch(shape.pace, ready_s)
        self._pool = BlockPool(shape.kv_blocks)
        self._all: dict[int, _Sequence] = {}
        self._waiting: deque[_Sequence] = deque()
        self._prefilling: list[_Sequence] = []
        self._decoding: dict[int, _Sequence] = {}
        self._completing: dict[int, list[_Sequence]] = {}
        self._growing: dict[int, list[_Sequence]] = {}
        self._steps = 0
        self._admissions = 0
        self._start_s = self._end_s = math.inf
        self._stalled_until_s = -math.inf
        self._busy_s = 0.0
        self._kv_tokens = 0
        self._forming = _Forming()

    def submit(self, job: Job, now_s: float) -> bool:
        check_order(self._end_s, now_s)
        self._check(job)
        if len(self._all) >= self._shape.max_num_seqs + self._shape.max_queued:
            return False
        self._all[job.key] = sequence = _Sequence(job)
        self._waiting.append(sequence)
        if self._end_s == math.inf:
            self._begin(now_s)
        return True

    def _check(self, job: Job) -> None:
        if job.key in self._all:
            raise ValueError(f"a job with the key {job.key} has not ended yet")
        if job.prompt_tokens < 1 or job.prompt_tokens + job.outputs > self._shape.max_model_len:
            raise ValueError(f"{job} has no prompt or is longer than max_model_len {self._shape.max_model_len}")

    def _begin(self, start_s: float) -> None:
        """Form the next step, or fall idle."""
        forming = _Forming()
        self._grow(forming)
        budget = self._shape.max_num_batched_tokens - len(self._decoding)
        budget -= self._continue(budget, forming)
        if not forming.preempted:
            self._admit(budget, forming)
        sequences = len(self._decoding) + len(self._prefilling)
        if not sequences:
            self._start_s = self._end_s = math.inf
            return
        work_s = self._shape.step.step_s(sequences, forming.prompt_tokens, self._kv_tokens)
        self._kv_tokens += forming.prompt_tokens
        self._start_s = start_s
        self._end_s = max(start_s, self._stalled_until_s) + self._stretch.of(work_s, start_s)
        self._forming = forming

    def _grow(self, forming: _Forming) -> None:
        due = self._growing.pop(self._steps, ())
        # Those that ended, were cancelled or were preempted since they were entered here grow no more.
        for sequence in sorted((one for one in due if one.grows_at == self._steps), key=lambda one: one.order):
            if sequence.grows_at == self._steps and self._make_room(1, sequence, forming):
                sequence.blocks += self._pool.take(1)
                self._name(sequence, len(sequence.blocks) - 1)
                self._expect_growth(sequence, self._steps + self._shape.block_size)

    def _expect_growth(self, sequence: _Sequence, after_steps: int) -> None:
        sequence.grows_at = after_steps
        if after_steps < sequence.ends_at:
            self._growing.setdefault(after_steps, []).append(sequence)

    def _make_room(self, blocks: int, sequence: _Sequence, forming: _Forming) -> bool:
        """Preempt from the end until so many blocks are free; False when `sequence` itself had to go."""
        while self._pool.free < blocks:
            last = self._prefilling[-1] if self._prefilling else next(reversed(self._decoding.values()))
            self._preempt(last)
            forming.preempted.append(last.job.key)
            if last is sequence:
                return False
        return True

    def _preempt(self, sequence: _Sequence) -> None:
        if sequence.job.key in self._decoding:
            sequence.produced = self._produced(sequence)
        self._vacate(sequence)
        sequence.preempted = True
        sequence.blocks = []
        sequence.named = sequence.computed = 0
        self._waiting.appendleft(sequence)

    def _produced(self, sequence: _Sequence) -> int:
        """Outputs so far of one that decodes."""
        return sequence.job.outputs - (sequence.ends_at - self._steps)

    def _continue(self, budget: int, forming: _Forming) -> int:
        """Read on in the prompt that was read in part; the tokens that takes."""
        if not self._prefilling:
            return 0
        sequence = self._prefilling[0]
        chunk = min(sequence.to_prefill - sequence.computed, budget)
        needed = self._blocks_for(sequence.computed + chunk) - len(sequence.blocks)
        if not self._make_room(needed, sequence, forming):
            return 0
        self._read(sequence, chunk, needed, forming)
        return chunk

    def _admit(self, budget: int, forming: _Forming) -> None:
        while self._waiting and budget > 0:
            if len(self._decoding) + len(self._prefilling) >= self._shape.max_num_seqs:
                return
            sequence = self._waiting[0]
            found = self._found(sequence)
            cached = len(found) * self._shape.block_size
            chunk = min(sequence.to_prefill - cached, budget)
            whole = self._blocks_for(sequence.to_prefill) - len(found)
            if whole > self._pool.free - self._pool.idle(found):
                return
            needed = self._blocks_for(cached + chunk) - len(found)
            self._waiting.popleft()
            self._pool.refer(found)
            sequence.blocks, sequence.named, sequence.computed = found, len(found), cached
            sequence.order = self._admissions = self._admissions + 1
            self._kv_tokens += cached
            self._prefilling.append(sequence)
            forming.admit(sequence, cached)
            self._read(sequence, chunk, needed, forming)
            budget -= chunk

    def _found(self, sequence: _Sequence) -> list[int]:
        if not self._shape.prefix_caching:
            return []
        return self._pool.find(sequence.job.names[: (sequence.to_prefill - 1) // self._shape.block_size])

    def _read(self, sequence: _Sequence, chunk: int, needed: int, forming: _Forming) -> None:
        sequence.blocks += self._pool.take(needed)
        sequence.computed += chunk
        forming.prompt_tokens += chunk
        self._name(sequence, sequence.computed // self._shape.block_size)

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self._shape.block_size)

    def _name(self, sequence: _Sequence, full: int) -> None:
        """Let others find the first `full` blocks of the sequence."""
        if self._shape.prefix_caching:
            for number in range(sequence.named, min(full, len(sequence.job.names))):
                self._pool.name(sequence.blocks[number], sequence.job.names[number])
        sequence.named = full

    def advance(self, now_s: float) -> list[Step]:
        steps = []
        while self._end_s <= now_s:
            steps.append(self._finish())
            self._begin(steps[-1].end_s)
        return steps

    def _finish(self) -> Step:
        self._steps += 1
        self._busy_s += self._end_s - self._start_s
        began = [one for one in self._prefilling if one.computed == one.to_prefill]
        self._prefilling = [one for one in self._prefilling if one.computed < one.to_prefill]
        for sequence in began:
            self._decode(sequence)
        produced = tuple(self._decoding)
        self._kv_tokens += len(produced)
        finished = tuple(one for one in self._completing.pop(self._steps, ()) if one.ends_at == self._steps)
        for sequence in finished:
            self._forget(sequence)
        forming = self._forming
        return Step(
            self._start_s,
            self._end_s,
            produced,
            tuple(sequence.job.key for sequence in finished),
            forming.prompt_tokens,
            tuple(forming.admitted),
            tuple(forming.preempted),
            tuple(sequence.job.key for sequence in began),
            forming.queried_tokens,
            forming.hit_tokens,
        )

    def _decode(self, sequence: _Sequence) -> None:
        """Its prefill has ended with the step just counted, which gave a token."""
        sequence.ends_at = self._steps + sequence.job.outputs - sequence.produced - 1
        self._completing.setdefault(sequence.ends_at, []).append(sequence)
        self._decoding[sequence.job.key] = sequence
        room = len(sequence.blocks) * self._shape.block_size - sequence.to_prefill
        self._expect_growth(sequence, self._steps + room)

    def cancel(self, key: int, now_s: float) -> bool:
        check_order(self._end_s, now_s)
        sequence = self._all.get(key)
        if sequence is None:
            return False
        if key in self._decoding or sequence in self._prefilling:
            self._forget(sequence)
        else:
            self._waiting.remove(sequence)
            del self._all[key]
        return True

    def _forget(self, sequence: _Sequence) -> None:
        """Free what a running job holds. The step under way goes on: a batch cannot be stopped half way."""
        del self._all[sequence.job.key]
        self._vacate(sequence)

    def _vacate(self, sequence: _Sequence) -> None:
        if self._decoding.pop(sequence.job.key, None) is None:
            self._prefilling.remove(sequence)
            self._kv_tokens -= sequence.computed
        else:
            held = sequence.job.prompt_tokens + self._produced(sequence)
            self._kv_tokens -= held
            # Of the last token nothing is in the cache yet.
            self._name(sequence, (held - 1) // self._shape.block_size)
        self._pool.release(sequence.blocks)
        sequence.ends_at = sequence.grows_at = -1

    def stall(self, for_s: float, now_s: float) -> None:
        check_order(self._end_s, now_s)
        self._stalled_until_s = max(self._stalled_until_s, now_s) + for_s
        self._end_s += for_s

    def next_s(self) -> float:
        return self._end_s

    def busy_s(self, now_s: float) -> float:
        return self._busy_s + max(0.0, now_s - self._start_s)

    def occupancy(self) -> Occupancy:
        running = len(self._decoding) + len(self._prefilling)
        return Occupancy(running, len(self._waiting), self._pool.used, self._pool.used / self._pool.capacity)


class _Forming:
    """What is decided of the step that is about to begin."""

    def __init__(self) -> None:
        self.prompt_tokens = 0
        self.admitted: list[int] = []
        self.preempted: list[int] = []
        self.queried_tokens = 0
        self.hit_tokens = 0

    def admit(self, sequence: _Sequence, cached: int) -> None:
        self.admitted.append(sequence.job.key)
        if not sequence.preempted:
            # vLLM counts the lookups of preempted requests apart, and publishes only these.
            self.queried_tokens += sequence.to_prefill
            self.hit_tokens += cached

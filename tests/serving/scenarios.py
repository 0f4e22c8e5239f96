"""Random lives of an engine: what happens to it, and what must hold whatever happens."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st

from holdfast.serving.emulated.batching import BatchEngine, ContinuousBatching
from holdfast.serving.emulated.blocks import chain
from holdfast.serving.emulated.engine import Job, Step
from holdfast.serving.emulated.pace import Pace
from holdfast.serving.emulated.step_time import LinearStep

Action = tuple[str, int, int, int]

_SUBMIT = st.tuples(st.just("submit"), st.integers(1, 40), st.integers(1, 30), st.integers(0, 40))
ACTIONS = st.lists(
    st.one_of(
        _SUBMIT,
        _SUBMIT,
        _SUBMIT,
        st.tuples(st.just("cancel"), st.integers(0, 40), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 400), st.just(0), st.just(0)),
        st.tuples(st.just("stall"), st.integers(0, 100), st.just(0), st.just(0)),
    ),
    min_size=8,
    max_size=50,
)
"""submit: prompt and output tokens, and how many of the prompt are the same in all. Others: a key, or milliseconds."""


@st.composite
def shapes(draw: st.DrawFn) -> ContinuousBatching:
    """Small accelerators, most with too few KV blocks for what they may run."""
    sequences, block_size, longest = draw(st.integers(1, 6)), draw(st.integers(1, 8)), draw(st.integers(20, 70))
    least = math.ceil(longest / block_size)
    return ContinuousBatching(
        step=LinearStep(0.01, draw(st.sampled_from([0.0, 0.001])), 0.0002, draw(st.sampled_from([0.0, 1e-5]))),
        max_num_seqs=sequences,
        max_num_batched_tokens=sequences + draw(st.integers(0, 40)),
        max_model_len=longest,
        kv_blocks=least + draw(st.integers(0, 2 * least)),
        max_queued=draw(st.integers(0, 8)),
        block_size=block_size,
        prefix_caching=draw(st.booleans()),
        pace=draw(st.sampled_from([Pace(), Pace(jitter=0.3, seed=1), Pace(slow_factor=3.0, slow_s=0.2)])),
    )


@dataclass
class Life:
    """One scenario as it goes. spent_s: of each request that ended, its time there; held_s: the same over all time."""

    shape: ContinuousBatching
    engine: BatchEngine = field(init=False)
    now_s: float = 0.0
    held_s: float = 0.0
    spent_s: float = 0.0
    jobs: dict[int, Job] = field(default_factory=dict)
    arrived_s: dict[int, float] = field(default_factory=dict)
    ended: Counter[int] = field(default_factory=Counter)
    finished: set[int] = field(default_factory=set)
    produced: Counter[int] = field(default_factory=Counter)
    preemptions: int = 0
    hit_tokens: int = 0

    def __post_init__(self) -> None:
        self.engine = BatchEngine(self.shape, 0.0)

    def live(self, actions: list[Action]) -> None:
        """Do all this, let the engine come to rest, and hold that nothing is left."""
        for key, action in enumerate(actions):
            self._do(key, action)
            self._hold()
        for _ in range(10_000):
            if self.engine.next_s() == math.inf:
                break
            self._until(self.engine.next_s())
        self._rest()

    def _do(self, key: int, action: Action) -> None:
        what, first, second, shared = action
        if what == "submit":
            self._submit(key, first, second, shared)
        elif what == "cancel":
            if self.engine.cancel(first, self.now_s):
                self._end(first, self.now_s)
        elif what == "stall":
            self.engine.stall(first / 1000, self.now_s)
        else:
            self._until(self.now_s + first / 1000)

    def _submit(self, key: int, prompt: int, outputs: int, shared: int) -> None:
        outputs = min(outputs, self.shape.max_model_len - 1)
        prompt = min(prompt, self.shape.max_model_len - outputs)
        tokens = [(0 if at < min(shared, prompt) else key + 1, at) for at in range(prompt + outputs)]
        self.jobs[key] = Job(key, prompt, outputs, chain(tokens, self.shape.block_size))
        self.arrived_s[key] = self.now_s
        if not self.engine.submit(self.jobs[key], self.now_s):
            self.ended[key] += 1

    def _until(self, at_s: float) -> None:
        while self.engine.next_s() <= at_s:
            due_s = self.engine.next_s()
            self._pass(due_s)
            for step in self.engine.advance(due_s):
                self._see(step)
        self._pass(at_s)

    def _pass(self, at_s: float) -> None:
        held = self.engine.occupancy()
        self.held_s += (held.running + held.waiting) * (at_s - self.now_s)
        self.now_s = at_s

    def _see(self, step: Step) -> None:
        assert step.end_s > step.start_s
        assert len(set(step.produced)) == len(step.produced) <= self.shape.max_num_seqs
        assert step.prompt_tokens + len(step.produced) - len(step.began) <= self.shape.max_num_batched_tokens
        assert 0 <= step.hit_tokens <= step.queried_tokens
        assert not (step.preempted and step.admitted)
        for key in step.produced:
            self.produced[key] += 1
        for key in step.finished:
            self.finished.add(key)
            self._end(key, step.end_s)
        self.preemptions += len(step.preempted)
        self.hit_tokens += step.hit_tokens

    def _end(self, key: int, at_s: float) -> None:
        self.ended[key] += 1
        self.spent_s += at_s - self.arrived_s[key]

    def _hold(self) -> None:
        held = self.engine.occupancy()
        assert held.running + held.waiting == len(self.jobs) - sum(self.ended.values())
        assert held.running <= self.shape.max_num_seqs
        assert 0 <= held.kv_share <= 1
        # References are those of running sequences and no others, and blocks are referred to or free.
        running = [one for one in self.engine._all.values() if one.blocks]
        assert self.engine._pool.references == sum(len(one.blocks) for one in running)
        assert self.engine._pool.used + self.engine._pool.free == self.shape.kv_blocks
        assert held.kv_blocks <= self.engine._pool.references
        # Each has the blocks of its tokens, the one that is being fed included, and none to spare.
        decoding = self.engine._decoding.values()
        tokens = [(one, one.job.prompt_tokens + self.engine._produced(one)) for one in decoding]
        tokens += [(one, one.computed) for one in self.engine._prefilling]
        assert all(len(one.blocks) == math.ceil(count / self.shape.block_size) for one, count in tokens)
        assert self.engine._kv_tokens == sum(count for _, count in tokens)

    def _rest(self) -> None:
        assert self.engine.next_s() == math.inf, "it never comes to rest"
        assert self.ended == Counter(self.jobs.keys()), "every request ends exactly once"
        assert all(self.produced[key] == self.jobs[key].outputs for key in self.finished), "each token is given once"
        held, pool = self.engine.occupancy(), self.engine._pool
        assert (held.running, held.waiting, held.kv_blocks, held.kv_share) == (0, 0, 0, 0.0)
        assert (pool.references, pool.free) == (0, self.shape.kv_blocks), "KV blocks balance to zero"
        assert self.engine._kv_tokens == 0
        assert self.held_s == pytest.approx(self.spent_s, rel=1e-6, abs=1e-6), "Little's law"

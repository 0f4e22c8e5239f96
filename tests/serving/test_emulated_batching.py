"""KV blocks, preemption and the prefix cache, on virtual time."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings

from holdfast.serving.emulated import virtual
from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.blocks import BlockPool, chain
from holdfast.serving.emulated.engine import Job, Step
from holdfast.serving.emulated.pace import Pace
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_time import LinearStep
from serving.scenarios import ACTIONS, Action, Life, shapes

SMALL = ContinuousBatching(
    step=LinearStep(0.01, 0.0, 0.0, 0.0),
    max_num_seqs=4,
    max_num_batched_tokens=64,
    max_model_len=64,
    kv_blocks=16,
    max_queued=100,
    block_size=4,
)


@settings(deadline=None, max_examples=300)
@given(shape=shapes(), actions=ACTIONS)
def test_whatever_happens_every_token_is_given_once_and_every_block_comes_back(
    shape: ContinuousBatching, actions: list[Action]
) -> None:
    Life(shape).live(actions)


def test_such_lives_do_preempt_and_do_hit_the_prefix_cache() -> None:
    chance = random.Random(3)
    life = Life(SMALL)
    life.live([("submit", chance.randint(1, 30), chance.randint(10, 30), 20) for _ in range(40)])
    assert life.preemptions > 5
    assert life.hit_tokens > 100


def test_the_last_admitted_is_preempted_and_its_tokens_are_prefilled_again() -> None:
    # 16 blocks of 4: two requests of 24 tokens take 6 blocks each, and the four more that each comes to need are there
    # for one of them only.
    engine = SMALL.engine()
    for key in (1, 2):
        engine.submit(Job(key, 24, 20), 0.0)
    steps = engine.advance(100.0)
    (preempting,) = [step for step in steps if step.preempted]
    assert preempting.preempted == (2,)
    given_before = sum(2 in step.produced for step in steps[: steps.index(preempting)])
    again = next(step for step in steps if 2 in step.admitted and step is not steps[1])
    assert again.prompt_tokens == 24 + given_before
    assert 2 in again.began
    assert Counter(key for step in steps for key in step.produced) == {1: 20, 2: 20}
    # It had to wait until the first was done, since nothing is admitted where blocks are short.
    assert 1 in steps[steps.index(again) - 1].finished


def test_a_preempted_request_goes_before_those_that_never_ran() -> None:
    engine = replace(SMALL, max_num_seqs=2).engine()
    for key in (1, 2, 3):
        engine.submit(Job(key, 24, 20), 0.0)
    admitted = [key for step in engine.advance(100.0) for key in step.admitted]
    assert admitted[:3] == [1, 2, 2]


def test_a_request_is_admitted_when_its_whole_prompt_has_room_and_not_its_first_chunk_alone() -> None:
    engine = replace(SMALL, max_num_batched_tokens=8).engine()
    engine.submit(Job(1, 40, 10), 0.0)
    engine.submit(Job(2, 40, 10), 0.0)
    steps = engine.advance(100.0)
    second = next(step for step in steps if 2 in step.admitted)
    assert 1 in steps[steps.index(second) - 1].finished
    assert not any(step.preempted for step in steps)


def test_nothing_starves_where_the_cache_holds_one_request() -> None:
    engine = replace(SMALL, max_num_seqs=4, kv_blocks=16).engine()
    for key in range(30):
        engine.submit(Job(key, 40, 24), 0.0)
    finished = [key for step in engine.advance(1000.0) for key in step.finished]
    assert finished == list(range(30))


def named(key: int, prompt: list[int], outputs: int) -> Job:
    return Job(key, len(prompt), outputs, chain([*prompt, *range(1000, 1000 + outputs)], 4))


def test_a_prompt_that_was_there_before_is_not_read_again_except_its_last_block() -> None:
    engine = SMALL.engine()
    engine.submit(named(1, list(range(16)), 2), 0.0)
    first = engine.advance(10.0)[0]
    engine.submit(named(2, list(range(16)), 2), 10.0)
    second = engine.advance(20.0)[0]
    assert (first.queried_tokens, first.hit_tokens, first.prompt_tokens) == (16, 0, 16)
    # The last token has to be computed, so of 4 full blocks 3 are taken as they are.
    assert (second.queried_tokens, second.hit_tokens, second.prompt_tokens) == (16, 12, 4)


def test_a_conversation_finds_the_answer_it_got_before() -> None:
    engine = SMALL.engine()
    engine.submit(named(1, list(range(8)), 9), 0.0)
    engine.advance(10.0)
    engine.submit(Job(2, 24, 1, chain([*range(8), *range(1000, 1009), *range(50, 57)], 4)), 10.0)
    # 8 of the prompt and 8 of the 9 output tokens, the last of which never came into the cache.
    assert engine.advance(20.0)[0].hit_tokens == 16


def test_requests_share_a_prefix_only_up_to_where_they_differ() -> None:
    engine = SMALL.engine()
    engine.submit(named(1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], 1), 0.0)
    engine.advance(10.0)
    engine.submit(named(2, [1, 2, 3, 4, 99, 6, 7, 8, 9, 10, 11, 12], 1), 10.0)
    assert engine.advance(20.0)[0].hit_tokens == 4


def test_without_prefix_caching_nothing_is_shared() -> None:
    engine = replace(SMALL, prefix_caching=False).engine()
    for key in (1, 2):
        engine.submit(named(key, list(range(16)), 2), 0.0)
    assert sum(step.hit_tokens for step in engine.advance(10.0)) == 0


def test_the_block_unused_longest_is_taken_first_and_the_end_of_a_prefix_before_its_beginning() -> None:
    pool = BlockPool(4)
    first, second = pool.take(2), pool.take(2)
    for block, name in zip((*first, *second), (11, 12, 21, 22), strict=True):
        pool.name(block, name)
    pool.release(first)
    pool.release(second)
    pool.take(1)
    assert (pool.find([11, 12]), pool.find([21, 22])) == (first[:1], second)
    pool.take(1)
    assert pool.find([11]) == []


def test_a_shared_block_is_free_when_the_last_reference_is_gone() -> None:
    pool = BlockPool(2)
    (block,) = pool.take(1)
    pool.name(block, 7)
    pool.refer(pool.find([7]))
    pool.release([block])
    assert (pool.used, pool.references) == (1, 1)
    pool.release([block])
    assert (pool.used, pool.idle([block])) == (0, 1)


def test_prefill_beside_decodes_makes_their_step_longer() -> None:
    engine = replace(SMALL, step=LinearStep(0.01, 0.0, 0.001, 0.0)).engine()
    engine.submit(Job(1, 4, 10), 0.0)
    engine.advance(0.02)
    engine.submit(Job(2, 40, 1), 0.02)
    lengths_s = [step.end_s - step.start_s for step in engine.advance(10.0)]
    assert max(lengths_s) == pytest.approx(0.01 + 0.04)
    assert min(lengths_s) == pytest.approx(0.01)


@pytest.mark.parametrize("shape", [SMALL, FixedWork(slots=2, service_s=0.1, max_queued=9)])
def test_a_stall_delays_what_is_under_way_and_what_comes_meanwhile(shape: ContinuousBatching | FixedWork) -> None:
    def ends(stalled_s: float) -> list[float]:
        engine = shape.engine()
        engine.submit(Job(1, 4, 1), 0.0)
        if stalled_s:
            engine.stall(stalled_s, 0.0)
        steps: list[Step] = engine.advance(100.0)
        return [step.end_s for step in steps]

    assert ends(5.0) == pytest.approx([end_s + 5.0 for end_s in ends(0.0)])
    idle = shape.engine()
    idle.stall(5.0, 0.0)
    idle.submit(Job(1, 4, 1), 1.0)
    assert idle.next_s() == pytest.approx(ends(0.0)[0] + 5.0)


def test_a_slow_start_wears_off_in_a_straight_line() -> None:
    engine = replace(SMALL, pace=Pace(slow_factor=3.0, slow_s=10.0)).engine(ready_s=100.0)
    for at_s, factor in ((100.0, 3.0), (105.0, 2.0), (111.0, 1.0)):
        engine.submit(Job(1, 4, 1), at_s)
        assert engine.next_s() - at_s == pytest.approx(0.01 * factor)
        engine.advance(at_s + 1)


def test_jitter_keeps_the_mean_and_repeats_with_its_seed() -> None:
    shape = replace(SMALL, max_model_len=4000, kv_blocks=1000, pace=Pace(jitter=0.3, seed=5))
    runs = []
    for _ in range(2):
        engine = shape.engine()
        engine.submit(Job(1, 4, 3000), 0.0)
        runs.append([step.end_s for step in engine.advance(1000.0)])
    assert runs[0] == runs[1]
    assert runs[0][-1] == pytest.approx(3000 * 0.01, rel=0.03)


@pytest.mark.parametrize(("clients", "think_s"), [(1, 0.0), (3, 0.5), (8, 0.0), (8, 2.0)])
def test_a_closed_loop_obeys_little_s_law(clients: int, think_s: float) -> None:
    jobs = [Job(key, 10, 20) for key in range(clients * 40)]
    answers = virtual.closed_loop(replace(SMALL, kv_blocks=200).engine(), clients, jobs, think_s)
    assert len(answers) == len(jobs)
    span_s = answers[-1].end_s - answers[0].end_s
    cycle_s = sum(answer.latency_s for answer in answers) / len(answers) + think_s
    assert len(answers) / span_s * cycle_s == pytest.approx(clients, rel=0.08)

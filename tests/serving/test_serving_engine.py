"""The engines on virtual time, against closed forms and conservation laws."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.serving.emulated.batching import ContinuousBatching
from holdfast.serving.emulated.engine import Engine, Job, Step
from holdfast.serving.emulated.slots import FixedWork
from holdfast.serving.emulated.step_time import LinearStep

FIXED = FixedWork(slots=2, service_s=0.5, max_queued=1000)
STEP = LinearStep(base_s=0.02, per_sequence_s=0.0005, per_prefill_token_s=0.0001, per_kv_token_s=0.0)
BATCHING = ContinuousBatching(
    step=STEP,
    max_num_seqs=16,
    max_num_batched_tokens=256,
    max_model_len=512,
    kv_blocks=256,
    max_queued=1000,
)
SHAPES = pytest.mark.parametrize("shape", [FIXED, BATCHING], ids=["fixed", "batching"])


@dataclass
class Ran:
    """What a run on virtual time showed: sojourn times, and the integral of the number held over time."""

    sojourns_s: list[float]
    held_s: float
    end_s: float


def run_open(engine: Engine, arrivals: list[tuple[float, Job]]) -> Ran:
    """Offer the jobs at their times and let the engine come to rest."""
    pending = list(arrivals)
    heapq.heapify(pending)
    arrived = {job.key: at_s for at_s, job in arrivals}
    sojourns: list[float] = []
    held_s = now_s = 0.0
    while pending or engine.next_s() < math.inf:
        until_s = min(pending[0][0] if pending else math.inf, engine.next_s())
        held = engine.occupancy()
        held_s += (held.running + held.waiting) * (until_s - now_s)
        now_s = until_s
        for step in engine.advance(now_s):
            sojourns += [step.end_s - arrived[key] for key in step.finished]
        while pending and pending[0][0] <= now_s:
            assert engine.submit(heapq.heappop(pending)[1], now_s)
    return Ran(sojourns, held_s, now_s)


def run_closed(engine: Engine, concurrency: int, prompt_tokens: int, outputs: int, horizon_s: float) -> float:
    """Requests per second with `concurrency` always in flight, over the last four fifths of the time."""
    for key in range(concurrency):
        engine.submit(Job(key, prompt_tokens, outputs), 0.0)
    submitted, done = concurrency, 0
    while (now_s := engine.next_s()) < horizon_s:
        for step in engine.advance(now_s):
            for _ in step.finished:
                engine.submit(Job(submitted, prompt_tokens, outputs), now_s)
                submitted += 1
                done += now_s > horizon_s / 5
    return done / (horizon_s * 4 / 5)


@SHAPES
@pytest.mark.parametrize("rate_per_s", [0.1, 1.0, 2.0, 3.9, 8.0])
def test_little_s_law_holds_at_every_load(shape: FixedWork | ContinuousBatching, rate_per_s: float) -> None:
    prompt = 0 if isinstance(shape, FixedWork) else 60
    outputs = 1 if isinstance(shape, FixedWork) else 40
    ran = run_open(shape.engine(), [(key / rate_per_s, Job(key, prompt, outputs)) for key in range(200)])
    assert len(ran.sojourns_s) == 200
    in_flight = ran.held_s / ran.end_s
    assert in_flight == pytest.approx(200 / ran.end_s * sum(ran.sojourns_s) / 200, rel=1e-9)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_saturated_fixed_work_completes_slots_over_service_per_second(slots: int) -> None:
    engine = FixedWork(slots=slots, service_s=0.25, max_queued=100).engine()
    assert all(engine.submit(Job(key, 0, 1), 3.0) for key in range(10 * slots))
    ends = [step.end_s for step in engine.advance(1000.0)]
    assert ends == [pytest.approx(3.0 + 0.25 * (1 + index // slots)) for index in range(10 * slots)]
    assert engine.busy_s(1000.0) == pytest.approx(2.5)


def test_several_images_take_as_many_service_times() -> None:
    engine = FixedWork(slots=1, service_s=0.5, max_queued=1).engine()
    engine.submit(Job(1, 0, 3), 0.0)
    assert engine.advance(10.0) == [Step(0.0, 1.5, (1,), (1,), admitted=(1,), began=(1,))]


def test_fixed_work_is_served_in_order_of_arrival() -> None:
    engine = FIXED.engine()
    for key in (5, 3, 9, 1):
        engine.submit(Job(key, 0, 1), 0.0)
    assert [step.finished[0] for step in engine.advance(10.0)] == [5, 3, 9, 1]


@pytest.mark.parametrize(
    ("shape", "held"),
    [
        (replace(FIXED, max_queued=3), 5),  # two slots and three that wait
        (replace(FIXED, max_queued=0), 2),
        (replace(BATCHING, max_queued=3), 19),  # sixteen sequences and three more
    ],
)
def test_one_more_than_may_run_and_wait_is_refused(shape: FixedWork | ContinuousBatching, held: int) -> None:
    engine = shape.engine()
    taken = [engine.submit(Job(key, 10, 5), 0.0) for key in range(held + 2)]
    assert taken == [True] * held + [False, False]
    occupancy = engine.occupancy()
    assert occupancy.running + occupancy.waiting == held


def test_a_lone_request_prefills_in_its_first_step_and_gets_a_token_in_every_step() -> None:
    engine = BATCHING.engine()
    engine.submit(Job(7, 100, 3), 1.0)
    first_s, each_s = 0.02 + 0.0005 + 0.0001 * 100, 0.02 + 0.0005
    steps = engine.advance(10.0)
    assert [step.end_s - 1.0 for step in steps] == pytest.approx([first_s, first_s + each_s, first_s + 2 * each_s])
    assert [step.produced for step in steps] == [(7,)] * 3
    assert [step.finished for step in steps] == [(), (), (7,)]
    assert [step.prompt_tokens for step in steps] == [100, 0, 0]


def test_a_long_prompt_is_prefilled_in_chunks_beside_the_decodes() -> None:
    engine = BATCHING.engine()
    engine.submit(Job(1, 10, 20), 0.0)
    engine.submit(Job(2, 400, 2), 0.0)
    steps = engine.advance(10.0)
    # The second waits for the step under way; then 256 tokens less the one decode, then the rest.
    assert [step.prompt_tokens for step in steps[:4]] == [10, 255, 145, 0]
    assert [2 in step.produced for step in steps[:5]] == [False, False, True, True, False]


def test_tokens_in_the_cache_slow_a_step_where_they_have_a_price() -> None:
    shape = replace(BATCHING, step=replace(STEP, per_kv_token_s=0.001))
    engine = shape.engine()
    engine.submit(Job(1, 100, 3), 0.0)
    first, second, third = (step.end_s - step.start_s for step in engine.advance(10.0))
    assert first == pytest.approx(0.0305)
    assert second == pytest.approx(0.0205 + 0.001 * 101)
    assert third - second == pytest.approx(0.001)


@pytest.mark.parametrize("concurrency", [1, 4, 16])
def test_closed_loop_of_batching_gives_the_mean_value_rate(concurrency: int) -> None:
    rate_per_s = run_closed(BATCHING.engine(), concurrency, 60, 40, 400.0)
    step_s = 0.02 + concurrency * (0.0005 + 0.0001 * 60 / 40)
    assert rate_per_s == pytest.approx(concurrency / (40 * step_s), rel=0.03)


def test_no_more_sequences_run_than_the_limit() -> None:
    engine = BATCHING.engine()
    for key in range(40):
        engine.submit(Job(key, 5, 50), 0.0)
    widest = max(len(step.produced) for step in engine.advance(100.0))
    assert widest == 16


def test_cancelling_frees_the_slot_at_once() -> None:
    engine = FixedWork(slots=1, service_s=1.0, max_queued=5).engine()
    engine.submit(Job(1, 0, 1), 0.0)
    engine.submit(Job(2, 0, 1), 0.0)
    assert engine.cancel(1, 0.25)
    assert engine.advance(10.0) == [Step(0.25, 1.25, (2,), (2,), admitted=(2,), began=(2,))]
    assert engine.busy_s(10.0) == pytest.approx(1.25)


def test_cancelling_one_sequence_leaves_the_others_and_speeds_up_the_next_step() -> None:
    engine = BATCHING.engine()
    for key in (1, 2):
        engine.submit(Job(key, 10, 10), 0.0)
    engine.advance(0.05)
    assert engine.cancel(2, 0.05)
    rest = engine.advance(10.0)
    assert all(2 not in step.produced for step in rest)
    assert rest[1].end_s - rest[1].start_s == pytest.approx(0.0205)
    assert not engine.cancel(2, 10.0)


@SHAPES
def test_a_time_before_a_due_step_is_refused(shape: FixedWork | ContinuousBatching) -> None:
    engine = shape.engine()
    engine.submit(Job(1, 10, 1), 0.0)
    with pytest.raises(ValueError, match="advance the engine"):
        engine.submit(Job(2, 10, 1), 5.0)
    with pytest.raises(ValueError, match="advance the engine"):
        engine.cancel(1, 5.0)


@SHAPES
def test_a_key_in_use_is_refused(shape: FixedWork | ContinuousBatching) -> None:
    engine = shape.engine()
    engine.submit(Job(1, 10, 1), 0.0)
    with pytest.raises(ValueError, match="has not ended"):
        engine.submit(Job(1, 10, 1), 0.0)


@pytest.mark.parametrize("job", [Job(1, 0, 5), Job(1, 500, 13)])
def test_a_job_that_can_never_run_is_refused(job: Job) -> None:
    with pytest.raises(ValueError, match="max_model_len 512"):
        BATCHING.engine().submit(job, 0.0)


@pytest.mark.parametrize(
    ("shape", "change"),
    [
        (FIXED, {"slots": 0}),
        (FIXED, {"service_s": 0.0}),
        (FIXED, {"service_s": math.nan}),
        (FIXED, {"max_queued": -1}),
        (STEP, {"base_s": 0.0}),
        (STEP, {"per_sequence_s": -1e-9}),
        (BATCHING, {"max_num_batched_tokens": 15}),
        (BATCHING, {"kv_blocks": 31}),
        (BATCHING, {"max_model_len": 1}),
    ],
)
def test_nonsense_shapes_are_refused_by_name(shape: FixedWork | ContinuousBatching, change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(shape, **change)  # type: ignore[arg-type]


@SHAPES
def test_scaling_divides_every_end(shape: FixedWork | ContinuousBatching) -> None:
    ends = []
    for factor in (1.0, 8.0):
        engine = shape.scaled(factor).engine()
        for key in range(20):
            engine.submit(Job(key, 30, 4), 0.0)
        ends.append([step.end_s * factor for step in engine.advance(1000.0)])
    assert ends[0] == pytest.approx(ends[1])


SMALL_FIXED = FixedWork(slots=2, service_s=0.03, max_queued=4)
SMALL_BATCHING = replace(
    BATCHING, max_num_seqs=4, max_num_batched_tokens=32, max_model_len=100, kv_blocks=9, max_queued=4
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 60), st.integers(1, 40)),
        st.tuples(st.just("cancel"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 300), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(actions=ACTIONS, shape=st.sampled_from([SMALL_FIXED, SMALL_BATCHING]))
def test_every_request_ends_exactly_once_whatever_is_cancelled(
    actions: list[tuple[str, int, int]], shape: FixedWork | ContinuousBatching
) -> None:
    engine = shape.engine()
    jobs: dict[int, Job] = {}
    ended: Counter[int] = Counter()
    produced: Counter[int] = Counter()
    finished: set[int] = set()
    now_s, last_end_s = 0.0, 0.0

    def observe(steps: list[Step]) -> None:
        nonlocal last_end_s
        for step in steps:
            assert last_end_s <= step.end_s <= now_s
            last_end_s = step.end_s
            produced.update(step.produced)
            ended.update(step.finished)
            finished.update(step.finished)
            assert set(step.finished) <= set(step.produced) <= jobs.keys()

    for key, (action, first, second) in enumerate(actions):
        if action == "submit":
            jobs[key] = Job(key, first, second)
            if not engine.submit(jobs[key], now_s):
                ended[key] += 1
        elif action == "cancel":
            ended[first] += engine.cancel(first, now_s)
        else:
            now_s += first / 1000
            observe(engine.advance(now_s))
        held = engine.occupancy()
        assert held.running + held.waiting == len(jobs) - sum(ended.values())
        assert 0 <= held.kv_share <= 1
        assert held.running <= (2 if isinstance(shape, FixedWork) else 4)
    now_s += 1000
    observe(engine.advance(now_s))
    assert ended == Counter(jobs.keys())
    assert engine.next_s() == math.inf
    assert (engine.occupancy().running, engine.occupancy().waiting, engine.occupancy().kv_blocks) == (0, 0, 0)
    assert engine.busy_s(now_s) == engine.busy_s(now_s + 50) <= now_s
    if isinstance(shape, ContinuousBatching):
        assert all(produced[key] == jobs[key].outputs for key in finished)


@settings(deadline=None)
@given(
    times=st.lists(st.floats(0.0, 5.0), max_size=20),
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=8),
    shape=st.sampled_from([SMALL_FIXED, SMALL_BATCHING]),
)
def test_steps_do_not_depend_on_how_late_the_engine_is_asked(
    times: list[float], sizes: list[tuple[int, int]], shape: FixedWork | ContinuousBatching
) -> None:
    asked_once, asked_often = shape.engine(), shape.engine()
    for engine in (asked_once, asked_often):
        for key, (prompt, outputs) in enumerate(sizes):
            engine.submit(Job(key, prompt, outputs), 0.0)
    often = [step for at_s in [*sorted(times), 1000.0] for step in asked_often.advance(at_s)]
    assert often == asked_once.advance(1000.0)

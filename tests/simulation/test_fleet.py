"""What one simulated replica is, by what was measured of it, and what a scenario says about asking for another."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from holdfast.control.policies import POLICIES
from holdfast.model import codec
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan
from holdfast.simulation import fleet, kernel
from holdfast.simulation.run import simulate
from simulation import worlds


def curve(*levels: tuple[float, float]) -> Curve:
    """Of (in flight, rate) pairs."""
    in_flight, rates = zip(*levels, strict=True)
    latencies = tuple(number / rate for number, rate in levels)
    return Curve(in_flight, rates, latencies, "avg", estimated=False, source="reckoned")


def test_requests_that_a_unit_did_not_serve_faster_together_waited() -> None:
    """Measured with a queue of up to four, it serves one at a time all the same, and is quick when it is idle."""
    one_at_a_time = fleet.service_of_curve(curve((0.5, 1.0), (1.0, 2.0), (2.0, 2.0), (4.0, 2.0)), None, 7)
    assert (one_at_a_time.slots, one_at_a_time.queue) == (1, 7)
    assert one_at_a_time.seconds == pytest.approx((0.5,))


def test_a_unit_that_batches_serves_as_many_as_make_it_faster() -> None:
    batches = fleet.service_of_curve(curve((1.0, 1.0), (2.0, 1.8), (4.0, 3.0), (8.0, 3.0)), None, 0)
    assert batches.slots == 4
    assert batches.seconds[0] == pytest.approx(1.0)
    assert batches.seconds[3] == pytest.approx(4 / 3)


def test_a_full_replica_does_what_its_unit_was_seen_to_do_at_most() -> None:
    rising = curve((1.0, 1.0), (2.0, 1.8), (4.0, 2.9), (8.0, 3.0))
    assert fleet.service_of_curve(rising, None, 0).most_per_s == pytest.approx(3.0)
    beside = fleet.service_of_curve(rising, None, 0, 3.19)
    assert beside.most_per_s == pytest.approx(3.19)
    assert beside.seconds[0] == pytest.approx(1 / 1.025)  # a tenth more with all four, and a quarter of that with one


def test_a_given_number_of_slots_counts() -> None:
    assert fleet.service_of_curve(curve((1.0, 2.0), (4.0, 2.0)), 3, 0).slots == 3


BATCHES = curve((1.0, 1.0), (2.0, 1.8), (4.0, 2.0), (8.0, 2.0))


def pools(plan: Plan, given: Mapping[str, Curve]) -> tuple[fleet.Pool, ...]:
    return fleet.pools(plan, worlds.scenario(), given)


def test_a_plan_is_simulated_with_its_own_load_curves() -> None:
    plan = worlds.plan(2)
    plan = replace(plan, pools=(replace(plan.pools[0], curve=BATCHES), plan.pools[1]))
    with_curve, without = pools(plan, {})
    assert (with_curve.service.slots, with_curve.curve) == (3, BATCHES)
    assert (without.service, without.curve) == (fleet.service(2.0, 0.5, without.service.queue), None)


def test_the_load_curve_of_a_run_takes_the_place_of_the_plans_and_of_its_limit() -> None:
    plan = worlds.plan(1)
    plan = replace(plan, pools=(replace(plan.pools[0], curve=BATCHES),))
    slower = curve((1.0, 1.0), (2.0, 1.5), (4.0, 1.5))
    (pool,) = pools(plan, {"a": slower})
    assert (pool.curve, pool.service.most_per_s, pool.limit_per_s) == (slower, 1.5, 2.0)


def test_a_load_curve_outlives_its_file() -> None:
    plan = worlds.plan(1)
    plan = replace(plan, pools=(replace(plan.pools[0], curve=BATCHES),))
    assert codec.loads(Plan, codec.dumps(plan), where="plan.json").pools[0].curve == BATCHES


@pytest.mark.parametrize(
    "nonsense",
    [{"in_flight": [2, 1, 4, 8]}, {"rates_per_s": [1, 2, 1, 2]}, {"latencies_s": [1, 2]}, {"in_flight": []}],
)
def test_a_load_curve_that_does_not_rise_is_refused(nonsense: dict[str, list[float]]) -> None:
    document = codec.to_jsonable(worlds.plan(1))
    document["pools"][0]["curve"] = codec.to_jsonable(BATCHES) | nonsense
    with pytest.raises(InputError, match=r"pools\.0\.curve cannot be read"):
        codec.loads(Plan, json.dumps(document), where="plan.json")


@pytest.mark.parametrize(("shortage", "back_by_s"), [({"shortage": "20s"}, 240), ({}, 360)])
def test_refused_capacity_is_asked_for_again_when_the_shortage_is_over(
    shortage: dict[str, str], back_by_s: float
) -> None:
    """Gone from 60 s to 90 s; a replica takes 90 s to come up. The default is Karpenter's 180 s."""
    gone = {"limit": {"unit": "a", "replicas": 0, "from": "60s", "to": "90s", "beyond": "lose"}}
    scenario = worlds.scenario("10min", rate="1/s", events=[gone], looks={"death": "0s"}, **shortage)
    outcome = simulate(worlds.plan(2), scenario, POLICIES["merit-order"], seed=1)
    back = [point.t_s for point in outcome.timeline.pools if point.pool == "a" and point.t_s > 60 and point.ready]
    assert back[0] == back_by_s


def test_an_outcome_has_the_ends_that_were_asked_for() -> None:
    scenario = worlds.scenario("2min")
    outcome = simulate(worlds.plan(2), scenario, POLICIES["merit-order"], seed=1, ends=10_000)
    served = outcome.ends[outcome.ends["how"] == kernel.SERVED]
    assert len(served) == outcome.served > 1000
    assert np.all(served["end_s"] > served["arrived_s"])
    assert len(simulate(worlds.plan(2), scenario, POLICIES["merit-order"], seed=1).ends) == 0


def test_a_replica_over_several_nodes_costs_all_of_them() -> None:
    plan = worlds.plan(1, survive="none")
    (pool,) = plan.pools
    spread = replace(pool, allotments=tuple(replace(one, instances_per_replica=4) for one in pool.allotments))

    (alone,), (several,) = (
        fleet.pools(replace(plan, pools=(one,)), worlds.scenario(), {})[0].lots for one in (pool, spread)
    )

    assert several.usd_per_h == 4 * alone.usd_per_h

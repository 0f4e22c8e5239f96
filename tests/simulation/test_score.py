"""What runs are worth: no policy beats who knew beforehand, intervals are Student's, lambda has its reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.control.policies import POLICIES
from holdfast.simulation import score, supplied
from holdfast.simulation.events import Scope
from holdfast.simulation.material import Material
from holdfast.simulation.outcome import Outcome
from holdfast.simulation.run import simulate
from holdfast.simulation.supply import Change
from holdfast.simulation.sweep import Case
from holdfast.simulation.traffic import Service
from simulation.small_fleets import LOSS, case, plan, scenario_of


def outcome(of: Case, policy: str = "merit-order", seed: int = 1) -> Outcome:
    return simulate(of.plan, of.scenario, POLICIES[policy], seed)


def share(of: Case, policy: str, requests_per_usd: float | None = None) -> float:
    pools, run = of.pools(), outcome(of, policy)
    usd = score.default_lambda(pools)[0] if requests_per_usd is None else requests_per_usd
    best = score.best(run, pools, of.scenario, (), usd)
    found = score.score(run, best, usd).share_of_optimum
    assert found is not None
    return found


MINUTES = st.integers(0, 19).map(lambda m: f"{m}min")
SCOPES = st.sampled_from([{}, {"unit": "cheap"}, {"unit": "dear"}])
LIMITS = st.builds(
    lambda scope, at, long, most, beyond: {
        "limit": scope | most | {"from": f"{at}min", "to": f"{at + long}min", "beyond": beyond}
    },
    SCOPES,
    st.integers(0, 19),
    st.integers(1, 10),
    st.one_of(st.integers(0, 4).map(lambda n: {"replicas": n}), st.sampled_from([{"share": "50%"}])),
    st.sampled_from(["keep", "drain", "lose", "reclaim"]),
)
LOSSES = st.builds(lambda scope, at: {"loss": scope | {"at": at, "share": "60%"}}, SCOPES, MINUTES)
RECLAIMS = st.builds(lambda scope, at: {"reclaim": scope | {"at": at, "share": "70%"}}, SCOPES, MINUTES)
PRICES = st.builds(
    lambda scope, at, by: {"price": scope | {"at": at, "factor": by}}, SCOPES, MINUTES, st.floats(0.3, 3)
)
SURGES = st.builds(lambda at, by: {"surge": {"from": at, "factor": by}}, MINUTES, st.floats(0, 4))


@settings(max_examples=50)
@given(
    st.lists(st.one_of(LIMITS, LOSSES, RECLAIMS, PRICES, SURGES), max_size=4),
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from([0.0, 300.0, 1000.0]),
    st.sampled_from(["20min", "1234s"]),
)
def test_no_policy_does_better_than_who_knew_the_run_beforehand(
    events: list[dict[str, Any]], policy: str, requests_per_usd: float, duration: str
) -> None:
    assert share(case(duration, events=events), policy, requests_per_usd) <= 1 + 1e-6


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 1199), st.sampled_from(["cheap", "dear"]), st.integers(0, 4)), max_size=6),
    st.sampled_from(["keep", "drain", "lose", "reclaim"]),
    st.sampled_from(["merit-order", "two-mode"]),
)
def test_nor_where_a_trace_says_what_can_be_had(rows: list[tuple[int, str, int]], beyond: str, policy: str) -> None:
    changes = tuple(Change(float(at_s), Scope(unit=unit), count) for at_s, unit, count in sorted(rows))
    traced = scenario_of(supply={"file": "supply.csv", "beyond": beyond})
    run = simulate(plan(), traced, POLICIES[policy], 1, material=Material(None, changes))
    best = score.best(run, case().pools(), traced, changes, 300.0)
    found = score.score(run, best, 300.0).share_of_optimum
    assert found is not None and found <= 1 + 1e-6


def test_the_optimum_is_the_same_under_every_policy() -> None:
    lost, pools = case(events=[LOSS]), case().pools()
    found = {
        score.best(outcome(lost, policy), pools, lost.scenario, (), 500.0).value for policy in ("merit-order", "static")
    }
    assert len(found) == 1


def test_the_objective_counts_what_was_served_in_time_less_lambda_times_cost() -> None:
    run = outcome(case(events=[LOSS]))
    best = score.best(run, case().pools(), case().scenario, (), 500.0)
    found = score.score(run, best, 500.0)
    assert found.objective == pytest.approx(run.served - run.late - 500 * run.cost_usd)
    assert found.good + found.late + found.failed + found.refused + found.unfinished == found.offered


def test_without_a_worthwhile_request_there_is_no_share() -> None:
    run = outcome(case("5min"))
    best = score.best(run, case().pools(), case("5min").scenario, (), 1e9)
    assert score.score(run, best, 1e9).share_of_optimum is None


def test_lambda_makes_a_request_worth_twice_its_price_on_the_dearest_pool() -> None:
    usd, reason = score.default_lambda(case().pools())
    assert usd == pytest.approx(1.5 * 3600 / 1.006 / 2)
    assert "dear" in reason and "$186.30" in reason


def test_the_most_of_a_replica_is_that_of_its_best_concurrency() -> None:
    assert score.most_per_s(Service(3, (1.0, 1.2, 3.0), 10)) == pytest.approx(2 / 1.2)


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (4, 2.776), (19, 2.093), (1000, 1.962)])
def test_students_t_is_the_table_s(freedom: int, quantile: float) -> None:
    assert score.student_t(freedom) == pytest.approx(quantile, abs=6e-4)


def test_an_interval_needs_two_seeds_and_spans_the_mean() -> None:
    assert score.spread([3.0]).interval is None
    assert math.isnan(score.spread([None, math.nan]).mean)
    found = score.spread([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.interval == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)


def test_supply_counts_by_the_time_that_it_lasts_and_what_is_kept_bounds_nothing() -> None:
    pools = case().pools()
    most = max(pools[0].max_replicas, pools[0].planned_at(0.0))
    lost = {"limit": {"unit": "cheap", "replicas": 0, "from": "90s", "to": "120s", "beyond": "lose"}}
    spans_s = np.full(3, 60.0)
    found = supplied.most_replicas(pools, scenario_of("3min", events=[lost]), (), spans_s)
    assert found[0] == pytest.approx([most, most / 2, most])
    kept = {"limit": {"unit": "cheap", "replicas": 0, "from": "90s"}}
    assert supplied.most_replicas(pools, scenario_of("3min", events=[kept]), (), spans_s)[0] == pytest.approx(
        [most] * 3
    )


def test_a_fall_in_a_trace_of_supply_counts_once_its_notice_is_over() -> None:
    traced = scenario_of("10min", supply={"file": "supply.csv", "beyond": "reclaim"})
    changes = [Change(t_s, Scope(unit="cheap"), n) for t_s, n in ((0.0, 2), (120.0, 1), (420.0, 2))]
    found = supplied.most_replicas(case().pools(), traced, changes, np.full(10, 60.0))[0]
    assert found[2:] == pytest.approx([2, 2, 1, 1, 1, 2, 2, 2])


def test_the_lowest_price_of_a_period_is_what_a_change_leaves_lower() -> None:
    halved = scenario_of("3min", events=[{"price": {"unit": "cheap", "at": "90s", "factor": 0.5}}])
    found = supplied.lowest_prices(case().pools(), halved, np.full(3, 60.0))
    price = plan().pool("cheap").price_usd_per_h
    assert found[0] == pytest.approx([price, price / 2, price / 2])

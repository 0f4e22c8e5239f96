"""A replica over several instances: the mix buys them together, whole, and counts every one of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.fleet import Loss
from holdfast.planning.mix import Candidate, Requirement, Supply, cheapest_mix
from planning.mixes import by_unit, fleets, held, requirements, steady, unit

NODES = st.integers(2, 8)


@settings(max_examples=40, deadline=None)
@given(
    nodes=NODES,
    limit_per_s=st.floats(0.2, 12),
    usd_per_h=st.floats(0.1, 100),
    rate_per_s=st.floats(0.1, 60),
    startup_s=st.sampled_from([0.0, 5400.0]),
)
def test_a_unit_that_spans_k_nodes_costs_k_times_what_it_costs_on_one(
    nodes: int, limit_per_s: float, usd_per_h: float, rate_per_s: float, startup_s: float
) -> None:
    one = replace(unit("u", limit_per_s, usd_per_h, most=1000), startup_s=startup_s)
    day = Requirement(((rate_per_s,), (rate_per_s / 3,)), 0.8)

    alone, spread = cheapest_mix([one], day), cheapest_mix([replace(one, instances_per_replica=nodes)], day)

    assert held(spread) == held(alone)
    assert spread.cost_usd_per_h == pytest.approx(nodes * alone.cost_usd_per_h, rel=1e-9)
    assert [a.instances(0) for a in spread.allotments] == [nodes * a.instances(0) for a in alone.allotments]


@settings(max_examples=40, deadline=None)
@given(nodes=NODES, data=st.data())
def test_k_nodes_to_a_replica_are_one_instance_of_k_times_the_price_and_vcpus(nodes: int, data: st.DataObject) -> None:
    candidates = data.draw(fleets(units=3))
    asked = data.draw(requirements(kinds=(Loss.POOL, Loss.ACCELERATOR), bounded=True))
    first = replace(candidates[0], replicas_per_instance=1, instances_per_replica=1)
    spread = replace(first, instances_per_replica=nodes)
    large = replace(first, supplies=tuple(_times(nodes, supply) for supply in first.supplies))

    several, one = (cheapest_mix([each, *candidates[1:]], asked, gap=0.0) for each in (spread, large))

    assert several.feasible == one.feasible
    assert several.cost_usd_per_h == pytest.approx(one.cost_usd_per_h)


def _times(nodes: int, supply: Supply) -> Supply:
    return replace(supply, instance_usd_per_h=nodes * supply.instance_usd_per_h, vcpus=nodes * supply.vcpus)


def test_the_quota_counts_the_vcpus_of_every_node() -> None:
    spread = Candidate("p5", (1.0,), (Supply(10.0, quota="P", vcpus=192),), instances_per_replica=2)
    dear = unit("dear", 1.0, 100.0)
    # Two replicas of p5 take 4 x 192 vCPU; with one vCPU less there is room for one.
    enough, short = (cheapest_mix([spread, dear], replace(steady(1.6), quotas={"P": vcpus})) for vcpus in (768, 767))

    assert (by_unit(enough), by_unit(short)) == ({"p5": 2}, {"dear": 1, "p5": 1})


def test_replicas_share_an_instance_or_take_several_never_both() -> None:
    with pytest.raises(ValueError, match="out of order"):
        Candidate("u", (1.0,), (Supply(1.0),), replicas_per_instance=2, instances_per_replica=2)

"""More pools than target groups: which of them share one, and that the tree agrees with itself about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast import catalog
from holdfast.manifests import Manifest
from holdfast.manifests.placement import Placement, placements
from holdfast.manifests.routing import grouping, traffic
from holdfast.manifests.serving import engine
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

RenderOf = Callable[..., dict[str, Manifest]]
PlanOf = Callable[..., Plan]


def unit(name: str, framework: str = "vllm", **changes: Any) -> dict[str, Any]:
    described = {
        "name": name,
        "accelerator": "a10g",
        "instanceType": "g5.xlarge",
        "framework": framework,
        "image": "registry.example/server:1",
    }
    return described | changes


def priced(plan: Plan, usd: Sequence[float]) -> Plan:
    """The plan with those costs per million requests."""
    pools = [replace(pool, usd_per_million_requests=cost) for pool, cost in zip(plan.pools, usd, strict=True)]
    return replace(plan, pools=tuple(pools))


def placed(plan: Plan) -> tuple[Placement, ...]:
    hardware = (catalog.instance_type("g5.xlarge"), catalog.accelerator("a10g"))
    return placements(plan, {pool.unit: hardware for pool in plan.pools})


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_pools_make_five_groups_of_neighbours_that_serve_alike(data: st.DataObject, plan_of: PlanOf) -> None:
    kinds = data.draw(st.lists(st.sampled_from(["vllm", "triton"]), min_size=1, max_size=12))
    usd = data.draw(st.lists(st.floats(1, 1000), min_size=len(kinds), max_size=len(kinds)))
    units = tuple(unit(f"unit-{index}", kind) for index, kind in enumerate(kinds))
    pools = placed(priced(plan_of(units, weights=_shares(data, len(kinds))), usd))
    groups = grouping.groups(pools)
    assert len(groups) <= 5
    assert len(groups) == min(len(pools), 5)
    assert sorted(member.unit.name for group in groups for member in group) == sorted(p.unit.name for p in pools)
    for group in groups:
        (path,) = {engine.readiness_path(member.unit) for member in group}
        alike = [p for p in pools if engine.readiness_path(p.unit) == path]
        costs = [member.pool.usd_per_million_requests for member in group]
        between = {p.unit.name for p in alike if min(costs) < p.pool.usd_per_million_requests < max(costs)}
        assert between <= {member.unit.name for member in group}
    targets = traffic.targets(pools)
    assert sum(target.weight for target in targets) == 100
    assert len({target.service for target in targets}) == len(groups)


def _shares(data: st.DataObject, count: int) -> tuple[int, ...]:
    cuts = sorted(data.draw(st.lists(st.integers(0, 100), min_size=count - 1, max_size=count - 1)))
    return tuple(b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True))


def test_the_pair_that_is_nearest_in_cost_shares_first(plan_of: PlanOf) -> None:
    units = tuple(unit(f"unit-{index}") for index in range(6))
    pools = placed(priced(plan_of(units), [10, 20, 30, 33, 50, 60]))
    assert grouping.shared(pools) == {"unit-2": "sd21-shared-unit-2", "unit-3": "sd21-shared-unit-2"}


def test_five_pools_share_nothing(plan_of: PlanOf) -> None:
    assert grouping.shared(placed(plan_of(tuple(unit(f"unit-{index}") for index in range(5))))) == {}


@pytest.mark.parametrize("plane", [DataPlane.ALB, DataPlane.GATEWAY_API])
def test_seven_pools_are_rendered_in_five_target_groups(plane: DataPlane, plan_of: PlanOf, render_of: RenderOf) -> None:
    units = tuple(unit(f"unit-{index}") for index in range(7))
    tree = render_of(priced(plan_of(units, data_plane=plane), [10, 11, 30, 50, 70, 90, 91]))
    if plane is DataPlane.ALB:
        text = tree["ingress.yaml"].object["metadata"]["annotations"][
            "alb.ingress.kubernetes.io/actions.weighted-pools"
        ]
        found = {one["serviceName"]: one["weight"] for one in json.loads(text)["forwardConfig"]["targetGroups"]}
    else:
        backends = tree["http-route.yaml"].object["spec"]["rules"][0]["backendRefs"]
        found = {backend["name"]: backend["weight"] for backend in backends}
    assert len(found) == 5
    assert sum(found.values()) == 100
    assert found["sd21-shared-unit-0"] == 94 + 1
    shared = tree["shared/sd21-shared-unit-0/service.yaml"]
    assert "unit-0 (10 USD per million requests), unit-1 (11 USD" in shared.note
    assert "Its weight is theirs together: 94 + 1" in shared.note
    selected = [
        path
        for path, manifest in tree.items()
        if manifest.object["kind"] == "Deployment"
        and shared.object["spec"]["selector"].items()
        <= manifest.object["spec"]["template"]["metadata"]["labels"].items()
    ]
    assert selected == ["pools/unit-0/deployment.yaml", "pools/unit-1/deployment.yaml"]
    if plane is DataPlane.GATEWAY_API:
        group = tree["shared/sd21-shared-unit-0/target-group.yaml"].object["spec"]
        assert group["targetReference"]["name"] == "sd21-shared-unit-0"
        attributes = {one["key"]: one["value"] for one in group["defaultConfiguration"]["targetGroupAttributes"]}
        assert attributes["load_balancing.algorithm.type"] == "least_outstanding_requests"
    else:
        assert "least_outstanding_requests" in json.dumps(shared.object["metadata"]["annotations"])


def test_pools_that_may_not_share_are_refused_beyond_five(plan_of: PlanOf) -> None:
    both: dict[str, Any] = {"disaggregated": {"prefill": 1, "decode": 1}}
    pools = placed(plan_of(tuple(unit(f"unit-{index}", **both) for index in range(6))))
    with pytest.raises(InputError, match="6 pools in 6 groups that differ in how they serve"):
        grouping.groups(pools)

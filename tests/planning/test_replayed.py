"""A plan played back through the load curves that it was made from."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model.document import read_fleet
from holdfast.model.fleet import WeightPolicy
from holdfast.model.measurements import Measurement
from holdfast.model.plan import PlanStatus
from holdfast.performance import curve
from holdfast.planning.evidence import from_measurements
from holdfast.planning.plan import make_plan

TEXT = """
apiVersion: holdfast.dev/v1alpha1
kind: InferenceFleet
metadata: {name: pair}
spec:
  model: {id: some/model}
  workload: {api: completions, inputTokens: {mean: 200}, outputTokens: {mean: 100}}
  slo: {latency: {avg: 2s, p95: 3s}}
  demand: {rate: %s/s}
  units:
    - {name: a, accelerator: a10g, instanceType: g5.xlarge, framework: vllm, price: $1/h, minReplicas: 0}
    - {name: b, accelerator: l4, instanceType: g6.xlarge, framework: vllm, price: $0.8/h, minReplicas: 0}
  capacity: {utilizationTarget: %s%%, survive: [pool]}
  routing: {weights: %s}
"""
STEPS = st.lists(st.tuples(st.floats(0.05, 2.0), st.floats(0.0, 1.0)), min_size=1, max_size=6)


def rows(unit: str, steps: list[tuple[float, float]]) -> list[Measurement]:
    """Levels whose rate and latency rise; the first is within the SLO."""
    made, rate_per_s, latency_s = [], 0.0, 0.3
    for line, (more_per_s, slower_s) in enumerate(steps, start=2):
        rate_per_s, latency_s = rate_per_s + more_per_s, latency_s + slower_s
        made.append(
            Measurement(line, unit, rate_per_s=rate_per_s, latency_avg_s=latency_s, latency_p95_s=1.4 * latency_s)
        )
    return made


@settings(max_examples=40, deadline=None)
@given(STEPS, STEPS, st.floats(0.1, 30.0), st.integers(50, 100), st.sampled_from(list(WeightPolicy)))
def test_every_pool_is_within_the_slo_at_the_load_that_the_plan_gives_it(
    one: list[tuple[float, float]],
    other: list[tuple[float, float]],
    demand_per_s: float,
    target_percent: int,
    policy: WeightPolicy,
) -> None:
    fleet = read_fleet(TEXT % (demand_per_s, target_percent, policy.value), where="fleet.yaml")
    measured = {"a": rows("a", one), "b": rows("b", other)}
    evidence, _ = from_measurements(fleet, [*measured["a"], *measured["b"]], {}, {}, "m.csv")
    plan = make_plan(fleet, evidence)
    if plan.status is not PlanStatus.FEASIBLE:
        return

    for pool in plan.pools:
        if pool.replicas and pool.expected_per_s:
            each_per_s = pool.expected_per_s / pool.replicas
            for statistic, bound_s in (("avg", 2.0), ("p95", 3.0)):
                load = curve.of_measurements(measured[pool.unit], statistic)
                assert load is not None
                # Weights are whole per cents, so that a pool at its limit may be given up to one too many.
                spare_per_s = demand_per_s / 100 / pool.replicas
                assert load.latency_s(max(0.0, each_per_s - spare_per_s)) <= bound_s + 1e-9
            load = curve.of_measurements(measured[pool.unit], "avg")
            assert load is not None
            assert pool.expected_latency_s is None or pool.expected_latency_s == pytest.approx(
                load.latency_s(each_per_s)
            )

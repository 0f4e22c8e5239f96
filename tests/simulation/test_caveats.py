"""What the figures of a simulation do not say is told before them, and only then."""

from __future__ import annotations

from dataclasses import replace

from holdfast.model.plan import Plan
from holdfast.model.slo import Slo, parse_slo
from holdfast.simulation import caveats, fleet
from simulation.small_fleets import plan, scenario_of


def told(made: Plan, *measured: str) -> tuple[str, ...]:
    return caveats.sentences(made, fleet.pools(made, scenario_of(), {}), measured)


def bounded(made: Plan, slo: Slo) -> Plan:
    return replace(made, fleet=made.fleet.model_copy(update={"spec": made.fleet.spec.model_copy(update={"slo": slo})}))


def test_a_measured_fleet_with_a_bound_on_the_whole_latency_needs_none() -> None:
    assert told(plan()) == ()


def test_bounds_on_tokens_are_not_judged() -> None:
    (sentence,) = told(bounded(plan(), parse_slo("p95<3s, ttft p99<1s")))
    assert sentence == "Tokens are not simulated, so the SLO's bounds on ttft are not judged."


def test_estimates_are_named() -> None:
    first, *others = plan().pools
    (sentence,) = told(replace(plan(), pools=(replace(first, estimate_error=0.3), *others)))
    assert sentence.endswith(f": {first.unit}.") and "estimated, not measured" in sentence


def test_a_unit_that_is_late_at_any_load_is_named_unless_its_curve_was_measured() -> None:
    tight = bounded(plan(), parse_slo("avg<0.6s"))
    (sentence,) = told(tight)
    assert "say little about dear:" in sentence and "more of the 0.6 s" in sentence
    assert told(tight, "dear") == ()

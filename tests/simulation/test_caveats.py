"""What the figures of a simulation do not say is told before them, and only then."""

from __future__ import annotations

from dataclasses import replace

from holdfast.model.curve import Curve
from holdfast.model.plan import Plan
from holdfast.model.slo import Slo, parse_slo
from holdfast.simulation import caveats, fleet
from simulation.small_fleets import plan, scenario_of

CHEAP = Curve((1.0, 2.0), (2.0, 2.0), (0.5, 1.0), "avg", False, "two levels")
DEAR = Curve((1.0, 2.0), (1.5, 1.5), (0.67, 1.33), "avg", False, "two levels")
MEASURED = {"cheap": CHEAP, "dear": DEAR}


def told(made: Plan, curves: dict[str, Curve]) -> tuple[str, ...]:
    return caveats.sentences(made, fleet.pools(made, scenario_of(), curves))


def bounded(made: Plan, slo: Slo) -> Plan:
    return replace(made, fleet=made.fleet.model_copy(update={"spec": made.fleet.spec.model_copy(update={"slo": slo})}))


def test_a_measured_fleet_with_a_bound_on_the_whole_latency_needs_none() -> None:
    assert told(plan(), MEASURED) == ()


def test_bounds_on_tokens_are_not_judged() -> None:
    (sentence,) = told(bounded(plan(), parse_slo("p95<3s, ttft p99<1s")), MEASURED)
    assert sentence == "Tokens are not simulated, so the SLO's bounds on ttft are not judged."


def test_estimates_are_named() -> None:
    first, *others = plan().pools
    (sentence,) = told(replace(plan(), pools=(replace(first, estimate_error=0.3), *others)), MEASURED)
    assert sentence.endswith(f": {first.unit}.") and "estimated, not measured" in sentence


def test_estimated_load_curves_are_named() -> None:
    (sentence,) = told(plan(), MEASURED | {"dear": replace(DEAR, estimated=True)})
    assert sentence == "Load curves that were estimated, not measured, and so all that follows from them: dear."
    first, *others = plan().pools
    both = replace(plan(), pools=(replace(first, estimate_error=0.3), *others))
    (sentence,) = told(both, MEASURED | {"cheap": replace(CHEAP, estimated=True)})
    assert sentence.startswith("Limits and load curves that were estimated") and sentence.endswith(": cheap.")


def test_units_without_a_load_curve_are_named_with_what_is_assumed_of_them() -> None:
    (sentence,) = told(plan(), {"cheap": CHEAP})
    assert sentence.startswith("No load curve of dear: ") and "queued when the limit was measured" in sentence


def test_a_curve_of_one_level_is_none() -> None:
    (sentence,) = told(plan(), {"cheap": CHEAP, "dear": Curve((1.0,), (1.5,), (0.67,), "avg", False, "one level")})
    assert sentence.startswith("No load curve of dear: ")


def test_a_run_that_reached_less_than_the_plan_counts_on_is_named() -> None:
    (sentence,) = told(plan(), MEASURED | {"cheap": replace(CHEAP, rates_per_s=(1.2, 1.6))})
    assert "replica of cheap does 1.6/s, less than the 2/s of the plan" in sentence


def test_a_unit_that_is_late_at_any_load_is_named_unless_it_has_a_curve() -> None:
    tight = bounded(plan(), parse_slo("avg<0.6s"))
    _, sentence = told(tight, {"cheap": CHEAP})
    assert "say little about dear:" in sentence and "more of the 0.6 s" in sentence
    assert told(tight, MEASURED) == ()

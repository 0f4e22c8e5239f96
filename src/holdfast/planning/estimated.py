"""What planning takes a unit to hold that nobody has measured: the roofline estimate, judged by the SLO.

The estimate is of means with N requests in flight (performance.estimate); between two of its points everything is
taken as straight in N, and N = rate x latency (Little). A bound on a percentile is judged on the mean, which proves
nothing of the tail: such a limit is an upper one, and says so.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, FleetSpec, InferenceFleet, Slo, Workload, format_slo
from holdfast.model.hardware import Accelerator, Offering
from holdfast.model.plan import UnitEvidence
from holdfast.model.quantities import format_duration
from holdfast.performance.estimate import Estimate, Point, estimate
from holdfast.planning import prices
from holdfast.planning.evidence import Found, left_out
from holdfast.planning.grid import Equipment
from holdfast.planning.supplies import Work

Model = ModelArchitecture | FixedWork


@dataclass(frozen=True)
class Reached:
    """Where an estimate has the most in flight within the SLO, or, with a bound `broken`, its lowest load."""

    in_flight: float
    rate_per_s: float
    latency_s: float
    binds: str
    broken: str = ""


def reach(made: Estimate, slo: Slo) -> Reached | None:
    """The most that the estimate reaches within every latency bound of the SLO; None where the model does not fit."""
    if not made.points:
        return None
    first = made.points[0]
    broken = [text for text, value, bound_s in _bounded(first, slo) if value > bound_s]
    if broken:
        return Reached(first.concurrency, first.rate_per_s, first.latency_s, first.binds, "; ".join(broken))
    for here, after in itertools.pairwise(made.points):
        part = _part_within(here, after, slo)
        if part < 1:
            in_flight = here.concurrency + part * (after.concurrency - here.concurrency)
            latency_s = here.latency_s + part * (after.latency_s - here.latency_s)
            return Reached(in_flight, in_flight / latency_s, latency_s, here.binds)
    last = made.points[-1]
    return Reached(last.concurrency, last.rate_per_s, last.latency_s, last.binds)


def _part_within(here: Point, after: Point, slo: Slo) -> float:
    """How much of the way from a point that holds to the next one every bound holds, 0..1."""
    parts = [1.0]
    for (_, low, bound_s), (_, high, _) in zip(_bounded(here, slo), _bounded(after, slo), strict=True):
        if high > bound_s:
            parts.append((bound_s - low) / (high - low))
    return min(parts)


def _bounded(point: Point, slo: Slo) -> Iterator[tuple[str, float, float]]:
    """The point's means beside the bounds on them: in words, the mean, the bound, in seconds."""
    means = {"latency": point.latency_s, "ttft": point.ttft_s, "itl": point.itl_s}
    for metric, mean_s in means.items():
        for statistic, bound_s in getattr(slo, metric).bounds():
            if mean_s is not None:
                shown = f"{metric} avg {mean_s:.3g} s above {format_duration(bound_s)}"
                yield shown + ("" if statistic == "avg" else f" of {statistic}"), mean_s, bound_s


def evidence(
    fleet: InferenceFleet,
    model: Model,
    units: Sequence[DeploymentUnit],
    offerings: Mapping[str, Offering],
    equipment: Equipment,
) -> Found:
    """Evidence from the estimate of each of the units, marked as such, and what is to be said of it.

    Raises InputError when the workload has no lengths, a unit's parallelism does not divide the model, no source states
    the peaks of its accelerator, or it has no price or does not fit its instance.
    """
    spec, found, findings = fleet.spec, [], []
    for unit in units:
        instance, device = equipment[unit.name]
        made = estimate_of_mean(spec.workload, model, unit, device)
        reached = reach(made, spec.slo)
        if reached is None or reached.broken:
            why = reached.broken if reached is not None else f"the model does not fit ({made.fit.why})"
            findings.append(left_out(unit, "", 0, f"by its estimate, {why}"))
            continue
        price = prices.replica_price(unit, None, offerings.get(unit.name), instance)
        found.append(_evidence(unit, made, reached, price, spec))
    return tuple(found), (*findings, *_said_of(found))


def _evidence(
    unit: DeploymentUnit, made: Estimate, reached: Reached, price: prices.ReplicaPrice, spec: FleetSpec
) -> UnitEvidence:
    lengths = spec.workload.output_tokens
    return UnitEvidence(
        unit=unit.name,
        limit_per_s=reached.rate_per_s,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.replicas_per_instance,
        tokens_out_per_s=None if lengths is None else reached.rate_per_s * lengths.mean,
        latency_s=reached.latency_s,
        limit_source=(
            f"an estimate, not measured: {reached.in_flight:.3g} in flight at {reached.latency_s:.3g} s on average, in "
            f"{format_slo(spec.slo)} as far as means can say; bound by {reached.binds}; median error of a step "
            f"{made.error:.0%} ({made.coefficients_source})"
        ),
        price_source=price.source,
    )


def _said_of(found: Sequence[UnitEvidence]) -> tuple[Finding, ...]:
    if not found:
        return ()
    names = ", ".join(known.unit for known in found)
    return (
        Finding(
            file="",
            row=0,
            check="estimated",
            severity=Severity.SUSPICIOUS,
            found="an estimate",
            expected="a measurement",
            message=f"Planned on estimates, not measurements: {names}. Measure before you buy.",
        ),
    )


def work(model: Model, equipment: Equipment) -> Work:
    """How much work a request of a size is: the seconds of a replica at its largest batch that one of them takes.

    Raises InputError, when it is asked, for a size of which not one request fits.
    """

    def seconds(unit: DeploymentUnit, input_tokens: float, output_tokens: float) -> float:
        _, device = equipment[unit.name]
        made = _estimate_of(model, unit, device, math.ceil(input_tokens), math.ceil(output_tokens))
        if not made.points:
            raise InputError(
                f"a request of {input_tokens:g} + {output_tokens:g} tokens does not fit ({made.fit.why})",
                where=f"spec.units.{unit.name}",
                mend="raise its tensorParallel, or leave the unit out",
            )
        return 1 / max(point.rate_per_s for point in made.points)

    return seconds


def estimate_of_mean(workload: Workload, model: Model, unit: DeploymentUnit, device: Accelerator) -> Estimate:
    """The estimate of a replica for requests of the workload's mean lengths. Raises InputError when it has none."""
    return _estimate_of(model, unit, device, *_lengths(workload, model))


def _estimate_of(
    model: Model, unit: DeploymentUnit, device: Accelerator, input_tokens: int, output_tokens: int
) -> Estimate:
    return estimate(
        model,
        device,
        tensor_parallel=unit.tensor_parallel,
        pipeline_parallel=unit.pipeline_parallel,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        max_num_seqs=unit.max_num_seqs,
        framework=unit.framework,
    )


def _lengths(workload: Workload, model: Model) -> tuple[int, int]:
    """Mean tokens asked and answered; of an image, and the answer of an embedding, 1."""
    if isinstance(model, FixedWork):
        return 1, 1
    if workload.input_tokens is None:
        raise InputError(
            "the workload does not say how long its requests are, so nothing can be estimated",
            where="spec.workload",
            mend="give inputTokens, or measurements",
        )
    answered = workload.output_tokens.mean if workload.output_tokens is not None else 1
    return max(1, math.ceil(workload.input_tokens.mean)), max(1, math.ceil(answered))

"""What planning knows of units from runs of our own: their breaking points.

Of a run without a search (a sweep) it is the highest rate among its levels that meets the fleet's SLO.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from holdfast.model.errors import InputError
from holdfast.model.findings import Finding
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, Workload
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.judgement import Judgement, best
from holdfast.model.measurements import Measurement
from holdfast.model.plan import UnitEvidence
from holdfast.model.stages import BreakingPoint, LoadCurve, Stage, Summary
from holdfast.performance.curve import of_held, of_stages
from holdfast.planning import each_size, measured_size, prices
from holdfast.planning.evidence import Found, evidence_of_row, left_out, of_other_size, why_no_row

Priced = Callable[[], prices.ReplicaPrice]
"""The price of a replica, when it is asked for: of a unit that is left out nobody has to know it."""

_FOLLOWS = 0.95
"""Throughput follows an offered rate as long as it is at least this share of it."""


def from_breaking_points(
    fleet: InferenceFleet,
    curves: Mapping[str, Sequence[LoadCurve]],
    offerings: Mapping[str, Offering],
    hardware: Mapping[str, InstanceType],
) -> Found:
    """Evidence from measured runs of one replica each, and a finding for each unit that none of them gives a limit.

    curves, offerings, hardware: by unit name; a unit may be absent from any. A unit may have one run, or one at each of
    the workload's sizes. Raises InputError when a unit has no price or does not fit its instance, or has other runs.
    """
    evidence, findings = list[UnitEvidence](), list[Finding]()
    for unit in fleet.spec.units:
        runs, workload = curves.get(unit.name, ()), fleet.spec.workload
        priced = functools.partial(prices.replica_price, unit, None, offerings.get(unit.name), hardware.get(unit.name))
        if len(runs) > 1:
            known, said = _of_sizes(fleet, unit, runs, priced)
        elif runs:
            known, said = _of_run(fleet, unit, runs[0], priced)
            known = tuple(_of_its_size(one, runs[0], workload) for one in known)
            findings += (found for one in known for found in of_other_size(one, "", 0))
        else:
            known, said = (), (left_out(unit, "", 0, "no run measured it"),)
        evidence += known
        findings += said
    return tuple(evidence), tuple(findings)


def _of_run(fleet: InferenceFleet, unit: DeploymentUnit, curve: LoadCurve, priced: Priced, at: str = "") -> Found:
    """From one run; at: the length of its requests, where there are several."""
    point = curve.breaking_point
    if point is None and curve.stages:
        rows = _rows(unit, curve)
        found = best(rows, fleet.spec.slo)
        if found is None:
            return (), (left_out(unit, "", 0, f"{at}{why_no_row(rows, fleet.spec.slo)[1]}"),)
        row, judgement = found
        known = evidence_of_row(row, priced(), _level_source(row, judgement, rows), rows)
        return (replace(known, held=_held(curve)),), ()
    if point is None or point.rate_per_s <= 0:
        reason = "no run measured it" if point is None else f"it holds no load at all: {point.why}"
        return (), (left_out(unit, "", 0, f"{at}{reason}"),)
    return (_evidence_of_curve(unit, curve, point, priced()),), ()


def _of_sizes(fleet: InferenceFleet, unit: DeploymentUnit, runs: Sequence[LoadCurve], priced: Priced) -> Found:
    """From a run at each of the workload's sizes; nothing where one of them gives no limit."""
    workload, made = fleet.spec.workload, list[UnitEvidence]()
    for size in workload.sizes:
        asked = each_size.of_size(workload, size)
        alike = [run for run in runs if measured_size.at([_sent(unit.name, run)], asked)]
        if len(alike) != 1:
            raise _other_runs(unit, runs, f"{len(alike) or 'none'} of them with {each_size.named(size)}")
        known, said = _of_run(fleet, unit, alike[0], priced, f"at {each_size.named(size)} ")
        if not known:
            return known, said
        made += known
    if len(runs) != len(workload.sizes):
        raise _other_runs(unit, runs, f"and the workload has {len(workload.sizes) or 'no'} sizes")
    return (each_size.together(workload, made),), ()


def _other_runs(unit: DeploymentUnit, runs: Sequence[LoadCurve], what: str) -> InputError:
    return InputError(
        f"unit {unit.name!r} has {len(runs)} runs, {what}",
        where=f"spec.units.{unit.name}",
        mend="give one run of it, or one at each of workload.sizes",
    )


def _of_its_size(known: UnitEvidence, curve: LoadCurve, workload: Workload) -> UnitEvidence:
    """The evidence with the mean lengths of all requests of its run, where those are not the workload's."""
    return replace(known, other_size=measured_size.otherwise(_sent(known.unit, curve), workload))


def _sent(unit: str, curve: LoadCurve) -> Measurement:
    """The mean lengths of all requests of a run."""
    valid = [stage for stage in curve.stages if stage.valid]
    return Measurement(
        row=0,
        unit=unit,
        input_tokens=_per_request((stage.tokens_in_per_s, stage.achieved_per_s) for stage in valid),
        output_tokens=_per_request((stage.tokens_out_per_s, stage.achieved_per_s) for stage in valid),
    )


def _per_request(levels: Iterable[tuple[float, float]]) -> float | None:
    """Tokens per request over all levels in which tokens were counted, given each level's tokens/s and requests/s."""
    counted = [(tokens_per_s, rate_per_s) for tokens_per_s, rate_per_s in levels if tokens_per_s > 0 < rate_per_s]
    if not counted:
        return None
    return math.fsum(tokens for tokens, _ in counted) / math.fsum(requests for _, requests in counted)


def _rows(unit: DeploymentUnit, curve: LoadCurve) -> list[Measurement]:
    """The levels of a run that say something of the server, to be judged as published rows are.

    An open loop that the server did not keep up with has no limit in it, whatever its latency was so far.
    """
    kept = [stage for stage in curve.stages if stage.valid and stage.latency.n]
    return [
        Measurement(
            row=stage.index,
            unit=unit.name,
            concurrency=stage.level.concurrency,
            rate_per_s=stage.achieved_per_s,
            output_tokens_per_s=stage.tokens_out_per_s or None,
            latency_avg_s=stage.latency.avg_s,
            latency_p50_s=stage.latency.p50_s,
            latency_p90_s=stage.latency.p90_s,
            latency_p95_s=stage.latency.p95_s,
            latency_p99_s=stage.latency.p99_s,
            ttft_p95_s=_p95_s(stage.ttft),
            itl_p95_s=_p95_s(stage.itl),
            error_rate=stage.error_rate,
            utilization=stage.utilization,
        )
        for stage in kept
        if stage.level.rate_per_s is None or stage.achieved_per_s >= _FOLLOWS * stage.offered_per_s
    ]


def _p95_s(summary: Summary | None) -> float | None:
    return summary.p95_s if summary is not None and summary.n else None


def _level_source(row: Measurement, judgement: Judgement, rows: Sequence[Measurement]) -> str:
    name = f"{row.rate_per_s:.4g}/s" if row.concurrency is None else f"{row.concurrency} in flight"
    said = "; ".join(judgement.judged)
    return f"measured: at {name}, the best of {len(rows)} levels, between which nothing was measured: {said}"


def _evidence_of_curve(
    unit: DeploymentUnit, curve: LoadCurve, point: BreakingPoint, price: prices.ReplicaPrice
) -> UnitEvidence:
    stage = _stage_at(curve, point.rate_per_s)
    latency_s = stage.latency.avg_s if stage is not None else math.nan
    levels = of_stages(curve, "avg")
    return UnitEvidence(
        unit=unit.name,
        limit_per_s=point.rate_per_s,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.packing.replicas_per_instance,
        instances_per_replica=price.packing.instances_per_replica,
        tokens_out_per_s=_tokens_at(stage, point.rate_per_s),
        latency_s=None if math.isnan(latency_s) else latency_s,
        limit_source=f"measured: {_interval(point)}; {point.why}",
        price_source=price.source,
        levels=levels.levels if levels is not None else (),
        held=_held(curve),
    )


def _held(curve: LoadCurve) -> tuple[tuple[float, float, float], ...]:
    found = of_held(curve)
    return found.levels if found is not None else ()


def _stage_at(curve: LoadCurve, rate_per_s: float) -> Stage | None:
    """The valid stage whose achieved rate is nearest to the rate."""
    valid = [stage for stage in curve.stages if stage.valid and stage.achieved_per_s > 0]
    return min(valid, key=lambda stage: abs(stage.achieved_per_s - rate_per_s), default=None)


def _tokens_at(stage: Stage | None, rate_per_s: float) -> float | None:
    """The stage's tokens per request, at the rate; None for images, whose stages carry no tokens."""
    if stage is None or stage.tokens_out_per_s <= 0:
        return None
    return stage.tokens_out_per_s / stage.achieved_per_s * rate_per_s


def _interval(point: BreakingPoint) -> str:
    high = "nothing broke it" if math.isinf(point.high_per_s) else f"broke at {point.high_per_s:.4g}/s"
    return (
        f"held {point.low_per_s:.4g}/s, {high} (cause: {point.cause.value}, confidence {point.confidence:.0%}), "
        f"taken as {point.rate_per_s:.4g}/s"
    )

"""What planning takes a unit to hold that nobody has measured: the roofline estimate, as far as it meets the SLO."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.model.architecture import FixedWork, ModelArchitecture
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, FleetSpec, InferenceFleet, Workload, format_slo
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.packing import pack
from holdfast.model.plan import UnitEvidence
from holdfast.performance import curve, memory
from holdfast.performance.estimate import Estimate, estimate
from holdfast.planning import prices
from holdfast.planning.evidence import left_out
from holdfast.planning.grid import Equipment
from holdfast.planning.reach import Reached, caveat, reach
from holdfast.planning.supplies import Effort, Work

Model = ModelArchitecture | FixedWork


@dataclass(frozen=True)
class Estimated:
    """Units that nobody measured: what their estimates say, and why some have none.

    lacking: what would have to be given for an estimate of the units that have none for want of it.
    """

    known: tuple[UnitEvidence, ...]
    findings: tuple[Finding, ...]
    lacking: tuple[InputError, ...]


def evidence(
    fleet: InferenceFleet,
    model: Model,
    units: Sequence[DeploymentUnit],
    offerings: Mapping[str, Offering],
    equipment: Equipment,
) -> Estimated:
    """Evidence from the estimate of each of the units, marked as such, and what is to be said of it.

    A unit is left out, with its reason, where the workload has no lengths, no source states the peaks of its
    accelerator, it serves prefill and decode apart, nobody states its price, or by its estimate not one request meets
    the SLO. Raises InputError when a
    unit's parallelism does not divide the model or does not fit its instance.
    """
    found, findings, lacking = list[UnitEvidence](), list[Finding](), list[InputError]()
    for unit in units:
        instance, _ = equipment[unit.name]
        memory.check(model, unit.tensor_parallel, unit.pipeline_parallel)
        lack = _lack(fleet, model, unit, offerings.get(unit.name), equipment[unit.name])
        if lack is not None:
            lacking.append(lack)
            findings.append(without_estimate(unit, lack))
            continue
        made = estimate_of_mean(fleet.spec.workload, model, unit, equipment[unit.name])
        reached = reach(made, fleet.spec.slo, fleet.spec.workload)
        if reached is None or reached.broken:
            why = reached.broken if reached is not None else f"the model does not fit ({made.fit.why})"
            findings.append(left_out(unit, "", 0, f"by its estimate, {why}"))
            continue
        price = prices.replica_price(unit, None, offerings.get(unit.name), instance)
        found.append(_evidence(unit, made, reached, price, fleet.spec))
        findings.append(_estimate_finding(unit, made, fleet.spec))
    return Estimated(tuple(found), tuple(findings), tuple(lacking))


def without_estimate(unit: DeploymentUnit, lack: InputError) -> Finding:
    """The finding that names a unit of which nothing was measured and nothing can be estimated."""
    return left_out(unit, "", 0, f"nothing was measured of it, and {lack.what}{f'; {lack.mend}' if lack.mend else ''}")


def estimable(workload: Workload, model: Model, unit: DeploymentUnit, device: Accelerator) -> bool:
    """Whether the lengths and the peaks that an estimate starts from are known, and one server answers a request."""
    if unit.disaggregated is not None:
        return False
    lengths = isinstance(model, FixedWork) or workload.input_tokens is not None
    return lengths and device.memory_gb_per_s is not None and device.bf16_dense_tflops is not None


def _lack(
    fleet: InferenceFleet,
    model: Model,
    unit: DeploymentUnit,
    offering: Offering | None,
    equipment: tuple[InstanceType, Accelerator],
) -> InputError | None:
    """What would have to be given for an estimate that can be planned with."""
    instance, device = equipment
    where = f"spec.units.{unit.name}"
    if prices.instance_price(unit, None, offering, instance) is None:
        return InputError(
            f"unit {unit.name!r} has no price (the catalogue has none for {unit.instance_type})",
            where=where,
            mend="give it, e.g. price: $1.006/h",
        )
    if unit.disaggregated is not None:
        return _apart(unit)
    if estimable(fleet.spec.workload, model, unit, device):
        return None
    if device.memory_gb_per_s is None or device.bf16_dense_tflops is None:
        return InputError(
            f"no source states the memory bandwidth and the FLOP/s of {device.name} to estimate it by",
            where=where,
            mend="measure it with holdfast limit",
        )
    return InputError(
        "the workload does not say how long its requests are, so nothing can be estimated",
        where="spec.workload",
        mend="give inputTokens, or measurements",
    )


def _apart(unit: DeploymentUnit) -> InputError:
    return InputError(
        f"unit {unit.name!r} serves prefill and decode apart, which is not estimated",
        where=f"spec.units.{unit.name}",
        mend="measure it with holdfast limit",
    )


def _evidence(
    unit: DeploymentUnit, made: Estimate, reached: Reached, price: prices.ReplicaPrice, spec: FleetSpec
) -> UnitEvidence:
    lengths, left = spec.workload.output_tokens, caveat(spec.slo, spec.workload)
    estimated = curve.of_estimate(made)
    return UnitEvidence(
        unit=unit.name,
        limit_per_s=reached.rate_per_s,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.packing.replicas_per_instance,
        instances_per_replica=price.packing.instances_per_replica,
        tokens_out_per_s=None if lengths is None else reached.rate_per_s * lengths.mean,
        latency_s=reached.latency_s,
        limit_source=(
            f"an estimate, not measured: {reached.in_flight:.3g} in flight at {reached.latency_s:.3g} s on average, "
            f"within {format_slo(spec.slo)}{f' ({left})' if left else ''}; bound by {reached.binds}; median error of a "
            f"step {made.error:.0%} ({made.coefficients_source}){f'; {made.across}' if made.across else ''}"
        ),
        price_source=price.source,
        estimate_error=made.error,
        levels=estimated.levels if estimated is not None else (),
    )


def _estimate_finding(unit: DeploymentUnit, made: Estimate, spec: FleetSpec) -> Finding:
    borrowed = f", from its nearest kin {made.borrowed}" if made.borrowed else ""
    borrowed += f"; {made.across}" if made.across else ""
    left = caveat(spec.slo, spec.workload)
    return Finding(
        file="",
        row=0,
        check="estimated",
        severity=Severity.SUSPICIOUS,
        found="an estimate",
        expected="a measurement",
        message=f"Unit {unit.name!r} is planned on an estimate (median error of a step {made.error:.0%}{borrowed})"
        f"{f': {left}' if left else ''}.",
    )


def work(model: Model, equipment: Equipment) -> Work:
    """How much work a request of a size is, by its estimate: what it takes of a replica at the most throughput.

    Raises InputError, when it is asked, for a size of which not one request fits, and for prefill and decode apart.
    """

    def effort(unit: DeploymentUnit, input_tokens: float, output_tokens: float) -> Effort:
        if unit.disaggregated is not None:
            raise _apart(unit)
        made = _estimate_of(model, unit, equipment[unit.name], math.ceil(input_tokens), math.ceil(output_tokens))
        if not made.points:
            raise InputError(
                f"a request of {input_tokens:g} + {output_tokens:g} tokens does not fit ({made.fit.why})",
                where=f"spec.units.{unit.name}",
                mend="raise its tensorParallel, or leave the unit out",
            )
        busiest = max(made.points, key=lambda point: point.rate_per_s)
        return Effort(1 / busiest.rate_per_s, busiest.latency_s)

    return effort


def estimate_of_mean(
    workload: Workload, model: Model, unit: DeploymentUnit, equipment: tuple[InstanceType, Accelerator]
) -> Estimate:
    """The estimate of a replica for requests of the workload's mean lengths, of what is `estimable`."""
    return _estimate_of(model, unit, equipment, *_lengths(workload, model))


def _estimate_of(
    model: Model,
    unit: DeploymentUnit,
    equipment: tuple[InstanceType, Accelerator],
    input_tokens: int,
    output_tokens: int,
) -> Estimate:
    instance, device = equipment
    return estimate(
        model,
        device,
        tensor_parallel=unit.tensor_parallel,
        pipeline_parallel=unit.pipeline_parallel,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        max_num_seqs=unit.max_num_seqs,
        framework=unit.framework,
        instance=instance if pack(unit, instance).spans else None,
    )


def _lengths(workload: Workload, model: Model) -> tuple[int, int]:
    """Mean tokens asked and answered; of an image, and the answer of an embedding, 1. Only of what is `estimable`."""
    if isinstance(model, FixedWork):
        return 1, 1
    assert workload.input_tokens is not None
    answered = workload.output_tokens.mean if workload.output_tokens is not None else 1
    return max(1, math.ceil(workload.input_tokens.mean)), max(1, math.ceil(answered))

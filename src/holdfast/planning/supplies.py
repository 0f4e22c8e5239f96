"""A fleet document and what is known of its units, as the candidates and the requirement of a mix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.model.errors import InputError
from holdfast.model.fleet import CapacityType, DeploymentUnit, InferenceFleet
from holdfast.model.hardware import InstanceType, Offering
from holdfast.model.plan import UnitEvidence
from holdfast.planning.mix import Candidate, Requirement, Supply


@dataclass(frozen=True)
class Effort:
    """What a request takes of a replica at its largest batch: seconds of the replica's time, and seconds until it is
    answered, both above 0. Only their ratios between sizes of requests count."""

    replica_s: float
    latency_s: float


Work = Callable[[DeploymentUnit, float, float], Effort]
"""What a request of so many input and output tokens takes of a unit."""

Offerings = Mapping[str, Mapping[CapacityType, Offering]]
"""By unit name and capacity type."""


def by_size(fleet: InferenceFleet, known: UnitEvidence, work: Work | None) -> UnitEvidence:
    """The evidence with a limit for each of the workload's sizes, and as its limit that of their mixture.

    Where the sizes were not measured, the measured limit is that of requests of mean length, and a size's limit is in
    inverse proportion to the time that its `work` takes of a replica. A replica that gets all sizes in their shares
    carries 1 / sum(share / limit), and holds what each part of it would by itself: so its mean latency is the mean of
    those at the limits of the sizes, each counted by its traffic. Raises InputError when neither is known.
    """
    workload = fleet.spec.workload
    if not workload.sizes:
        return known
    limits, latencies = known.limits_by_size_per_s, known.latencies_by_size_s
    if limits and len(limits) != len(workload.sizes):
        raise ValueError(f"{known.unit} has {len(limits)} limits for {len(workload.sizes)} sizes")
    unit, source, said = fleet.unit(known.unit), "measured at each size", "measured at each size"
    if limits and not latencies and known.latency_s is not None:
        in_flight = known.limit_per_s * known.latency_s
        latencies = tuple(in_flight / limit for limit in limits)
        said = (
            f"an estimate: as many in flight at the limit of each size as at {known.limit_per_s:.4g}/s, {in_flight:.3g}"
        )
    if not limits:
        if work is None or workload.input_tokens is None or workload.output_tokens is None:
            raise InputError(
                f"unit {known.unit!r} has a limit for requests of mean length only, and the workload has sizes",
                where=f"spec.units.{known.unit}",
                mend="measure it at each size, or remove workload.sizes",
            )
        mean = work(unit, workload.input_tokens.mean, workload.output_tokens.mean)
        each = [work(unit, size.input_tokens, size.output_tokens) for size in workload.sizes]
        limits = tuple(known.limit_per_s * mean.replica_s / one.replica_s for one in each)
        source = "scaled to each size by its work"
        if known.latency_s is not None:
            latencies = tuple(known.latency_s * one.latency_s / mean.latency_s for one in each)
            said = f"an estimate: {known.latency_s:.3g} s at mean length, scaled to each size as the roofline's latency"
    mixed = 1 / math.fsum(size.share / limit for size, limit in zip(workload.sizes, limits, strict=True))
    tokens = known.tokens_out_per_s
    return replace(
        known,
        limit_per_s=mixed,
        tokens_out_per_s=None if tokens is None else tokens * mixed / known.limit_per_s,
        latency_s=_weighted(latencies, [size.share for size in workload.sizes]),
        limits_by_size_per_s=limits,
        latencies_by_size_s=latencies,
        limit_source=f"{known.limit_source}; {source}",
        latency_source=f"{said}; the mean over the sizes by their shares" if latencies else "",
        levels=(),
        held=(),  # they are of requests of mean length
    )


def given(fleet: InferenceFleet, known: UnitEvidence, rates_per_s: Sequence[float]) -> UnitEvidence:
    """The evidence `by_size` of a replica whose requests come in these rates by size, not all 0, instead of in their
    shares."""
    sizes, whole = fleet.spec.workload.sizes, math.fsum(rates_per_s)
    if all(abs(rate / whole - size.share) < 1e-12 for rate, size in zip(rates_per_s, sizes, strict=True)):
        return known
    limit_per_s = whole / math.fsum(
        rate / limit for rate, limit in zip(rates_per_s, known.limits_by_size_per_s, strict=True)
    )
    mean = math.fsum(size.share * size.output_tokens for size in sizes)
    longer = math.fsum(rate * size.output_tokens for rate, size in zip(rates_per_s, sizes, strict=True)) / whole / mean
    tokens = known.tokens_out_per_s
    which = "of the sizes that it is given at the highest demand"
    return replace(
        known,
        limit_per_s=limit_per_s,
        tokens_out_per_s=None if tokens is None else tokens * limit_per_s / known.limit_per_s * longer,
        latency_s=_weighted(known.latencies_by_size_s, rates_per_s),
        limit_source=f"{known.limit_source}; {which}",
        latency_source=f"{known.latency_source}, here {which} by their traffic" if known.latencies_by_size_s else "",
    )


def _weighted(latencies_s: Sequence[float], weights: Sequence[float]) -> float | None:
    """The mean of the latencies; None where there are none."""
    if not latencies_s:
        return None
    return math.fsum(one * weight for one, weight in zip(latencies_s, weights, strict=True)) / math.fsum(weights)


def candidates(
    fleet: InferenceFleet,
    evidence: Sequence[UnitEvidence],
    hardware: Mapping[str, InstanceType],
    offerings: Offerings,
) -> tuple[Candidate, ...]:
    """A candidate per evidence. hardware: by unit name, for quotas; offerings: of capacity types without a price.

    Raises InputError where a capacity type has no price, or quotas are given and an instance type is not known.
    """
    return tuple(_candidate(fleet, known, hardware, offerings) for known in evidence)


def requirement(fleet: InferenceFleet) -> Requirement:
    """The demand of each period with its headroom, and what is asked of the mix; periods are hours."""
    capacity, routing = fleet.spec.capacity, fleet.spec.routing
    shares = tuple(size.share for size in fleet.spec.workload.sizes) if routing.by_size else (1.0,)
    rates = [rate * (1 + capacity.headroom) for rate in fleet.spec.demand.periods_per_s]
    return Requirement(
        demand_per_s=tuple(tuple(rate * share for share in shares) for rate in rates),
        utilization_target=capacity.utilization_target,
        survive=frozenset(capacity.survive),
        min_share=routing.min_share,
        max_pools=capacity.max_pools,
        quotas={str(quota): vcpus for quota, vcpus in capacity.quotas.items()},
    )


def _candidate(
    fleet: InferenceFleet, known: UnitEvidence, hardware: Mapping[str, InstanceType], offerings: Offerings
) -> Candidate:
    unit = fleet.unit(known.unit)
    return Candidate(
        unit=known.unit,
        limits_per_s=known.limits_by_size_per_s if fleet.spec.routing.by_size else (known.limit_per_s,),
        supplies=tuple(
            _supply(fleet, unit, zone, way, _price(unit, known, way, offerings), hardware.get(unit.name))
            for zone in unit.zones or fleet.spec.zones or ("",)
            for way in unit.ways
        ),
        replicas_per_instance=known.replicas_per_instance,
        instances_per_replica=known.instances_per_replica,
        min_replicas=unit.min_replicas,
        max_replicas=unit.max_replicas,
        accelerator=unit.accelerator.lower(),
        instance_type=unit.instance_type,
        startup_s=unit.startup_s,
    )


def _supply(
    fleet: InferenceFleet,
    unit: DeploymentUnit,
    zone: str,
    way: CapacityType,
    instance_usd_per_h: float,
    instance: InstanceType | None,
) -> Supply:
    if not fleet.spec.capacity.quotas:
        return Supply(instance_usd_per_h, zone, way)
    if instance is None:
        raise InputError(
            f"the vCPUs of {unit.instance_type} are not known, and capacity.quotas counts them",
            where=f"spec.units.{unit.name}",
            mend="take an instance type of the catalogue, or remove capacity.quotas",
        )
    quota = f"{instance.quota_class}{' spot' if way is CapacityType.SPOT else ''}"
    return Supply(instance_usd_per_h, zone, way, quota=quota, vcpus=instance.vcpus)


def _price(unit: DeploymentUnit, known: UnitEvidence, way: CapacityType, offerings: Offerings) -> float:
    """US dollars per hour of one instance."""
    if way is unit.capacity_type:
        return known.instance_usd_per_h
    if way in unit.prices_usd_per_h:
        return unit.prices_usd_per_h[way]
    offering = offerings.get(unit.name, {}).get(way)
    if offering is None:
        raise InputError(
            f"unit {unit.name!r} has no {way.value} price",
            where=f"spec.units.{unit.name}",
            mend=f"give it, e.g. prices: {{{way.value}: $0.5/h}} (the catalogue has none for {unit.instance_type})",
        )
    return offering.price_usd_per_h

"""The grid of configurations that nobody measured, from the roofline estimate of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from holdfast.model.architecture import FixedWork
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.packing import obstacle, pack
from holdfast.performance import engines, memory
from holdfast.performance.estimate import Estimate
from holdfast.planning import prices
from holdfast.planning.estimated import Model, estimable, estimate_of_mean
from holdfast.planning.grid import Auto, Configuration, Equipment, GridCell, as_unit, platform
from holdfast.planning.reach import Reached, reach

BATCHES = (8, 16, 32)
"""Of the grid, beside the unit's own: those of the published grids."""


def cells(
    fleet: InferenceFleet,
    model: Model,
    units: Sequence[DeploymentUnit],
    offerings: Mapping[str, Offering],
    equipment: Equipment,
    auto: Auto | None = None,
) -> tuple[GridCell, ...]:
    """The grid of the estimates of units that can be estimated (estimated.estimable).

    It has TP of 1, 2, 4, ... that divides the model and the unit's own, with batches of BATCHES and the unit's own; of
    a unit that leaves its batch to the plan 8, 16, 32, ... up to the most of its engine. All stages of a pipeline are
    on one instance, but where the unit's go over several or its TP is left to the plan: there each stage is. Units on
    the same platform and instance type at the same price are one.
    """
    found: dict[tuple[Configuration, float | None], GridCell] = {}
    for unit in units:
        instance, device = equipment[unit.name]
        if not estimable(fleet.spec.workload, model, unit, device):
            continue
        price = prices.instance_price(unit, None, offerings.get(unit.name), instance)
        for shape in _shapes(unit, model, instance, device, (auto or {}).get(unit.name, frozenset())):
            shaped = as_unit(unit, shape, device)
            if (shape, price) not in found and not obstacle(shaped, instance):
                found[shape, price] = _cell(fleet, model, shaped, shape, price, equipment[unit.name])
    return tuple(found.values())


def _shapes(
    unit: DeploymentUnit, model: Model, instance: InstanceType, device: Accelerator, auto: Collection[str]
) -> Iterator[Configuration]:
    own = Configuration(
        platform(unit), unit.instance_type, unit.tensor_parallel, unit.pipeline_parallel, unit.max_num_seqs
    )
    if isinstance(model, FixedWork):
        yield own
        return
    spread = "tensorParallel" in auto or pack(unit, instance).spans
    ranks = instance.devices * device.ranks_per_device // (1 if spread else unit.pipeline_parallel)
    powers = {2**n for n in range(ranks.bit_length()) if 2**n <= ranks and _divides(model, 2**n, unit)}
    for tensor_parallel in sorted(powers | {unit.tensor_parallel}):
        for batch in _batches(unit, device, "maxNumSeqs" in auto):
            yield replace(own, tensor_parallel=tensor_parallel, max_num_seqs=batch)


def _batches(unit: DeploymentUnit, device: Accelerator, any_batch: bool) -> Sequence[int | None]:
    """Batch limits to try; None is the engine's own, which a unit has that states none."""
    if any_batch:
        most = engines.engine(device).max_sequences
        return [batch for batch in (2**n for n in range(3, most.bit_length())) if batch <= most]
    if unit.max_num_seqs is None:
        return [None, *BATCHES]
    return sorted({*BATCHES, unit.max_num_seqs})


def _divides(model: Model, tensor_parallel: int, unit: DeploymentUnit) -> bool:
    try:
        memory.check(model, tensor_parallel, unit.pipeline_parallel)
    except InputError:
        return False
    return True


def _cell(
    fleet: InferenceFleet,
    model: Model,
    unit: DeploymentUnit,
    shape: Configuration,
    price_usd_per_h: float | None,
    equipment: tuple[InstanceType, Accelerator],
) -> GridCell:
    instance, _ = equipment
    made = estimate_of_mean(fleet.spec.workload, model, unit, equipment)
    reached = reach(made, fleet.spec.slo, fleet.spec.workload)
    peak_per_s = max((point.rate_per_s for point in made.points), default=None)
    return GridCell(
        configuration=shape,
        unit=unit.name,
        devices=instance.devices,
        devices_per_replica=unit.devices_per_replica,
        rate_per_s=None if reached is None else reached.rate_per_s,
        tokens_per_s=None,
        latency_s=None if reached is None else reached.latency_s,
        statistic="avg",
        peak_per_s=peak_per_s,
        peak_tokens_per_s=None,
        price_usd_per_h=price_usd_per_h,
        why_not=_why_not(made, reached, shape.max_num_seqs or 1),
        source=f"an estimate ({made.coefficients_source}{f'; {made.across}' if made.across else ''})",
        packing=pack(unit, instance),
        estimated=True,
    )


def _why_not(made: Estimate, reached: Reached | None, batch: int) -> str:
    """The TP rule wants the KV cache of a whole batch in memory."""
    if made.fit.sequences < batch:
        return f"memory holds {made.fit.sequences} of {batch} sequences"
    return "" if reached is None else reached.broken

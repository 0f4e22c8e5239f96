"""The grid of configurations that nobody measured, from the roofline estimate of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from holdfast.model.architecture import FixedWork
from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.performance import memory
from holdfast.performance.estimate import Estimate
from holdfast.planning import prices
from holdfast.planning.estimated import Model, Reached, estimate_of_mean, reach
from holdfast.planning.grid import Configuration, Equipment, GridCell, as_unit

BATCHES = (8, 16, 32)
"""Of the grid, beside the unit's own: those of the published grids."""


def cells(
    fleet: InferenceFleet,
    model: Model,
    units: Sequence[DeploymentUnit],
    offerings: Mapping[str, Offering],
    equipment: Equipment,
) -> tuple[GridCell, ...]:
    """The grid of the units' estimates: TP of 1, 2, 4, ... that divides the model, batches of BATCHES and their own.

    Units on the same platform and instance type are one row of the grid.
    """
    found: dict[Configuration, GridCell] = {}
    for unit in units:
        instance, device = equipment[unit.name]
        for shape in _shapes(unit, model, instance, device):
            if shape not in found:
                found[shape] = _cell(
                    fleet, model, as_unit(unit, shape, device), shape, offerings.get(unit.name), equipment
                )
    return tuple(found.values())


def _shapes(unit: DeploymentUnit, model: Model, instance: InstanceType, device: Accelerator) -> Iterator[Configuration]:
    platform = f"{unit.accelerator} with {unit.framework}"
    if isinstance(model, FixedWork):
        yield Configuration(
            platform, unit.instance_type, unit.tensor_parallel, unit.pipeline_parallel, unit.max_num_seqs
        )
        return
    ranks = instance.devices * device.cores_per_device // unit.pipeline_parallel
    powers = {2**n for n in range(ranks.bit_length()) if 2**n <= ranks and _divides(model, 2**n, unit)}
    batches = sorted({*BATCHES, *([unit.max_num_seqs] if unit.max_num_seqs else [])})
    for tensor_parallel in sorted(powers | {unit.tensor_parallel}):
        for batch in batches:
            yield Configuration(platform, unit.instance_type, tensor_parallel, unit.pipeline_parallel, batch)


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
    offering: Offering | None,
    equipment: Equipment,
) -> GridCell:
    instance, device = equipment[unit.name]
    made = estimate_of_mean(fleet.spec.workload, model, unit, device)
    reached = reach(made, fleet.spec.slo)
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
        price_usd_per_h=prices.instance_price(unit, None, offering, instance),
        why_not=_why_not(made, reached, shape.max_num_seqs or 1),
        source=f"an estimate ({made.coefficients_source})",
        estimated=True,
    )


def _why_not(made: Estimate, reached: Reached | None, batch: int) -> str:
    """The TP rule wants the KV cache of a whole batch in memory."""
    if made.fit.sequences < batch:
        return f"memory holds {made.fit.sequences} of {batch} sequences"
    return "" if reached is None else reached.broken

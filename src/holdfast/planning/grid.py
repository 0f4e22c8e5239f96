"""The grid of tensor parallelism and batch: what each configuration gives that was measured.

DP rule   replicas per instance = devices // devices per replica; devices left over are paid for and idle

Throughput per dollar is of a whole instance with all the replicas that it holds, or of all the instances of a replica
that takes several, so idle devices count.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.model.errors import InputError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, Slo
from holdfast.model.hardware import Accelerator, InstanceType, Offering
from holdfast.model.judgement import best, nearest
from holdfast.model.measurements import Measurement
from holdfast.model.packing import Packing, obstacle, pack
from holdfast.planning import measured_size, prices

Equipment = Mapping[str, tuple[InstanceType, Accelerator]]
"""Instance type and accelerator of each unit, by unit name."""

Auto = Mapping[str, frozenset[str]]
"""By unit name the keys that the unit leaves to the plan (model.document.Declared)."""

COLUMNS = {"tensorParallel": "tensor_parallel", "maxNumSeqs": "max_num_seqs"}
"""The keys that may be left to the plan, and the columns of measurements that state them."""


@dataclass(frozen=True)
class Configuration:
    """One way to run the model on a platform. On Neuron a TP rank is a logical core, on GPUs a device."""

    platform: str
    instance_type: str
    tensor_parallel: int
    pipeline_parallel: int
    max_num_seqs: int | None

    @property
    def name(self) -> str:
        """As the field writes it: `g5.12xlarge bs8-tp4`."""
        batch = f"bs{self.max_num_seqs}-" if self.max_num_seqs is not None else ""
        pipeline = f"-pp{self.pipeline_parallel}" if self.pipeline_parallel > 1 else ""
        return f"{self.instance_type} {batch}tp{self.tensor_parallel}{pipeline}"


@dataclass(frozen=True)
class GridCell:
    """What one configuration gives.

    unit:         the fleet's unit that it was measured or estimated as.
    devices, devices_per_replica: of one instance, and of one replica.
    packing:      how replicas lie on instances; None where not one can be placed.
    rate_per_s, tokens_per_s, latency_s: of one replica at its highest load that meets the SLO, or, where none does, at
                  the load that comes nearest; latency_s is the `statistic`, all None where not known.
    peak_per_s, peak_tokens_per_s: of one replica at its highest load, whatever the latency.
    price_usd_per_h: of one instance; None where nobody states it.
    why_not:      why it does not do (memory, devices, the SLO), empty where it does.
    source:       where the figures come from; estimated: whether that is no measurement.
    """

    configuration: Configuration
    unit: str
    devices: int
    devices_per_replica: int
    rate_per_s: float | None
    tokens_per_s: float | None
    latency_s: float | None
    statistic: str
    peak_per_s: float | None
    peak_tokens_per_s: float | None
    price_usd_per_h: float | None
    why_not: str
    source: str
    packing: Packing | None
    estimated: bool = False

    @property
    def holds(self) -> bool:
        return not self.why_not

    @property
    def replicas_per_instance(self) -> int:
        return 0 if self.packing is None else self.packing.replicas_per_instance

    @property
    def instances_per_replica(self) -> int:
        return 1 if self.packing is None else self.packing.instances_per_replica

    @property
    def bought_devices(self) -> int:
        """Devices of what is bought at once: an instance, or all that one replica takes."""
        return self.devices * self.instances_per_replica

    @property
    def bought_usd_per_h(self) -> float | None:
        """Price of what is bought at once; None where nobody states it."""
        return None if self.price_usd_per_h is None else self.price_usd_per_h * self.instances_per_replica

    @property
    def idle_devices(self) -> int:
        return self.bought_devices - self.replicas_per_instance * self.devices_per_replica

    @property
    def bought_per_s(self) -> float | None:
        """Requests/s of what is bought at once, with all its replicas."""
        return None if self.rate_per_s is None else self.rate_per_s * self.replicas_per_instance

    @property
    def per_dollar(self) -> float | None:
        """Requests/s per USD/h of what is bought at once, with all its replicas."""
        if self.bought_per_s is None or self.bought_usd_per_h is None:
            return None
        return self.bought_per_s / self.bought_usd_per_h


def of_measurements(
    fleet: InferenceFleet,
    rows: Sequence[Measurement],
    offerings: Mapping[str, Offering],
    equipment: Equipment,
    where: str,
    auto: Auto | None = None,
) -> tuple[GridCell, ...]:
    """A cell for each configuration that rows of the fleet's units were measured in.

    A row that states no TP, PP or batch was measured as its unit is declared. Rows on another instance type,
    accelerator or framework than their unit's are no part of the grid, nor are rows without a rate. Of rows of several
    lengths of request a cell has those nearest to the workload's.
    auto: what units leave to the plan, which their rows must state. Raises InputError for one that does not.
    """
    found: dict[tuple[str, Configuration], list[Measurement]] = {}
    units = {unit.name: unit for unit in fleet.spec.units}
    for row in rows:
        unit = units.get(row.unit)
        if unit is not None and row.rate_per_s and _is_of(row, unit):
            _refuse_unstated(row, unit, (auto or {}).get(unit.name, frozenset()), where)
            found.setdefault((unit.name, _configuration(unit, row)), []).append(row)
    return tuple(
        _measured(
            configuration,
            units[name],
            measured_size.nearest(own, fleet.spec.workload),
            offerings.get(name),
            equipment[name],
            fleet.spec.slo,
            where,
        )
        for (name, configuration), own in found.items()
    )


def platform(unit: DeploymentUnit) -> str:
    """One accelerator with one framework, within which configurations compete."""
    return f"{unit.accelerator} with {unit.framework}"


def _refuse_unstated(row: Measurement, unit: DeploymentUnit, auto: frozenset[str], where: str) -> None:
    for key, column in COLUMNS.items():
        if key in auto and getattr(row, column) is None:
            raise InputError(
                f"the row of {unit.name!r} states no {column}, and the unit leaves {key} to the plan",
                where=f"{where}:{row.row}",
                mend=f"give the column {column}, or the unit a {key}",
            )


def _is_of(row: Measurement, unit: DeploymentUnit) -> bool:
    keys = ("instance_type", "accelerator", "framework")
    return all(getattr(row, key) in (None, getattr(unit, key)) for key in keys)


def _configuration(unit: DeploymentUnit, row: Measurement) -> Configuration:
    return Configuration(
        platform=platform(unit),
        instance_type=unit.instance_type,
        tensor_parallel=row.tensor_parallel or unit.tensor_parallel,
        pipeline_parallel=row.pipeline_parallel or unit.pipeline_parallel,
        max_num_seqs=row.max_num_seqs or unit.max_num_seqs,
    )


def as_unit(unit: DeploymentUnit, configuration: Configuration, accelerator: Accelerator) -> DeploymentUnit:
    """The unit as it would be declared in that configuration, with the devices that its ranks need."""
    ranks = (configuration.tensor_parallel, configuration.pipeline_parallel)
    declared = ranks == (unit.tensor_parallel, unit.pipeline_parallel)
    devices = unit.devices if declared else math.ceil(math.prod(ranks) / accelerator.ranks_per_device)
    return unit.model_copy(
        update={
            "tensor_parallel": configuration.tensor_parallel,
            "pipeline_parallel": configuration.pipeline_parallel,
            "max_num_seqs": configuration.max_num_seqs,
            "devices": devices,
        }
    )


def _measured(
    configuration: Configuration,
    unit: DeploymentUnit,
    rows: Sequence[Measurement],
    offering: Offering | None,
    equipment: tuple[InstanceType, Accelerator],
    slo: Slo,
    where: str,
) -> GridCell:
    instance, accelerator = equipment
    shaped = as_unit(unit, configuration, accelerator)
    each = [_of_one_replica(row) for row in rows]
    shown, why_not = _shown(each, slo)
    statistic, latency_s = _latency(shown, slo)
    packing = None if obstacle(shaped, instance) else pack(shaped, instance)
    peak = max(each, key=lambda row: row.rate_per_s or 0.0)
    return GridCell(
        configuration=configuration,
        unit=unit.name,
        devices=instance.devices,
        devices_per_replica=shaped.devices_per_replica,
        rate_per_s=shown.rate_per_s,
        tokens_per_s=shown.output_tokens_per_s,
        latency_s=latency_s,
        statistic=statistic,
        peak_per_s=peak.rate_per_s,
        peak_tokens_per_s=max((row.output_tokens_per_s for row in each if row.output_tokens_per_s), default=None),
        price_usd_per_h=None if packing is None else prices.instance_price(shaped, shown, offering, instance),
        why_not=why_not if packing else f"needs {shaped.devices_per_replica} of {instance.devices} devices",
        source=f"{where}:{shown.row}",
        packing=packing,
    )


def _of_one_replica(row: Measurement) -> Measurement:
    """The row's throughput of one replica; its price stays that of all, which `prices` shares out itself."""
    replicas = row.replicas or 1
    tokens = row.output_tokens_per_s
    return replace(
        row,
        rate_per_s=(row.rate_per_s or 0.0) / replicas,
        output_tokens_per_s=None if tokens is None else tokens / replicas,
    )


def _shown(rows: Sequence[Measurement], slo: Slo) -> tuple[Measurement, str]:
    """The row that speaks for a configuration, and which bounds it breaks: its best that holds, else its nearest."""
    found = best(rows, slo)
    if found is not None:
        return found[0], ""
    row, judgement = nearest(rows, slo)
    return row, "; ".join(judgement.broken)


def _latency(row: Measurement, slo: Slo) -> tuple[str, float | None]:
    """The end-to-end statistic that the SLO bounds, or the first one that the row states."""
    for statistic in (*(name for name, _ in slo.latency.bounds()), "avg", "p50", "p90", "p95", "p99"):
        value = row.latency_s(statistic)
        if value is not None:
            return statistic, value
    return "", None

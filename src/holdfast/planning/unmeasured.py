"""The units of a fleet that nothing was measured of, and what can be estimated of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from holdfast.catalog import models
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.packing import pack
from holdfast.model.plan import UnitEvidence
from holdfast.planning import estimated, estimated_grid, prices, whatif
from holdfast.planning.estimated import Estimated, Model, without_estimate
from holdfast.planning.grid import Auto, Equipment, GridCell


@dataclass(frozen=True)
class Unmeasured:
    """Units to be planned on estimates, by name.

    model: what they serve; where nobody knows its architecture, `lack` says so.
    """

    names: frozenset[str]
    model: Model | None
    lack: InputError | None = None

    def others(self, fleet: InferenceFleet) -> InferenceFleet:
        """The fleet of the units that were measured."""
        return whatif.with_units(fleet, tuple(unit for unit in fleet.spec.units if unit.name not in self.names))

    def cells(
        self, fleet: InferenceFleet, offerings: Mapping[str, Offering], equipment: Equipment, auto: Auto
    ) -> tuple[GridCell, ...]:
        """The grid of what they could be."""
        if self.model is None:
            return ()
        units = [unit for unit in fleet.spec.units if unit.name in self.names]
        return estimated_grid.cells(fleet, self.model, units, offerings, equipment, auto)

    def evidence(
        self,
        fleet: InferenceFleet,
        measured: Sequence[UnitEvidence],
        offerings: Mapping[str, Offering],
        equipment: Equipment,
    ) -> Estimated:
        """What is known of them: what was measured of their equals, and the estimates of the others.

        Raises InputError as `estimated.evidence` does.
        """
        units = [unit for unit in fleet.spec.units if unit.name in self.names]
        like = {
            unit.name: evidence
            for unit in units
            if (evidence := _as_measured(fleet, unit, measured, offerings, equipment))
        }
        notes = tuple(_said(fleet, evidence) for evidence in like.values())
        rest = [unit for unit in units if unit.name not in like]
        if self.model is not None:
            guessed = estimated.evidence(fleet, self.model, rest, offerings, equipment)
        else:
            lacking = () if self.lack is None or not rest else (self.lack,)
            guessed = Estimated((), tuple(without_estimate(unit, lack) for unit in rest for lack in lacking), lacking)
        return Estimated((*like.values(), *guessed.known), (*notes, *guessed.findings), guessed.lacking)


NONE = Unmeasured(frozenset(), None)
"""All units were measured, or those that were not are left out."""


def of(fleet: InferenceFleet, measured: Collection[str]) -> Unmeasured:
    """The units of the fleet that are not among the measured."""
    names = frozenset(unit.name for unit in fleet.spec.units) - set(measured)
    if not names:
        return NONE
    try:
        return Unmeasured(names, models.architecture(fleet.spec.model.id))
    except InputError as error:
        # Of a model that nobody knows the measured units can be planned all the same.
        return Unmeasured(names, None, error)


def _as_measured(
    fleet: InferenceFleet,
    unit: DeploymentUnit,
    measured: Sequence[UnitEvidence],
    offerings: Mapping[str, Offering],
    equipment: Equipment,
) -> UnitEvidence | None:
    """What was measured of the same configuration on another instance type, at the price of the unit's own.

    Accelerator, framework, TP, PP, batch, whether prefill and decode are apart, and how many instances a replica takes
    make a deployment unit; the instance around it makes its price. None where there is no such measurement or no price.
    """
    instance, offering = equipment[unit.name][0], offerings.get(unit.name)
    nodes, own = pack(unit, instance).instances_per_replica, _configuration(unit)
    alike = (one for one in measured if _configuration(fleet.unit(one.unit)) == own)
    equal = next((one for one in alike if one.instances_per_replica == nodes), None)
    if equal is None or prices.instance_price(unit, None, offering, instance) is None:
        return None
    price = prices.replica_price(unit, None, offering, instance)
    return replace(
        equal,
        unit=unit.name,
        price_usd_per_h=price.usd_per_h,
        replicas_per_instance=price.packing.replicas_per_instance,
        instances_per_replica=price.packing.instances_per_replica,
        price_source=price.source,
        limit_source=f"as measured of {equal.unit}, the same devices and configuration ({equal.limit_source})",
    )


def _configuration(unit: DeploymentUnit) -> tuple[object, ...]:
    parallel = (unit.tensor_parallel, unit.pipeline_parallel, unit.disaggregated)
    return (unit.accelerator.lower(), unit.framework, *parallel, unit.max_num_seqs)


def _said(fleet: InferenceFleet, known: UnitEvidence) -> Finding:
    instance_type = fleet.unit(known.unit).instance_type
    return Finding(
        file="",
        row=0,
        check="measured",
        severity=Severity.NOTE,
        found="no measurement",
        expected=f"{known.limit_per_s:.4g}/s",
        message=f"Nothing was measured of {known.unit!r} on {instance_type}; its limit is {known.limit_source}.",
    )

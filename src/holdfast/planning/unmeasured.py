"""The units of a fleet that nothing was measured of, and what can be estimated of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from holdfast.catalog import models
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import DeploymentUnit, InferenceFleet
from holdfast.model.hardware import Offering
from holdfast.model.plan import UnitEvidence
from holdfast.planning import estimated, estimated_grid, whatif
from holdfast.planning.estimated import Estimated, Model, without_estimate
from holdfast.planning.grid import Auto, Equipment, GridCell

_FAR = 1.5
"""Times a measured limit. Half of the rows that estimates for A10G were held against are off by 1.48 (estimate.md)."""


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

    def estimates(self, fleet: InferenceFleet, offerings: Mapping[str, Offering], equipment: Equipment) -> Estimated:
        """What their estimates say. Raises InputError as `estimated.evidence` does."""
        units = [unit for unit in fleet.spec.units if unit.name in self.names]
        if self.model is not None:
            return estimated.evidence(fleet, self.model, units, offerings, equipment)
        lacking = () if self.lack is None else (self.lack,)
        return Estimated((), tuple(without_estimate(unit, lack) for unit in units for lack in lacking), lacking)


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


def against_measured(
    fleet: InferenceFleet, guessed: Sequence[UnitEvidence], measured: Sequence[UnitEvidence]
) -> tuple[Finding, ...]:
    """Estimates that are well above what the same configuration was measured to hold on another instance type."""
    known = {_configuration(fleet.unit(one.unit)): one for one in measured}
    pairs = [(one, known.get(_configuration(fleet.unit(one.unit)))) for one in guessed]
    return tuple(
        _above(one, other) for one, other in pairs if other is not None and one.limit_per_s > _FAR * other.limit_per_s
    )


def _configuration(unit: DeploymentUnit) -> tuple[str, str, int, int, int | None]:
    parallel = (unit.tensor_parallel, unit.pipeline_parallel)
    return (unit.accelerator.lower(), unit.framework, *parallel, unit.max_num_seqs)


def _above(guess: UnitEvidence, other: UnitEvidence) -> Finding:
    return Finding(
        file="",
        row=0,
        check="estimated",
        severity=Severity.SUSPICIOUS,
        found=f"{guess.limit_per_s:.4g}/s",
        expected=f"about {other.limit_per_s:.4g}/s",
        message=f"The estimate of {guess.unit!r}, {guess.limit_per_s:.4g}/s, is "
        f"{guess.limit_per_s / other.limit_per_s:.1f} times what was measured of {other.unit!r}, the same devices and "
        f"configuration: {other.limit_per_s:.4g}/s.",
        likely="The estimate is too high; the plan leans on it all the same: measure the unit, or leave it out.",
    )

"""What `holdfast plan` knows of a fleet's units, from files and the catalogue, under the circumstances asked about."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast import catalog
from holdfast.auditing import audit_rows
from holdfast.catalog import models
from holdfast.cli import flags
from holdfast.model import measurements
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import CapacityType, InferenceFleet, format_slo
from holdfast.model.hardware import Offering
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.model.stages import LoadCurve
from holdfast.model.tables import Table
from holdfast.planning import (
    ageing,
    estimated,
    estimated_grid,
    evidence,
    grid,
    parallelism,
    prices,
    tables,
    whatif,
)
from holdfast.planning.grid import GridCell
from holdfast.planning.plan import make_plan
from holdfast.planning.supplies import Work

if TYPE_CHECKING:
    from holdfast.load.rundir import RunSpec


@dataclass(frozen=True)
class Known:
    """A fleet, the evidence of its units, and what was found and tabulated on the way."""

    fleet: InferenceFleet
    evidence: tuple[UnitEvidence, ...]
    findings: tuple[Finding, ...]
    tables: Mapping[str, Table]

    def plan(self) -> Plan:
        """The cheapest plan on this evidence."""
        return self.plan_of(self.fleet)

    def plan_of(self, fleet: InferenceFleet) -> Plan:
        """The cheapest plan on this evidence for the same units under another demand."""
        return make_plan(
            fleet,
            self.evidence,
            findings=self.findings,
            extra_tables=self.tables,
            hardware=catalog.hardware_of(fleet),
            offerings=catalog.offerings_by_way(fleet),
            work=self._work() if fleet.spec.workload.sizes else None,
        )

    def _work(self) -> Work:
        return estimated.work(models.architecture(self.fleet.spec.model.id), catalog.equipment_of(self.fleet))


@dataclass(frozen=True)
class Circumstances:
    """What is asked about: the fleet as declared, the units left out, whether on spot, and the day it is.

    estimate: whether units that nothing was measured of are planned on estimates.
    """

    declared: InferenceFleet
    without: Sequence[str]
    spot: bool
    estimate: bool
    today: datetime.date

    def fleet(self) -> tuple[InferenceFleet, tuple[Finding, ...], tuple[str, ...]]:
        """The fleet, what is to be said of it, and the units whose price is the catalogue's whatever is stated."""
        kept = whatif.without(self.declared, self.without)
        if not self.spot:
            return kept, (), ()
        offered = _spot_offerings(kept)
        fleet, said = whatif.on_spot(kept, offered)
        return fleet, said, tuple(offered)

    @property
    def names_left_out(self) -> set[str]:
        kept = whatif.without(self.declared, self.without)
        return {unit.name for unit in self.declared.spec.units} - {unit.name for unit in kept.spec.units}


def _spot_offerings(fleet: InferenceFleet) -> dict[str, Offering]:
    units = tuple(unit.model_copy(update={"capacity_type": CapacityType.SPOT}) for unit in fleet.spec.units)
    return catalog.offerings_of(whatif.with_units(fleet, units))


def from_file(asked: Circumstances, file: Path) -> Known:
    """From a CSV of measurements. Raises InputError."""
    where = str(file)
    fleet, said, repriced = asked.fleet()
    hardware, offerings = catalog.hardware_of(fleet), catalog.offerings_of(fleet)
    read = measurements.read_measurements(flags.read_text(file), where=where)
    rows = whatif.unpriced([row for row in read if row.unit not in asked.names_left_out], repriced)
    rest = _estimates(asked, fleet, {row.unit for row in rows})
    if not rows:
        return rest.joined(fleet, Known(fleet, (), said, {}), ())
    known, found = evidence.from_measurements(rest.others(fleet), rows, offerings, hardware, where)
    checked = audit_rows(rows, fleet.spec.slo, where, region=fleet.spec.region)
    cells = grid.of_measurements(fleet, rows, offerings, catalog.equipment_of(fleet), where)
    shown = tables.of_rows(prices.priced_rows(fleet, rows, offerings, hardware), fleet.spec.slo)
    aged = ageing.check_prices(fleet, rows, catalog.offerings_by_way(fleet), asked.today)
    return rest.joined(fleet, Known(fleet, known, (*said, *aged, *found, *checked), shown), cells, where)


def from_runs(asked: Circumstances, runs: Sequence[str]) -> Known:
    """From run directories, each given as UNIT=DIR; without one, and with estimates, from those. Raises InputError."""
    fleet, said, _ = asked.fleet()
    curves, found = _curves(asked, fleet, runs)
    rest = _estimates(asked, fleet, set(curves))
    offerings = catalog.offerings_of(fleet)
    planned = {*curves, *rest.names}
    priced = {name: ways for name, ways in catalog.offerings_by_way(fleet).items() if name in planned}
    aged = ageing.check_prices(fleet, (), priced, asked.today)
    measured = rest.others(fleet)
    known, left_out = evidence.from_breaking_points(measured, curves, offerings, catalog.hardware_of(fleet))
    return rest.joined(fleet, Known(fleet, known, (*said, *aged, *found, *left_out), {}), ())


def _curves(
    asked: Circumstances, fleet: InferenceFleet, runs: Sequence[str]
) -> tuple[dict[str, LoadCurve], list[Finding]]:
    curves, found = dict[str, LoadCurve](), list[Finding]()
    names = [known.name for known in asked.declared.spec.units]
    for given in runs:
        # Only here: reading runs loads the client too, which takes a tenth of a second.
        from holdfast.load import runs as load_runs

        unit, separator, folder = given.partition("=")
        if not separator or unit not in names:
            raise InputError(
                f"{given!r} names no unit of the fleet", where="--run", mend=f"write UNIT=DIR with {', '.join(names)}"
            )
        run = load_runs.read(Path(folder))
        if unit not in asked.names_left_out:
            curves[unit] = run.curve
            found += _mismatches(fleet, unit, folder, run.record.spec)
    return curves, found


@dataclass(frozen=True)
class _Rest:
    """The units that are planned on estimates, and what these say."""

    names: frozenset[str]
    evidence: tuple[UnitEvidence, ...]
    findings: tuple[Finding, ...]
    cells: tuple[GridCell, ...]

    def others(self, fleet: InferenceFleet) -> InferenceFleet:
        """The fleet of the units that are not estimated."""
        return whatif.with_units(fleet, tuple(unit for unit in fleet.spec.units if unit.name not in self.names))

    def joined(self, fleet: InferenceFleet, measured: Known, cells: Sequence[GridCell], where: str = "") -> Known:
        """What was measured and what is estimated, in the fleet's order, with the grid of both."""
        order = [unit.name for unit in fleet.spec.units]
        known = sorted((*measured.evidence, *self.evidence), key=lambda one: order.index(one.unit))
        choices = grid.choose((*cells, *self.cells))
        rule = parallelism.findings(fleet, choices, where)
        shown = {**measured.tables, **parallelism.of_cells((*cells, *self.cells), choices)}
        return Known(fleet, tuple(known), (*measured.findings, *self.findings, *rule), shown)


def _estimates(asked: Circumstances, fleet: InferenceFleet, measured: set[str]) -> _Rest:
    units = tuple(unit for unit in fleet.spec.units if unit.name not in measured)
    if not asked.estimate or not units:
        return _Rest(frozenset(), (), (), ())
    model, names = models.architecture(fleet.spec.model.id), frozenset(unit.name for unit in units)
    offerings, equipment = catalog.offerings_of(fleet), catalog.equipment_of(fleet)
    known, found = estimated.evidence(fleet, model, units, offerings, equipment)
    return _Rest(names, known, found, estimated_grid.cells(fleet, model, units, offerings, equipment))


def _mismatches(fleet: InferenceFleet, unit: str, folder: str, run: RunSpec) -> Iterator[Finding]:
    """Where a run measured something else than the fleet asks for: its limit may not be the unit's."""
    spec = fleet.spec
    planned = {"api": spec.workload.api.value, "model": spec.model.id, "slo": format_slo(spec.slo)}
    for key, wanted in planned.items():
        measured = getattr(run, key)
        if measured not in (wanted, None):  # a sweep has no SLO of its own, and is judged by the fleet's
            yield Finding(
                file=folder,
                row=0,
                check="run",
                severity=Severity.SUSPICIOUS,
                found=f"{key} {measured}",
                expected=f"{key} {wanted}",
                message=f"Unit {unit!r} was measured with {key} {measured}, and the fleet has {wanted}.",
            )

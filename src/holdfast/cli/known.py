"""What `holdfast plan` knows of a fleet's units, from files and the catalogue, under the circumstances asked about."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast import catalog
from holdfast.auditing import audit_rows
from holdfast.catalog import models
from holdfast.cli import flags
from holdfast.model import measurements
from holdfast.model.document import Declared
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import CapacityType, InferenceFleet, format_slo
from holdfast.model.hardware import Offering
from holdfast.model.measurements import Measurement
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.model.stages import LoadCurve
from holdfast.model.tables import Table
from holdfast.performance import memory
from holdfast.planning import (
    ageing,
    cores,
    estimated,
    evidence,
    grid,
    parallelism,
    prices,
    run_evidence,
    tables,
    tp_rule,
    unmeasured,
    whatif,
)
from holdfast.planning.grid import GridCell
from holdfast.planning.plan import make_plan
from holdfast.planning.supplies import Work
from holdfast.planning.tp_rule import Settled
from holdfast.planning.unmeasured import Unmeasured

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

    measured_only: whether units that nothing was measured of are left out, instead of planned on estimates.
    """

    declared: Declared
    without: Sequence[str]
    spot: bool
    measured_only: bool
    today: datetime.date

    def fleet(self) -> tuple[InferenceFleet, tuple[Finding, ...], tuple[str, ...]]:
        """The fleet, what is to be said of it, and the units whose price is the catalogue's whatever is stated."""
        left = whatif.without(self.declared.fleet, self.without)
        kept, settled = cores.with_devices(left, catalog.equipment_of(left), self.declared.auto)
        if not self.spot:
            return kept, settled, ()
        offered = _spot_offerings(kept)
        fleet, said = whatif.on_spot(kept, offered)
        return fleet, (*settled, *said), tuple(offered)

    @property
    def names(self) -> tuple[str, ...]:
        """Of all units that are declared."""
        return tuple(unit.name for unit in self.declared.fleet.spec.units)

    @property
    def names_left_out(self) -> set[str]:
        kept = whatif.without(self.declared.fleet, self.without)
        return set(self.names) - {unit.name for unit in kept.spec.units}

    def unmeasured(self, fleet: InferenceFleet, measured: Collection[str]) -> Unmeasured:
        """The units to be planned on estimates."""
        return unmeasured.NONE if self.measured_only else unmeasured.of(fleet, measured)


def _spot_offerings(fleet: InferenceFleet) -> dict[str, Offering]:
    units = tuple(unit.model_copy(update={"capacity_type": CapacityType.SPOT}) for unit in fleet.spec.units)
    return catalog.offerings_of(whatif.with_units(fleet, units))


def from_file(asked: Circumstances, file: Path) -> Known:
    """From a CSV of measurements. Raises InputError."""
    where = str(file)
    fleet, said, repriced = asked.fleet()
    read = measurements.read_measurements(flags.read_text(file), where=where)
    evidence.refuse_strangers(asked.names, read, where)
    rows = whatif.unpriced([row for row in read if row.unit not in asked.names_left_out], repriced)
    rest = asked.unmeasured(fleet, {row.unit for row in rows})
    offerings, equipment = catalog.offerings_of(fleet), catalog.equipment_of(fleet)
    cells = grid.of_measurements(fleet, rows, offerings, equipment, where, asked.declared.auto)
    shaped = _Shaped.of(asked, fleet, rest, cells)
    measured, hardware = rest.others(shaped.fleet), catalog.hardware_of(fleet)
    known, found = evidence.from_measurements(measured, rows, offerings, hardware, where)
    checked = audit_rows(rows, fleet.spec.slo, where, region=fleet.spec.region)
    shown = tables.of_rows(prices.priced_rows(fleet, rows, offerings, hardware), fleet.spec.slo)
    return shaped.known(known, (*said, *found, *checked), shown, rows, asked.today)


def from_runs(asked: Circumstances, runs: Sequence[str]) -> Known:
    """From run directories, each given as UNIT=DIR; without one from estimates alone. Raises InputError."""
    fleet, said, _ = asked.fleet()
    curves, found = _curves(asked, fleet, runs)
    rest = asked.unmeasured(fleet, set(curves))
    shaped = _Shaped.of(asked, fleet, rest, ())
    offerings, hardware = catalog.offerings_of(fleet), catalog.hardware_of(fleet)
    known, left_out = run_evidence.from_breaking_points(rest.others(shaped.fleet), curves, offerings, hardware)
    return shaped.known(known, (*said, *found, *left_out), {}, (), asked.today)


def _curves(
    asked: Circumstances, fleet: InferenceFleet, runs: Sequence[str]
) -> tuple[dict[str, list[LoadCurve]], list[Finding]]:
    curves, found = dict[str, list[LoadCurve]](), list[Finding]()
    for given in runs:
        # Only here: reading runs loads the client too, which takes a tenth of a second.
        from holdfast.load import runs as load_runs

        unit, separator, folder = given.partition("=")
        if not separator or unit not in asked.names:
            raise InputError(
                f"{given!r} names no unit of the fleet",
                where="--run",
                mend=f"write UNIT=DIR with {', '.join(asked.names)}",
            )
        if unit in asked.declared.auto:
            raise InputError(
                f"unit {unit!r} leaves {' and '.join(sorted(asked.declared.auto[unit]))} to the plan, and a run "
                "does not say what it was measured with",
                where="--run",
                mend="write the numbers that the run was measured with in the fleet",
            )
        run = load_runs.read(Path(folder))
        if unit not in asked.names_left_out:
            curves.setdefault(unit, []).append(run.curve)
            found += mismatches(fleet, unit, folder, run.record.spec)
    return curves, found


@dataclass(frozen=True)
class _Shaped:
    """The fleet with nothing left to the plan, and the grid that settled it.

    rest: the units that are planned on estimates.
    """

    fleet: InferenceFleet
    rest: Unmeasured
    cells: tuple[GridCell, ...]
    settled: Settled

    @classmethod
    def of(cls, asked: Circumstances, fleet: InferenceFleet, rest: Unmeasured, measured: Sequence[GridCell]) -> _Shaped:
        auto, equipment = asked.declared.auto, catalog.equipment_of(fleet)
        cells = (*measured, *rest.cells(fleet, catalog.offerings_of(fleet), equipment, auto))
        settled = tp_rule.settle(fleet, auto, cells, equipment)
        _check_parallelism(settled.fleet)
        return cls(settled.fleet, rest, cells, settled)

    def known(
        self,
        measured: Sequence[UnitEvidence],
        findings: Sequence[Finding],
        shown: Mapping[str, Table],
        rows: Sequence[Measurement],
        today: datetime.date,
    ) -> Known:
        """What was measured and what is estimated, in the fleet's order, with the grid of both.

        Raises InputError when nothing was measured, and nothing can be estimated for want of something.
        """
        fleet = self.fleet
        rest = self.rest.evidence(fleet, measured, catalog.offerings_of(fleet), catalog.equipment_of(fleet))
        if rest.lacking and self.rest.names == {unit.name for unit in fleet.spec.units} and not rest.known:
            raise rest.lacking[0]
        order = [unit.name for unit in fleet.spec.units]
        known = sorted((*measured, *rest.known), key=lambda one: order.index(one.unit))
        offered = catalog.offerings_by_way(fleet)
        aged = ageing.check_prices(fleet, rows, {one.unit: offered[one.unit] for one in known}, today)
        choices = tp_rule.choose(self.cells)
        rule = tp_rule.otherwise(fleet, self.cells)
        return Known(
            fleet,
            tuple(known),
            (*aged, *rest.findings, *self.settled.findings, *rule, *findings),
            {**shown, **parallelism.of_cells(self.cells, choices, self.settled.choices)},
        )


def _check_parallelism(fleet: InferenceFleet) -> None:
    """Raises InputError where a unit's parallelism does not divide the model, if anybody knows its architecture."""
    try:
        model = models.architecture(fleet.spec.model.id)
    except InputError:
        return  # measured units of a model that nobody knows are planned all the same
    for unit in fleet.spec.units:
        memory.check(model, unit.tensor_parallel, unit.pipeline_parallel)


def mismatches(fleet: InferenceFleet, unit: str, folder: str, run: RunSpec) -> Iterator[Finding]:
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

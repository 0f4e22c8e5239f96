"""What `holdfast plan` knows of a fleet's units, from files and the catalogue, under the circumstances asked about."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast import catalog
from holdfast.cli import flags
from holdfast.model import measurements
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import CapacityType, InferenceFleet, format_slo
from holdfast.model.hardware import Offering
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.model.tables import Table
from holdfast.planning import ageing, arithmetic, evidence, grid, parallelism, prices, tables, whatif
from holdfast.planning.plan import make_plan

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
        )


@dataclass(frozen=True)
class Circumstances:
    """What is asked about: the fleet as declared, the units left out, whether on spot, and the day it is."""

    declared: InferenceFleet
    without: Sequence[str]
    spot: bool
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
    return catalog.offerings_of(fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": units})}))


def from_file(asked: Circumstances, file: Path) -> Known:
    """From a CSV of measurements. Raises InputError."""
    where = str(file)
    fleet, said, repriced = asked.fleet()
    hardware, offerings = catalog.hardware_of(fleet), catalog.offerings_of(fleet)
    read = measurements.read_measurements(flags.read_text(file), where=where)
    rows = whatif.unpriced([row for row in read if row.unit not in asked.names_left_out], repriced)
    if not rows:
        return Known(fleet, (), said, {})
    known, found = evidence.from_measurements(fleet, rows, offerings, hardware, where)
    checked = arithmetic.check_rows(rows, fleet.spec.slo, where)
    cells = grid.of_measurements(fleet, rows, offerings, catalog.equipment_of(fleet), where)
    choices = grid.choose(cells)
    shown = {
        **tables.of_rows(prices.priced_rows(fleet, rows, offerings, hardware), fleet.spec.slo),
        **parallelism.of_cells(cells, choices),
    }
    aged = ageing.check_prices(fleet, rows, offerings, asked.today)
    return Known(fleet, known, (*said, *aged, *found, *parallelism.findings(fleet, choices, where), *checked), shown)


def from_runs(asked: Circumstances, runs: Sequence[str]) -> Known:
    """From run directories, each given as UNIT=DIR. Raises InputError."""
    # Only here: reading runs loads the client too, which takes a tenth of a second.
    from holdfast.load import runs as load_runs

    fleet, said, _ = asked.fleet()
    curves, found = {}, list[Finding]()
    for given in runs:
        unit, separator, folder = given.partition("=")
        names = [known.name for known in asked.declared.spec.units]
        if not separator or unit not in names:
            raise InputError(
                f"{given!r} names no unit of the fleet", where="--run", mend=f"write UNIT=DIR with {', '.join(names)}"
            )
        run = load_runs.read(Path(folder))
        if unit not in asked.names_left_out:
            curves[unit] = run.curve
            found += _mismatches(fleet, unit, folder, run.record.spec)
    offerings = catalog.offerings_of(fleet)
    known, left_out = evidence.from_breaking_points(fleet, curves, offerings, catalog.hardware_of(fleet))
    aged = ageing.check_prices(fleet, (), {name: offerings[name] for name in curves if name in offerings}, asked.today)
    return Known(fleet, known, (*said, *aged, *found, *left_out), {})


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

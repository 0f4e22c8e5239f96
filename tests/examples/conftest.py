"""The examples as the program reads them, with hardware and prices from the catalogue where files leave them out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from holdfast import catalog
from holdfast.auditing import audit_rows
from holdfast.model.document import read_fleet
from holdfast.model.findings import Finding
from holdfast.model.fleet import InferenceFleet, parse_slo
from holdfast.model.hardware import InstanceType
from holdfast.model.measurements import Measurement, read_measurements
from holdfast.model.plan import Plan, UnitEvidence
from holdfast.model.tables import Table
from holdfast.planning import evidence, grid, parallelism, plan, prices, tables, tp_rule

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Example:
    """A fleet and its published measurements."""

    fleet: InferenceFleet
    rows: tuple[Measurement, ...]
    hardware: dict[str, InstanceType]

    def with_slo(self, text: str) -> "Example":
        spec = self.fleet.spec.model_copy(update={"slo": parse_slo(text)})
        return Example(self.fleet.model_copy(update={"spec": spec}), self.rows, self.hardware)

    @property
    def priced(self) -> tuple[Measurement, ...]:
        return prices.priced_rows(self.fleet, self.rows, {}, self.hardware)

    @property
    def cells(self) -> tuple[grid.GridCell, ...]:
        return grid.of_measurements(self.fleet, self.rows, {}, catalog.equipment_of(self.fleet), "measurements.csv")

    @property
    def grid_tables(self) -> dict[str, Table]:
        return parallelism.of_cells(self.cells, tp_rule.choose(self.cells))

    def evidence(self) -> tuple[UnitEvidence, ...]:
        return evidence.from_measurements(self.fleet, self.rows, {}, self.hardware, "measurements.csv")[0]

    def findings(self) -> tuple[Finding, ...]:
        return audit_rows(self.rows, self.fleet.spec.slo, "measurements.csv", region=self.fleet.spec.region)

    def plan(self) -> Plan:
        known, findings = evidence.from_measurements(self.fleet, self.rows, {}, self.hardware, "measurements.csv")
        extra = {**tables.of_rows(self.priced, self.fleet.spec.slo), **self.grid_tables}
        return plan.make_plan(self.fleet, known, findings=(*findings, *self.findings()), extra_tables=extra)

    def row(self, unit: str, concurrency: int | None = None) -> Measurement:
        (found,) = [row for row in self.rows if row.unit == unit and concurrency in (None, row.concurrency)]
        return found


@pytest.fixture(scope="session")
def example() -> Callable[[str], Example]:
    def read(name: str) -> Example:
        folder = ROOT / "examples" / name
        fleet = read_fleet((folder / "fleet.yaml").read_text(encoding="utf-8"), where=f"{name}/fleet.yaml")
        csv = folder / "measurements.csv"
        rows = read_measurements(csv.read_text(encoding="utf-8"), where=f"{name}/measurements.csv")
        hardware = {unit.name: catalog.instance_type(unit.instance_type) for unit in fleet.spec.units}
        return Example(fleet, rows, hardware)

    return read

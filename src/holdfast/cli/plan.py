"""holdfast plan"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from holdfast import catalog
from holdfast.auditing import audit_rows
from holdfast.cli import flags
from holdfast.model import codec, measurements
from holdfast.model.errors import InputError
from holdfast.model.findings import Finding, Severity
from holdfast.model.fleet import InferenceFleet, format_slo
from holdfast.model.plan import Plan, PlanStatus
from holdfast.planning import evidence, prices, tables
from holdfast.planning.plan import make_plan, plan_json
from holdfast.reports import terminal

if TYPE_CHECKING:
    from holdfast.load.rundir import RunSpec


@click.command()
@click.argument("fleet", type=flags.FILE)
@click.option("--measurements", "file", type=flags.FILE, help="A CSV of published or own measurements.")
@click.option(
    "--run",
    "runs",
    metavar="UNIT=DIR",
    multiple=True,
    help="A run directory of `holdfast limit` for one unit; may be repeated.",
)
@click.option("--out", type=flags.OUT, help="Write the plan here, for `holdfast render`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def plan(fleet: Path, file: Path | None, runs: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Plan the cheapest mix of units for the FLEET document.

    \b
    holdfast plan fleet.yaml --measurements measurements.csv --out plan.json
    holdfast plan fleet.yaml --run g5-triton=holdfast-runs/limit-20261121-120000

    Exit code 1 when no plan holds.
    """
    if (file is None) == (not runs):
        raise InputError("give either --measurements or --run", mend="a plan needs the limits of its units")
    document = flags.read_fleet(fleet)
    made = _from_runs(document, runs) if file is None else _from_file(document, file)
    if out is not None:
        flags.write_text(out, codec.dumps(made))
    if as_json:
        flags.echo_json(plan_json(made))
    else:
        click.echo(terminal.text(terminal.plan(made)))
        for table in made.tables.values():
            click.echo(terminal.text(terminal.table(table)))
    if made.status is not PlanStatus.FEASIBLE:
        raise click.exceptions.Exit(1)


def _from_file(fleet: InferenceFleet, file: Path) -> Plan:
    where, hardware, offerings = str(file), catalog.hardware_of(fleet), catalog.offerings_of(fleet)
    rows = measurements.read_measurements(flags.read_text(file), where=where)
    known, findings = evidence.from_measurements(fleet, rows, offerings, hardware, where)
    priced = prices.priced_rows(fleet, rows, offerings, hardware)
    checked = audit_rows(rows, fleet.spec.slo, where, region=fleet.spec.region)
    return make_plan(fleet, known, findings=(*findings, *checked), extra_tables=tables.of_rows(priced, fleet.spec.slo))


def _from_runs(fleet: InferenceFleet, runs: tuple[str, ...]) -> Plan:
    # Only here: reading runs loads the client too, which takes a tenth of a second.
    from holdfast.load import runs as load_runs

    curves, found = {}, list[Finding]()
    for given in runs:
        unit, separator, folder = given.partition("=")
        if not separator or unit not in {known.name for known in fleet.spec.units}:
            names = ", ".join(known.name for known in fleet.spec.units)
            raise InputError(
                f"{given!r} names no unit of the fleet", where="--run", mend=f"write UNIT=DIR with {names}"
            )
        run = load_runs.read(Path(folder))
        curves[unit] = run.curve
        found += _mismatches(fleet, unit, folder, run.record.spec)
    known, findings = evidence.from_breaking_points(
        fleet, curves, catalog.offerings_of(fleet), catalog.hardware_of(fleet)
    )
    return make_plan(fleet, known, findings=(*found, *findings))


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

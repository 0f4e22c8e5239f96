"""The fleet that `holdfast simulate` runs: its plan, made or read, and the load curves of runs."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import click

from holdfast.cli import flags, known
from holdfast.cli.known import Circumstances
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan, PlanStatus
from holdfast.performance import curve as curves


@dataclass(frozen=True)
class Evidence:
    """What is known beside the fleet: a CSV of measurements, and runs, each as UNIT=DIR."""

    file: Path | None
    runs: tuple[str, ...]

    def plan(self, path: Path) -> Plan:
        """The plan in the file, or of the fleet in it. Raises InputError, also for one that is infeasible."""
        if path.suffix.lower() == ".json":
            if self.file is not None:
                raise InputError("a plan is made already", where="--measurements", mend="give the fleet.yaml instead")
            made = flags.read_plan(path)
        else:
            if self.file is not None and self.runs:
                raise InputError("give either --measurements or --run", mend="one kind of evidence at a time")
            today = datetime.datetime.now(tz=datetime.UTC).date()
            asked = Circumstances(flags.read_declared(path), (), False, False, today)
            made = (
                known.from_runs(asked, self.runs) if self.file is None else known.from_file(asked, self.file)
            ).plan()
        if made.status is not PlanStatus.FEASIBLE:
            reason = made.reasons[0].rstrip(".") if made.reasons else "it says no reason"
            raise InputError(f"the plan is infeasible: {reason}", where=str(path), mend="simulate one that holds")
        return made

    def curves(self, plan: Plan) -> dict[str, Curve]:
        """The load curves that the runs measured, by unit. Says on stderr where one measured something else than the
        fleet serves. Raises InputError."""
        from holdfast.load import runs as load_runs  # only here: it loads the client too

        found: dict[str, Curve] = {}
        for given in self.runs:
            unit, separator, folder = given.partition("=")
            names = [pool.unit for pool in plan.pools]
            if not separator or unit not in {declared.name for declared in plan.fleet.spec.units}:
                mend = f"write UNIT=DIR with {', '.join(names)}"
                raise InputError(f"{given!r} names no unit of the fleet", where="--run", mend=mend)
            if unit in found:
                raise InputError(f"unit {unit!r} is given twice", where="--run", mend="give one run of each unit")
            run = load_runs.read(Path(folder))
            measured = curves.of_held(run.curve)
            if measured is None:
                raise InputError("no level of the run says anything", where=folder, mend="give another run")
            for mismatch in known.mismatches(plan.fleet, unit, folder, run.record.spec):
                click.echo(mismatch.message, err=True)
            if unit in names:
                found[unit] = measured
        return found

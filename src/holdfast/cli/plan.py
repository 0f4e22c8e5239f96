"""holdfast plan"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags
from holdfast.cli.sections import Command, bundle
from holdfast.cli.whatif import OPTIONS, question


@click.command(cls=Command)
@click.argument("fleet", type=flags.THERE)
@click.option("--measurements", "file", type=flags.FILE, help="A CSV of published or own measurements.")
@click.option(
    "--run",
    "runs",
    metavar="UNIT=DIR",
    multiple=True,
    help="A run directory of `holdfast limit` for one unit. Repeatable: units, or a unit at each of workload.sizes.",
)
@click.option("--measured-only", is_flag=True, help="Leave units without measurements out, instead of estimating them.")
@click.option("--out", type=flags.OUT, help="Write the plan here, for `holdfast render`; NAME.html is a page.")
@click.option("--html", type=flags.OUT, help="Write a page here, beside --out.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
@bundle("asked", OPTIONS, question)
def plan(fleet: Path, file: Path | None, **given: Any) -> None:
    """Plan the cheapest mix of units for the FLEET document.

    \b
    holdfast plan fleet.yaml
    holdfast plan fleet.yaml --measurements measurements.csv --out plan.json
    holdfast plan fleet.yaml --run g5-triton=holdfast-runs/limit-20261121-120000
    holdfast plan fleet.yaml --measurements m.csv --rate 1/s..99/s --html x.html

    Units without measurements are planned on estimates, marked so. Exit code 1
    when no plan holds.
    """
    declared = flags.read_declared(fleet)
    if file is not None:
        flags.THERE.check(file)
    from holdfast.cli.work import plan as work

    work.plan(declared=declared, file=file, **given)

"""holdfast report"""

from __future__ import annotations

import json
from pathlib import Path

import click

from holdfast.cli import flags
from holdfast.load import rundir
from holdfast.model import codec, fleet
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan
from holdfast.reports import page
from holdfast.reports.contents import plan_page, run_page


@click.command()
@click.argument("path", type=flags.FILE)
@click.option("--out", type=flags.OUT, default=Path("report.html"), show_default=True)
def report(path: Path, out: Path) -> None:
    """Write one self-contained page of PATH: a run directory, or a plan.json.

    \b
    holdfast report holdfast-runs/limit-20261121-120000 --out limit.html
    """
    content = _run(path) if path.is_dir() else _plan(path)
    flags.write_text(out, page.render(content))
    click.echo(str(out))


def _run(path: Path) -> page.Page:
    curve = rundir.read_curve(path)
    try:
        run = json.loads(flags.read_text(path / "run.json"))
        slo, spec = run["spec"]["slo"], run["spec"]
        source = f"holdfast {run['holdfast']}, started {run['started']}, {spec['url']}, {spec['api']}, {spec['model']}"
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"run.json cannot be read ({error})", where=str(path), mend="measure again") from error
    return run_page(curve, fleet.parse_slo(slo) if slo else None, (f"Measured by {source}.",))


def _plan(path: Path) -> page.Page:
    made = codec.loads(Plan, flags.read_text(path), where=str(path))
    return plan_page(made, (f"Planned from {path.name}; every figure's source stands beside it.",))

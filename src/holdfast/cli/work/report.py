"""What `holdfast report` does. Its flags are in `cli.report`."""

from __future__ import annotations

from pathlib import Path

import click

from holdfast.cli import flags
from holdfast.cli.work import simulate
from holdfast.load import runs, timelines
from holdfast.load.serverlog import read_server
from holdfast.model import fleet
from holdfast.reports import page
from holdfast.reports.contents import plan_page, run_page, timeline_page


def report(path: Path, out: Path) -> None:
    """See `holdfast report --help`. Raises InputError."""
    content = _content(path)
    flags.write_text(out, page.render(content))
    click.echo(str(out))


def _content(path: Path) -> page.Page:
    if path.suffix == ".parquet":
        return timeline_page(timelines.read(path), provenance=(f"Read from {path.name}.",))
    if (path / simulate.SIMULATION).is_file():
        return simulate.read(path)
    return _run(path) if path.is_dir() else _plan(path)


def _run(path: Path) -> page.Page:
    run = runs.read(path)
    spec = run.record.spec
    bounds = fleet.parse_slo(spec.slo) if spec.slo else None
    measured = f"Measured at {spec.url}: {spec.api}, {spec.model}, {spec.arrivals} arrivals."
    return run_page(run.curve, bounds, (measured,), read_server(path), run.cut_off)


def _plan(path: Path) -> page.Page:
    made = flags.read_plan(path)
    return plan_page(made, (f"Planned from {path.name}; every figure's source stands beside it.",))

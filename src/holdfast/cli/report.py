"""holdfast report"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags


@click.command()
@click.argument("path", type=flags.THERE)
@click.option("--out", type=flags.OUT, default=Path("report.html"), show_default=True)
def report(**given: Any) -> None:
    """Write one self-contained page of PATH: a run directory, a plan.json, the folder of a simulation or a
    timeline.parquet.

    \b
    holdfast report holdfast-runs/limit-20261121-120000 --out limit.html
    """
    from holdfast.cli.work import report as work

    work.report(**given)

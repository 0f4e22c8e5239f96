"""holdfast export"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import flags


@click.command()
@click.argument("path", type=flags.FILE)
@click.option("--format", "kind", type=click.Choice(["json", "csv", "vllm"]), default="json", show_default=True)
@click.option("--requests", is_flag=True, help="csv: a row per request; vllm: the lists of its --save-detailed.")
@click.option("--unit", help="csv: the unit's name in the fleet that it is for.  [default: the run's own]")
@click.option("--out", type=flags.OUT, help="Write to this file.  [default: standard output]")
def export(**given: Any) -> None:
    """Write the results of the run directory PATH for other tools.

    \b
    holdfast export holdfast-runs/limit-20261121-120000 > run.json
    holdfast export holdfast-runs/sweep-20261121-130000 --format csv --out m.csv

    \b
    json  the whole result: spec, stages, breaking point
    csv   a row per load level, as `holdfast plan --measurements` reads it
    vllm  a line of JSON per load level, with the names of `vllm bench serve`

    A run that was cut off is exported as far as it is there, and says so on standard error.
    """
    from holdfast.cli.work import export as work

    work.export(**given)

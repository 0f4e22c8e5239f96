"""holdfast audit"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import completing, flags


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=flags.THERE)
@click.option("--slo", type=flags.SLO, help="Hold rows and stages against it, e.g. 'p95<2s, errors<1%'.")
@click.option(
    "--region",
    shell_complete=completing.regions,
    help="Where the prices are from; any region of the catalogue by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def audit(**given: Any) -> None:
    """Are the numbers of FILE possible? A measurement CSV, a run directory or a plan.json; several at once.

    \b
    holdfast audit measurements.csv
    holdfast audit holdfast-runs/limit-20261121-120000 plan.json --json

    Little's law, what the hardware can do at all, token counts, percentiles, derived columns, prices, captions. Each
    finding says what was expected and the likeliest explanation. Exit code 1 when something is impossible.
    """
    from holdfast.cli.work import audit as work

    work.audit(**given)

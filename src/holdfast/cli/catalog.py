"""holdfast catalog"""

from __future__ import annotations

import click

from holdfast.cli import completing, flags


@click.command()
@click.option("--accelerator", shell_complete=completing.accelerators, help="Only this accelerator, e.g. l4.")
@click.option("--region", shell_complete=completing.regions, help="Prices of this region only, e.g. us-west-2.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
def catalog(accelerator: str | None, region: str | None, as_json: bool) -> None:
    """List accelerators, instance types and prices, each figure with its source and date.

    \b
    holdfast catalog --accelerator l4 --region us-west-2
    """
    from holdfast import catalog as catalogue
    from holdfast.reports import terminal

    tables = catalogue.tables(accelerator=accelerator, region=region)
    if as_json:
        flags.echo_json({"tables": tables})
        return
    for table in tables:
        click.echo(terminal.text(terminal.table(table)))

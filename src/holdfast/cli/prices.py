"""holdfast prices"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import completing, flags
from holdfast.model.errors import InputError

_INSTANCES = click.option(
    "--instance",
    "instances",
    metavar="TYPE",
    multiple=True,
    shell_complete=completing.instance_types,
    help="Only this instance type; may be repeated.",
)
_ACCELERATOR = click.option(
    "--accelerator", shell_complete=completing.accelerators, help="Only instance types with this accelerator, e.g. l4."
)
_OWN = "Your own prices. By default $HOLDFAST_PRICES, or a user's place."
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")


@click.group(invoke_without_command=True)
@click.option("--region", shell_complete=completing.regions, help="Only prices of this region, e.g. us-west-2.")
@_INSTANCES
@_ACCELERATOR
@click.option("--file", type=flags.THERE, help=_OWN)
@_JSON
@click.pass_context
def prices(context: click.Context, /, **given: Any) -> None:
    """Show prices with their age and source.

    \b
    holdfast prices --region us-west-2 --accelerator l4
    holdfast prices refresh --region us-west-2 --instance g6.xlarge

    Of two prices of one offering yours stands (`refresh`, or a file of your own), unless the package's was read
    later; an estimate never takes the place of a price that was read.
    """
    if context.invoked_subcommand is None:
        from holdfast.cli.work import prices as work

        work.show(**given)
    elif any(given.values()):
        raise InputError("flags of refresh stand behind it", mend="write `holdfast prices refresh --region ...`")


@prices.command()
@click.option("--region", required=True, shell_complete=completing.regions, help="The region, e.g. us-west-2.")
@_INSTANCES
@_ACCELERATOR
@click.option("--file", type=flags.OUT, help=_OWN)
@_JSON
def refresh(**given: Any) -> None:
    """Take current prices from AWS into your own catalogue.

    On-demand prices come from the Price List API, spot prices from the history of EC2 (the newest of each zone, the
    median over the zones). It takes boto3 and an identity with pricing:GetProducts and ec2:DescribeSpotPriceHistory.
    Whatever happens, what was fetched by then is kept.

    \b
    holdfast prices refresh --region us-west-2 --instance g6.xlarge
    holdfast prices refresh --region eu-west-1 --accelerator l4 --file prices.csv
    """
    from holdfast.cli.work import prices as work

    work.refresh(**given)

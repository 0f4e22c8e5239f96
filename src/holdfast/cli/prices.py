"""holdfast prices"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import flags
from holdfast.model.errors import InputError

_INSTANCES = click.option(
    "--instance", "instances", metavar="TYPE", multiple=True, help="Only this instance type; may be repeated."
)
_ACCELERATOR = click.option("--accelerator", help="Only instance types with this accelerator, e.g. l4.")
_FILE = click.option("--file", type=flags.FILE, help="Your own prices. By default $HOLDFAST_PRICES, or a user's place.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of a table.")


@click.group(invoke_without_command=True)
@click.option("--region", help="Only prices of this region, e.g. us-west-2.")
@_INSTANCES
@_ACCELERATOR
@_FILE
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
@click.option("--region", required=True, help="The region, e.g. us-west-2.")
@_INSTANCES
@_ACCELERATOR
@_FILE
@_JSON
def refresh(**given: Any) -> None:
    """Take current prices from AWS into your own catalogue.

    On-demand prices come from the Price List API, spot prices from the history of EC2 (the newest of each zone, the
    median over the zones). It takes boto3 and an identity with pricing:GetProducts and ec2:DescribeSpotPriceHistory.
    Whatever happens, what was fetched by then is kept.
    """
    from holdfast.cli.work import prices as work

    work.refresh(**given)

"""holdfast failover"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import clusters, flags


@click.command()
@click.argument("fleet", type=clusters.NAME)
@click.option(
    "--to",
    "asked",
    type=click.Choice(["auto", "capacity", "cost"]),
    required=True,
    help="capacity: by what is ready. cost: to the cheapest at once. auto: as the fleet's policy decides.",
)
@click.option("-n", "--namespace", type=clusters.NAME, help="Of the fleet.  [default: the context's]")
@clusters.options
@click.option(
    "--wait", "wait_s", type=flags.DURATION, default="30s", show_default=True, help="For the operator, at most."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def failover(**given: Any) -> None:
    """Steer the traffic of FLEET by hand, or give it back to its policy.

    \b
    holdfast failover sd21 -n inference --to capacity
    holdfast failover sd21 -n inference --to auto

    It writes an annotation on the fleet and waits until the operator has taken it up. Exit code 1 when it has not.
    """
    from holdfast.cli.work import failover as work

    work.failover(**given)

"""holdfast status"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import clusters


@click.command()
@click.argument("fleet", required=False, type=clusters.NAME)
@click.option("-n", "--namespace", type=clusters.NAME, help="Of the fleets.  [default: the context's]")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="Fleets of all namespaces.")
@clusters.options
@click.option("--watch", is_flag=True, help="Show it again at every change, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def status(**given: Any) -> None:
    """Show how the fleets of a cluster stand, or FLEET with its pools, conditions, and what to do.

    \b
    holdfast status
    holdfast status sd21 -n inference

    Exit code 1 when one of them is not Ready.
    """
    from holdfast.cli.work import status as work

    work.status(**given)

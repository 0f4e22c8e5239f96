"""holdfast demo"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags


@click.command()
@click.option("--out", type=flags.OUT, default=Path("holdfast-demo"), show_default=True, help="Folder for the results.")
@click.option(
    "--servers",
    type=flags.Existing("it cannot be read", "mend the path"),
    help="Run the servers of this YAML file instead of emulated units.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def demo(**given: Any) -> None:
    """The whole job on this machine, on emulated accelerators, in about two minutes.

    \b
    holdfast demo
    holdfast demo --servers servers.yaml --out servers-demo

    Measures seven emulated units, plans two fleets, renders their manifests, drives one fleet through a wave of
    load while its cheapest pool is withdrawn and returned, and writes report.html. With --servers it does so with
    servers that you have, one command for each unit of a fleet: docs/vllm.md.
    """
    from holdfast.cli.work import demo as work

    work.demo(**given)

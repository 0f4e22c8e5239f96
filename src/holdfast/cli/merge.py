"""holdfast merge"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from holdfast.cli import flags


@click.command()
@click.argument("shards", metavar="RUN...", type=flags.FILE, nargs=-1, required=True)
@click.option("--out", type=flags.OUT, required=True, help="Run directory of the whole.")
@click.option("--partial", is_flag=True, help="Also when runs of some shards are missing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def merge(shards: tuple[Path, ...], **given: Any) -> None:
    """Join the RUN directories of shards to the one run that they were parts of.

    \b
    holdfast merge runs/shard-0 runs/shard-1 runs/shard-2 --out runs/whole

    Every figure is measured anew from the requests of all; the client's health is the worst shard's.
    """
    for run in shards:
        flags.RUN.check(run)
    from holdfast.cli.work import merge as work

    work.merge(shards, **given)

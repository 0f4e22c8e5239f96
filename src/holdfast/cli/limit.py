"""holdfast limit"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import flags
from holdfast.cli.measuring import endpoint_options
from holdfast.cli.sections import Command
from holdfast.cli.workers import WORKERS


@click.command(cls=Command)
@endpoint_options("limit")
@WORKERS
@click.option("--slo", type=flags.SLO, required=True, help='e.g. "p95<1.5s", "ttft p95<2s, itl p95<50ms, errors<1%"')
@click.option(
    "--arrivals",
    type=click.Choice(["poisson", "constant", "closed"]),
    default="poisson",
    show_default=True,
    help="Random, evenly spaced; closed: the highest number in flight instead of a rate.",
)
@click.option("--precision", type=flags.SHARE, default="5%", show_default=True, help="Width of the interval found.")
@click.option(
    "--requests",
    type=click.IntRange(20, 1_000_000),
    help="Requests of a level, if it may last that long.  [default: 1000; constant and closed: 200]",
)
@click.option("--longest", type=flags.DURATION, default="1min", show_default=True, help="Longest level.")
@click.option("--budget", type=flags.DURATION, default="30min", show_default=True, help="Of load, in all.")
@click.option("--budget-requests", type=click.IntRange(min=100), help="Requests in all.")
@click.option("--settle", type=flags.DURATION, default="1min", show_default=True, help="For a cold server to warm up.")
@click.option(
    "--drain",
    type=flags.DURATION,
    default="30s",
    show_default=True,
    help="For a broken server to come to rest.",
)
@click.option("--resume", is_flag=True, help="Go on with the search in --out: its whole levels are kept.")
def limit(**given: Any) -> None:
    """Find the highest rate at which the endpoint at URL holds its SLO.

    \b
    holdfast limit http://127.0.0.1:8000 --model gpt2 --slo "p95<1.5s"
    holdfast limit https://llm.example.com --api chat --model m --token-from KEY \\
        --slo "ttft p95<2s, itl p95<50ms" --workers 4

    Exit code 1 when not even the lowest rate holds.
    """
    from holdfast.cli.work import limit as work

    work.limit(**given)

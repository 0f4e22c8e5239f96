"""holdfast sweep"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import flags
from holdfast.cli.measuring import endpoint_options
from holdfast.cli.sections import Command, bundle, option
from holdfast.cli.workers import WORKERS
from holdfast.load.counts import Count
from holdfast.model import quantities
from holdfast.model.errors import InputError

_LEVELS = "Levels"


def _concurrencies(text: str) -> tuple[int, ...]:
    """`10,20,40`."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= 100_000 for part in parts):
        raise ValueError(f"{text!r} is no list of requests in flight; write it like '10,20,40'")
    return tuple(map(int, parts))


def _rates(text: str) -> tuple[float, ...]:
    """`2/s,4/s`."""
    rates = tuple(quantities.rate_per_s(part.strip()) for part in text.split(","))
    if not all(rates):
        raise ValueError("a level without requests measures nothing; give rates above 0")
    return rates


_LOADS = (
    option(_LEVELS, "--concurrency", type=flags.Quantity("list", _concurrencies), help="Closed loops, e.g. 10,20,40."),
    option(_LEVELS, "--rate", "rates", type=flags.Quantity("list", _rates), help="Open loops, e.g. 2/s,4/s,8/s."),
)


def _one_of(**loads: Any) -> dict[str, Any]:
    """The loads of the levels, of which one is given. Raises InputError."""
    if sum(load is not None for load in loads.values()) != 1:
        raise InputError("give either --concurrency or --rate, each a list of levels")
    return loads


@click.command(cls=Command)
@bundle("loads", _LOADS, _one_of)
@option(
    _LEVELS,
    "--requests-per-level",
    "requests",
    type=flags.Quantity("count", Count.parse),
    default="10x",
    show_default=True,
    help="Of a closed loop: 10x is ten for each in flight, 500 a number.",
)
@option(
    _LEVELS,
    "--level-duration",
    type=flags.DURATION,
    help="Of an open loop; of a closed one, the longest.  [default: 60s; 30min]",
)
@option(_LEVELS, "--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson", show_default=True)
@option(
    _LEVELS,
    "--warmup",
    type=flags.Quantity("count", Count.parse),
    default="0",
    show_default=True,
    help="Requests before each level that count for nothing, e.g. 1x or 20.",
)
@option(
    _LEVELS,
    "--cooldown",
    type=flags.DURATION,
    default="30s",
    show_default=True,
    help="Longest wait for an idle server.",
)
@endpoint_options("sweep")
@WORKERS
@option("Run", "--resume", is_flag=True, help="Continue the sweep in --out: its whole levels are kept.")
def sweep(loads: dict[str, Any], **given: Any) -> None:
    """Hold one load level after another at the endpoint at URL, and print the table.

    \b
    holdfast sweep http://127.0.0.1:8000 --model m --concurrency 10,20,40,80
    holdfast sweep http://127.0.0.1:8000 --model m --rate 2/s,4/s,8/s \\
        --level-duration 60s

    After a level it waits until one request alone is as quick as at first, for --cooldown at most.
    """
    from holdfast.cli.work import sweep as work

    work.sweep(**loads, **given)

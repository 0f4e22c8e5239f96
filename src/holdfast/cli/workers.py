"""The flags that share a load out: over processes of this machine, and over machines."""

from __future__ import annotations

import click

from holdfast.cli import flags
from holdfast.cli.measuring import Endpoint
from holdfast.load.bench import Bench
from holdfast.load.crew import Crew
from holdfast.load.shards import WHOLE, Shard

SHARD = flags.Quantity("shard", Shard.parse)

workers_option = click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes that send it together; more than one where a core is not enough.",
)


def bench_of(endpoint: Endpoint, workers: int, *, shard: Shard = WHOLE, part: int = 0) -> Bench | Crew:
    """What holds the levels: one process, or a crew of several."""
    if workers == 1:
        return Bench(endpoint.subject, None, endpoint.seed, shard=shard, part=part)
    return Crew(endpoint.subject, endpoint.seed, workers, shard=shard, part=part)

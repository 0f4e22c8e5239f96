"""holdfast load"""

from __future__ import annotations

from typing import Any

import click

from holdfast.cli import arrivals, flags, watching, workers
from holdfast.cli.measuring import endpoint_options
from holdfast.cli.sections import Command, bundle, option
from holdfast.cli.watching import MetricsPage


@click.command(cls=Command)
@bundle("offered", arrivals.OPTIONS, arrivals.offered)
@endpoint_options("load", many=True)
@bundle("division", workers.OPTIONS, workers.division)
@bundle("page", watching.OPTIONS, MetricsPage)
@option("Run", "--slo", type=flags.SLO, help='Say how much of the load met it (goodput), e.g. "ttft p95<1s, p95<5s".')
def load(**given: Any) -> None:
    """Send load to the endpoint at URL for a while and measure it; or to several, the same to each.

    \b
    holdfast load http://127.0.0.1:8000 --model gpt2 --rate 12/s
    holdfast load http://127.0.0.1:8000 --model gpt2 --steps 2/s:60s,4/s:60s
    holdfast load http://127.0.0.1:8000 --model gpt2 --trace azure.csv
    holdfast load http://127.0.0.1:8000 --model gpt2 --concurrency 16 --workers 2
    holdfast load http://llm:8000 --model m --rate 900/s --shard 0/4 --seed 7 \\
        --start-at 2026-11-21T10:00:00Z --out s0
    holdfast load A=http://a:8000 B=http://b:8000 --model gpt2 --rate 2/s \\
        --wave-to 20/s --period 20min --duration forever --metrics-port 9109

    Without an end it keeps no rows: what it did is at the metrics port, and summed up when it is stopped.
    """
    from holdfast.cli.work import load as work

    work.load(**given)

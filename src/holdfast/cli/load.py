"""holdfast load"""

from __future__ import annotations

import math

import click

from holdfast.cli import flags, running, sending, watching
from holdfast.cli.measuring import Endpoint, endpoint_options
from holdfast.cli.sending import Order
from holdfast.cli.watching import MetricsPage
from holdfast.load import pacers
from holdfast.load.continuous import Behind
from holdfast.model.errors import InputError
from holdfast.model.stages import Arrivals, Level, LoadCurve, Stage
from holdfast.model.tables import Table
from holdfast.reports import tabulate, terminal

MOST_REQUESTS = 5_000_000
"""Of one run: their records are kept in memory, about 120 bytes each."""


@click.command()
@endpoint_options("load", many=True)
@click.option("--rate", type=flags.RATE, help="Open loop at this rate, e.g. 12/s.")
@click.option("--ramp-to", type=flags.RATE, help="With --rate: a straight line to this rate.")
@click.option("--wave-to", type=flags.RATE, help="With --rate: a cosine wave up to this rate and back.")
@click.option("--period", type=flags.DURATION, help="Of the wave.  [default: the duration]")
@click.option("--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson", show_default=True)
@click.option("--concurrency", type=click.IntRange(min=1), help="Closed loop with this many in flight.")
@click.option(
    "--duration", type=flags.DURATION_OR_FOREVER, default="30s", show_default=True, help="`forever` until Ctrl-C."
)
@click.option("--phase", type=flags.DURATION, help="The wave of each further target comes this much later.")
@watching.metrics_options
def load(
    endpoint: tuple[Endpoint, ...],
    rate: float | None,
    ramp_to: float | None,
    wave_to: float | None,
    period: float | None,
    arrivals: str,
    concurrency: int | None,
    duration: float,
    phase: float | None,
    metrics_port: int | None,
    metrics_host: str,
) -> None:
    """Send load to the endpoint at URL for a while and measure it; or to several, the same to each.

    \b
    holdfast load http://127.0.0.1:8000 --model gpt2 --rate 12/s
    holdfast load http://127.0.0.1:8000 --model gpt2 --rate 2/s --wave-to 20/s --duration 5min
    holdfast load http://127.0.0.1:8000 --model gpt2 --concurrency 16
    holdfast load A=http://a:8000 B=http://b:8000 --model gpt2 --rate 2/s --wave-to 20/s --period 20min \\
        --duration forever --metrics-port 9109

    Without an end it keeps no rows: what it did is at the metrics port, and summed up when it is stopped.
    """
    if (rate is None) == (concurrency is None):
        raise InputError("give either --rate or --concurrency")
    if rate is None and (ramp_to is not None or wave_to is not None):
        raise InputError("--ramp-to and --wave-to start from a rate", mend="give --rate")
    if ramp_to is not None and wave_to is not None:
        raise InputError("--ramp-to and --wave-to exclude each other", mend="give one of them")
    if phase is not None and wave_to is None:
        raise InputError("--phase shifts a wave", mend="give --wave-to")
    endless = math.isinf(duration)
    if endless:
        _check_endless(endpoint[0], rate, ramp_to, wave_to, period)
    page = MetricsPage(metrics_host, metrics_port)
    # A wave that has no end is described by one of its periods.
    span_s = (period or 60.0) if endless else duration
    kind = Arrivals.CLOSED if concurrency is not None else Arrivals(arrivals)
    orders = []
    try:
        shape = _shape(rate, ramp_to, wave_to, period or span_s, span_s)
        for number, one in enumerate(endpoint):
            own = Behind(shape, number * phase) if shape is not None and phase is not None else shape
            mean = None if own is None else pacers.mean_rate_per_s(own, span_s)
            orders.append(Order(one, Level(kind, rate_per_s=mean, concurrency=concurrency, duration_s=span_s), own))
    except ValueError as error:
        raise InputError(str(error)) from error
    if endless:
        _tell_sent(endpoint, running.run(sending.keep_up(orders, page, kind)))
        return
    if rate is not None and sum(span_s * (order.level.rate_per_s or 0) for order in orders) > MOST_REQUESTS:
        raise InputError(f"that is more than {MOST_REQUESTS:,} requests", where="--duration", mend="shorten it")
    stages = running.run(sending.hold(orders, page))
    _tell(endpoint, stages)
    if any(stage.error_rate == 1 for stage in stages):
        raise click.exceptions.Exit(1)


def _check_endless(
    endpoint: Endpoint, rate: float | None, ramp_to: float | None, wave_to: float | None, period: float | None
) -> None:
    where = "--duration forever"
    if rate is None or ramp_to is not None:
        raise InputError("a load without end has a rate or a wave", where=where, mend="give --rate, and no --ramp-to")
    if wave_to is not None and period is None:
        raise InputError("a wave without end needs its period", where=where, mend="give --period")
    if endpoint.exporters:
        raise InputError("nothing is recorded of a load without end", where=where, mend="leave out --scrape")


def _tell(endpoints: tuple[Endpoint, ...], stages: list[Stage]) -> None:
    told = [{"stage": stage, "run_dir": str(one.out)} for one, stage in zip(endpoints, stages, strict=True)]
    if endpoints[0].as_json:
        named = {one.subject.unit: each for one, each in zip(endpoints, told, strict=True)}
        flags.echo_json(told[0] if len(told) == 1 else {"targets": named})
        return
    for one, stage in zip(endpoints, stages, strict=True):
        click.echo(terminal.text(terminal.table(tabulate.stages(LoadCurve(one.subject.unit, (stage,))))))
        click.echo(f"run directory: {one.out}")


def _tell_sent(endpoints: tuple[Endpoint, ...], table: Table) -> None:
    if endpoints[0].as_json:
        flags.echo_json(table)
    else:
        click.echo(terminal.text(terminal.table(table)))


def _shape(
    rate: float | None, ramp_to: float | None, wave_to: float | None, period_s: float, duration_s: float
) -> pacers.Shape | None:
    if rate is None:
        return None
    if ramp_to is not None:
        return pacers.Ramp(rate, ramp_to, duration_s)
    return pacers.Cosine(rate, wave_to, period_s) if wave_to is not None else pacers.Constant(rate)

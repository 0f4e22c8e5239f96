"""holdfast load"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import replace

import click

from holdfast.cli import flags, progress, running, workers
from holdfast.cli.measuring import Endpoint, endpoint_options
from holdfast.load import finding, pacers
from holdfast.load.rundir import RunDir
from holdfast.load.shards import Shard
from holdfast.model.errors import InputError
from holdfast.model.stages import Arrivals, Level, LoadCurve, Stage
from holdfast.reports import tabulate, terminal

MOST_REQUESTS = 5_000_000
"""Of one run: their records are kept in memory, about 120 bytes each."""


@click.command()
@endpoint_options("load")
@click.option("--rate", type=flags.RATE, help="Open loop at this rate, e.g. 12/s.")
@click.option("--ramp-to", type=flags.RATE, help="With --rate: a straight line to this rate.")
@click.option("--wave-to", type=flags.RATE, help="With --rate: a cosine wave up to this rate and back.")
@click.option("--period", type=flags.DURATION, help="Of the wave.  [default: the duration]")
@click.option("--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson", show_default=True)
@click.option("--concurrency", type=click.IntRange(min=1), help="Closed loop with this many in flight.")
@click.option("--duration", type=flags.DURATION, default="30s", show_default=True)
@workers.workers_option
@workers.shard_options
def load(
    endpoint: Endpoint,
    rate: float | None,
    ramp_to: float | None,
    wave_to: float | None,
    period: float | None,
    arrivals: str,
    concurrency: int | None,
    duration: float,
    processes: int,
    shard: Shard,
    start_at: workers.Moment | None,
) -> None:
    """Send load to the endpoint at URL for a while and measure it.

    \b
    holdfast load http://127.0.0.1:8000 --model gpt2 --rate 12/s
    holdfast load http://127.0.0.1:8000 --model gpt2 --rate 2/s --wave-to 20/s --duration 5min
    holdfast load http://127.0.0.1:8000 --model gpt2 --concurrency 16 --workers 2
    holdfast load http://llm:8000 --model m --rate 900/s --shard 0/4 --seed 7 --start-at 2026-11-21T10:00:00Z --out s0
    """
    run_unix_s = time.time()
    workers.check_shard(shard)
    if (rate is None) == (concurrency is None):
        raise InputError("give either --rate or --concurrency")
    if rate is None and (ramp_to is not None or wave_to is not None):
        raise InputError("--ramp-to and --wave-to start from a rate", mend="give --rate")
    if ramp_to is not None and wave_to is not None:
        raise InputError("--ramp-to and --wave-to exclude each other", mend="give one of them")
    try:
        shape = _shape(rate, ramp_to, wave_to, period or duration, duration)
        kind = Arrivals.CLOSED if shape is None else Arrivals(arrivals)
        mean = None if shape is None else pacers.mean_rate_per_s(shape, duration)
        level = Level(kind, rate_per_s=mean, concurrency=concurrency, duration_s=duration)
    except ValueError as error:
        raise InputError(str(error)) from error
    if rate is not None and level.duration_s * (level.rate_per_s or 0) > MOST_REQUESTS:
        raise InputError(f"that is more than {MOST_REQUESTS:,} requests", where="--duration", mend="shorten it")
    lasts_s = duration / endpoint.subject.time_scale
    begin = functools.partial(workers.start_of, start_at, run_unix_s, lasts_s)
    stage, run = running.run(_hold(endpoint, level, shape, shard, processes, begin))
    if endpoint.as_json:
        flags.echo_json({"stage": stage, "run_dir": str(endpoint.out)})
    else:
        click.echo(terminal.text(terminal.table(tabulate.stages(LoadCurve(endpoint.subject.unit, (stage,))))))
        click.echo(f"run directory: {endpoint.out}")
    run.check()
    if stage.error_rate == 1:
        raise click.exceptions.Exit(1)


def _shape(
    rate: float | None, ramp_to: float | None, wave_to: float | None, period_s: float, duration_s: float
) -> pacers.Shape | None:
    if rate is None:
        return None
    if ramp_to is not None:
        return pacers.Ramp(rate, ramp_to, duration_s)
    return pacers.Cosine(rate, wave_to, period_s) if wave_to is not None else pacers.Constant(rate)


async def _hold(
    endpoint: Endpoint,
    level: Level,
    shape: pacers.Shape | None,
    shard: Shard,
    processes: int,
    begin: Callable[[], workers.Start],
) -> tuple[Stage, RunDir]:
    with endpoint.run_dir("load", None, level.arrivals.value, shard=shard) as run:
        bench = workers.bench_of(endpoint, processes, run, shard=shard)
        try:
            await bench.preflight()
            start = begin()
            stage = (await bench.hold(level, 0, shape, start.start_s)).stage
        finally:
            await bench.close()
        if start.late_s > 0:
            progress.say(f"holdfast: {start.note}.", err=True)
            stage = replace(stage, notes=(*stage.notes, start.note))
        run.write_curve(finding.curve_of(endpoint.subject.unit, [stage], None))
    return stage, run

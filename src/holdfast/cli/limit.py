"""holdfast limit"""

from __future__ import annotations

import click

from holdfast.cli import flags, live, running
from holdfast.cli import progress as lines
from holdfast.cli.live import Say, Watched
from holdfast.cli.measuring import Endpoint, endpoint_options
from holdfast.cli.sections import Command
from holdfast.limits.search import Options, Search
from holdfast.load import finding
from holdfast.load.bench import Bench
from holdfast.load.finding import Progress
from holdfast.load.rundir import RunDir
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo
from holdfast.model.stages import Arrivals, Cause, LoadCurve

_CORRELATED = (
    "Note: near its limit a server remembers, so random arrivals carry less evidence than their number; the interval "
    "tends to be too narrow. More requests a level (--requests, --longest) make it true."
)


@click.command(cls=Command)
@endpoint_options("limit")
@click.option("--slo", type=flags.SLO, required=True, help='e.g. "p95<1.5s", "ttft p95<2s, itl p95<50ms, errors<1%"')
@click.option("--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson", show_default=True)
@click.option("--precision", type=flags.SHARE, default="5%", show_default=True, help="Width of the interval found.")
@click.option(
    "--requests",
    type=click.IntRange(20, 1_000_000),
    help="Requests of a level, if it may last that long.  [default: 1000; constant: 200]",
)
@click.option("--longest", type=flags.DURATION, default="2min", show_default=True, help="Longest level.")
@click.option("--budget", type=flags.DURATION, default="30min", show_default=True, help="Stop searching after this.")
def limit(
    endpoint: Endpoint, slo: Slo, arrivals: str, precision: float, requests: int | None, longest: float, budget: float
) -> None:
    """Find the highest rate at which the endpoint at URL holds its SLO.

    \b
    holdfast limit http://127.0.0.1:8000 --model gpt2 --slo "p95<1.5s"
    holdfast limit https://llm.example.com --api chat --model m --token-from KEY \\
        --slo "ttft p95<2s, itl p95<50ms"

    Exit code 1 when not even the lowest rate holds.
    """
    try:
        enough = requests or (200 if arrivals == "constant" else 1000)
        options = Options(
            arrivals=Arrivals(arrivals), precision=precision, requests=enough, least_s=min(5.0, longest), most_s=longest
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    if not endpoint.as_json:
        click.echo(lines.HEADER)
    curve, run = running.run(_find(endpoint, slo, options, budget))
    point = curve.breaking_point
    assert point is not None
    if endpoint.as_json:
        flags.echo_json({"breaking_point": point, "stages": curve.stages, "run_dir": str(endpoint.out)})
    else:
        click.echo()
        lines.say(describe(curve))
        for note in max(curve.stages, key=lambda stage: stage.requests).notes:
            lines.say(f"Note: {note}.")
        if options.arrivals is Arrivals.POISSON:
            lines.say(_CORRELATED)
        click.echo(f"run directory: {endpoint.out}")
    run.check()
    if point.rate_per_s == 0:
        raise click.exceptions.Exit(1)


async def _find(endpoint: Endpoint, slo: Slo, options: Options, budget_s: float) -> tuple[LoadCurve, RunDir]:
    with endpoint.run_dir("limit", slo, options.arrivals.value) as run:
        bench = Bench(endpoint.subject, slo, endpoint.seed, run, sources=endpoint.sources)
        watched = [Watched("", bench.glance)]
        try:
            async with live.shown(watched, budget_s, quiet=endpoint.quiet or endpoint.as_json, lines=False) as say:
                curve = await finding.find_limit(
                    bench,
                    slo,
                    Search(options),
                    tell=lambda progress: _show(progress, endpoint, say),
                    run=run,
                    budget_s=budget_s,
                )
        finally:
            await bench.close()
    return curve, run


def _show(progress: Progress, endpoint: Endpoint, say: Say) -> None:
    if progress.stage is not None and not endpoint.as_json:
        say(lines.line(progress))


def describe(curve: LoadCurve) -> str:
    """The breaking point in two sentences."""
    point = curve.breaking_point
    assert point is not None
    if point.rate_per_s == 0 and point.cause is Cause.NONE:
        return f"No breaking point was found: {point.why}."
    if point.rate_per_s == 0:
        return f"No rate holds the SLO: {point.why}."
    if point.cause is Cause.NONE:
        return f"Held {point.rate_per_s:.4g} requests/s, and more was not measured: {point.why}."
    return (
        f"Breaking point: {point.rate_per_s:.4g} requests/s (it held {point.low_per_s:.4g} and broke at "
        f"{point.high_per_s:.4g}; confidence {point.confidence:.0%}). "
        f"Cause: {point.cause.value}: {point.why}."
    )

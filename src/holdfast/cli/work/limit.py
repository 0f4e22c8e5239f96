"""What `holdfast limit` does. Its flags are in `cli.limit`."""

from __future__ import annotations

import math

import click

from holdfast.cli import flags, live, measuring, resuming, running
from holdfast.cli import progress as lines
from holdfast.cli.live import Say, Watched
from holdfast.cli.measuring import Endpoint
from holdfast.cli.workers import bench_of
from holdfast.limits.search import Options, Search
from holdfast.load import finding, runs
from holdfast.load.finding import Progress
from holdfast.load.rundir import RunDir
from holdfast.model.errors import HoldfastError, InputError
from holdfast.model.fleet import Slo
from holdfast.model.stages import Arrivals, Cause, LoadCurve


def limit(
    endpoint: Endpoint,
    processes: int,
    slo: Slo,
    arrivals: str,
    precision: float,
    requests: int | None,
    longest: float,
    budget: float,
    budget_requests: int | None,
    settle: float,
    drain: float,
    resume: bool,
) -> None:
    """See `holdfast limit --help`. Raises InputError."""
    try:
        options = Options(
            arrivals=Arrivals(arrivals),
            precision=precision,
            requests=requests or (1000 if arrivals == "poisson" else 200),
            least_s=min(5.0, longest),
            most_s=longest,
            budget_s=budget,
            budget_requests=budget_requests or math.inf,
            settle_s=settle,
        )
    except ValueError as error:
        raise InputError(str(error)) from error
    if resume:
        endpoint = measuring.as_before(endpoint)
    if not endpoint.as_json:
        click.echo(lines.HEADER)
    try:
        curve, run = running.run(_find(endpoint, processes, slo, options, drain, resume=resume))
    except (KeyboardInterrupt, HoldfastError):
        resuming.say_how(endpoint)
        raise
    point = curve.breaking_point
    assert point is not None
    if endpoint.as_json:
        flags.echo_json({"breaking_point": point, "stages": curve.stages, "run_dir": str(endpoint.out)})
    else:
        click.echo()
        lines.say(describe(curve))
        for note in max(curve.stages, key=lambda stage: stage.requests).notes:
            lines.say(f"Note: {note}.")
        click.echo(f"run directory: {endpoint.out}")
    run.check()
    if point.rate_per_s == 0:
        raise click.exceptions.Exit(1)


async def _find(
    endpoint: Endpoint, processes: int, slo: Slo, options: Options, drain_s: float, *, resume: bool
) -> tuple[LoadCurve, RunDir]:
    before = runs.measured_levels(endpoint.out) if resume else []
    with endpoint.run_dir("limit", slo, options.arrivals.value, again=resume) as run:
        bench = bench_of(endpoint, processes, run, slo=slo, judges=True, part=len(before))
        watched = [Watched("", bench.glance)]
        try:
            async with live.shown(
                watched, options.budget_s, quiet=endpoint.quiet or endpoint.as_json, lines=False
            ) as say:
                curve = await finding.find_limit(
                    bench,
                    slo,
                    Search(slo, options),
                    tell=lambda progress: _show(progress, endpoint, say),
                    run=run,
                    before=before,
                    drain_s=drain_s,
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
    if point.concurrency is not None:
        found = f"{point.concurrency} requests in flight, {point.rate_per_s:.4g} requests/s"
    else:
        found = f"{point.rate_per_s:.4g} requests/s"
    return (
        f"Breaking point: {found} (between {point.low_per_s:.4g} and {point.high_per_s:.4g}; confidence "
        f"{point.confidence:.0%}). Cause: {point.cause.value}: {point.why}."
    )

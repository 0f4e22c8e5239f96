"""What `holdfast sweep` does. Its flags are in `cli.sweep`."""

from __future__ import annotations

import click

from holdfast.cli import flags, live, measuring, progress, resuming, running
from holdfast.cli.live import Say, Watched
from holdfast.cli.measuring import Endpoint
from holdfast.cli.workers import bench_of
from holdfast.load import sweeping
from holdfast.load.cooling import CoolDown
from holdfast.load.counts import Count
from holdfast.load.rundir import RunDir
from holdfast.load.sweeping import Kept, Plan
from holdfast.model.errors import HoldfastError, InputError
from holdfast.model.stages import Arrivals, Level, LoadCurve, Stage, Summary

MOST_LEVELS = 200

_HEADER = (
    f"{'':>6} {'':>7} {'tokens/s':>17}  {'latency':>6} {'':>27} {'TTFT':>6}\n"
    f"{'load':>6} {'req/s':>7} {'in':>8} {'out':>8}  {'avg':>6} {'p50':>6} {'p95':>6} {'p99':>6} {'p95':>6}  errors"
)


def sweep(
    endpoint: Endpoint,
    concurrency: tuple[int, ...] | None,
    rates: tuple[float, ...] | None,
    requests: Count,
    level_duration: float | None,
    arrivals: str,
    warmup: Count,
    cooldown: float,
    processes: int,
    resume: bool,
) -> None:
    """See `holdfast sweep --help`. Raises InputError."""
    if concurrency is not None:
        levels = tuple(
            Level(Arrivals.CLOSED, concurrency=users, duration_s=level_duration or 1800.0, requests=requests.of(users))
            for users in concurrency
        )
        warm_ups = tuple(warmup.of(users) for users in concurrency)
    else:
        assert rates is not None
        _check_open(warmup)
        levels = tuple(Level(Arrivals(arrivals), rate_per_s=rate, duration_s=level_duration or 60.0) for rate in rates)
        warm_ups = (warmup.each,) * len(rates)
    _check(levels, requests)
    if endpoint.subject.recipe.turns > 1 and rates is not None:
        raise InputError("the turns of conversations come on top of a rate", where="--turns", mend="give --concurrency")
    plan = Plan(levels, warm_ups, cooldown)
    if resume:
        endpoint = measuring.as_before(endpoint)
    run, kept = _opened(endpoint, plan, resume)
    if not endpoint.as_json:
        click.echo(_HEADER)
        for stage in sorted(kept.stages, key=plan.place):
            click.echo(line(stage))
    try:
        curve = running.run(_sweep(endpoint, plan, run, kept, processes))
    except (KeyboardInterrupt, HoldfastError):
        resuming.say_how(endpoint, len(plan.levels))
        raise
    if endpoint.as_json:
        stages = sorted(curve.stages, key=plan.place)
        flags.echo_json({"stages": stages, "run_dir": str(endpoint.out)})
    else:
        click.echo()
        progress.say(describe(curve))
        click.echo(f"run directory: {endpoint.out}")
    run.check()
    if all(stage.error_rate == 1 for stage in curve.stages):
        raise click.exceptions.Exit(1)


def _check_open(warmup: Count) -> None:
    if warmup.per_user:
        raise InputError("an open loop has no number in flight to multiply", where="--warmup", mend="write a number")


def _check(levels: tuple[Level, ...], requests: Count) -> None:
    if len(levels) > MOST_LEVELS:
        raise InputError(f"that is more than {MOST_LEVELS} levels", mend="sweep fewer")
    if requests.each == 0:
        raise InputError("a level needs at least one request", where="--requests-per-level", mend="write e.g. 10x")


def _opened(endpoint: Endpoint, plan: Plan, resume: bool) -> tuple[RunDir, Kept]:
    kept = sweeping.resume(endpoint.out, plan) if resume else None
    run = endpoint.run_dir("sweep", None, plan.levels[0].arrivals.value, again=resume)
    return run, kept or sweeping.begin(run, plan)


async def _sweep(endpoint: Endpoint, plan: Plan, run: RunDir, kept: Kept, processes: int) -> LoadCurve:
    with run:
        bench = bench_of(endpoint, processes, run, part=kept.part)
        watched = [Watched("", bench.glance)]
        try:
            async with live.shown(watched, None, quiet=endpoint.quiet or endpoint.as_json, lines=False) as say:
                return await sweeping.sweep(bench, plan, run, kept, tell=lambda news: _show(news, endpoint, say))
        finally:
            await bench.close()


def _show(news: Stage | CoolDown, endpoint: Endpoint, say: Say) -> None:
    if endpoint.as_json:
        return
    if isinstance(news, Stage):
        say(line(news))
    elif not endpoint.quiet:
        say(f"{'':>6} {news.sentence}", err=True)  # standard output is the table


def line(stage: Stage) -> str:
    """One level as a row of the table, within 80 columns; what makes it no evidence is said below it."""
    level = stage.level
    load = f"{level.concurrency}" if level.rate_per_s is None else f"{level.rate_per_s:.3g}/s"
    times = [_time(stage.latency, name) for name in ("avg", "p50", "p95", "p99")]
    first = "-" if stage.ttft is None else _time(stage.ttft, "p95")
    row = (
        f"{load:>6} {stage.achieved_per_s:>7.2f} {stage.tokens_in_per_s:>8,.0f} {stage.tokens_out_per_s:>8,.0f}  "
        f"{' '.join(f'{value:>6}' for value in times)} {first:>6}  {stage.error_rate:>6.1%}"
    )
    remarks = ([f"INVALID: {stage.invalid}"] if stage.invalid else []) + list(stage.notes)
    wrapped = [click.wrap_text(remark, 80, initial_indent=" " * 7, subsequent_indent=" " * 7) for remark in remarks]
    return "\n".join([row, *wrapped])


def _time(summary: Summary, statistic: str) -> str:
    if not summary.n:
        return "-"
    value = summary.statistic(statistic)
    return f"{value:.0f} s" if value >= 99.95 else progress.seconds(value)


def describe(curve: LoadCurve) -> str:
    """What the sweep shows, in a sentence; invalid levels have no part in it."""
    valid = [stage for stage in curve.stages if stage.valid and stage.achieved_per_s > 0]
    spoilt = sum(not stage.valid for stage in curve.stages)
    note = f" {spoilt} of {len(curve.stages)} levels are invalid and say nothing about the server." if spoilt else ""
    if not valid:
        return f"No level measured the server.{note}"
    best = max(valid, key=lambda stage: stage.achieved_per_s)
    tokens = f" and {best.tokens_out_per_s:,.0f} output tokens/s" if best.tokens_out_per_s else ""
    return f"Highest throughput: {best.achieved_per_s:.4g} requests/s{tokens} at {best.level.name}.{note}"

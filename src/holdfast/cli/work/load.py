"""What `holdfast load` does. Its flags are in `cli.load`."""

from __future__ import annotations

import click
from click.core import ParameterSource

from holdfast.cli import flags, running, sending
from holdfast.cli import progress as lines
from holdfast.cli.measuring import Endpoint
from holdfast.cli.sending import Order
from holdfast.cli.watching import MetricsPage
from holdfast.cli.work.offered import MOST_REQUESTS, Offered
from holdfast.cli.workers import Division
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo
from holdfast.model.stages import LoadCurve, Stage
from holdfast.model.tables import Table
from holdfast.reports import tabulate, terminal


def load(
    endpoint: tuple[Endpoint, ...], offered: Offered, division: Division, page: MetricsPage, slo: Slo | None
) -> None:
    """See `holdfast load --help`. Raises InputError."""
    _check(endpoint, offered, division)
    loads = [offered.to(number) for number in range(len(endpoint))]
    orders = [Order(one, load.level, load.pacer) for one, load in zip(endpoint, loads, strict=True)]
    if offered.endless:
        _tell_sent(endpoint, running.run(sending.keep_up(orders, page)))
        return
    if sum(order.level.duration_s * (order.level.rate_per_s or 0) for order in orders) > MOST_REQUESTS:
        raise InputError(f"that is more than {MOST_REQUESTS:,} requests", where="--duration", mend="shorten it")
    if offered.trace is not None and not endpoint[0].as_json:
        lines.say(describe(offered.trace))
    stages, runs = running.run(sending.hold(orders, page, division, slo))
    _tell(endpoint, stages)
    for run in runs:
        run.check()
    if any(stage.error_rate == 1 for stage in stages):
        raise click.exceptions.Exit(1)


def _check(endpoints: tuple[Endpoint, ...], offered: Offered, division: Division) -> None:
    subject, level = endpoints[0].subject, offered.level
    if level.think_s and level.concurrency is None and subject.recipe.turns == 1:
        raise InputError("this is of --concurrency and --turns", where="--think-time", mend="leave it out")
    if offered.trace is not None:
        subject.recipe.check_trace(subject.workload.api, int(offered.trace.tokens_in.min()))
    if offered.endless and endpoints[0].exporters:
        raise InputError(
            "nothing is recorded of a load without end", where="--duration forever", mend="leave out --scrape"
        )
    if offered.endless:
        for flag, name, gone in (("--out", "out", "recorded"), ("--slo", "slo", "held against it")):
            if click.get_current_context().get_parameter_source(name) is not ParameterSource.DEFAULT:
                raise InputError(f"nothing is {gone} of a load without end", where=flag, mend="leave it out")
    if not division.whole and (offered.endless or len(endpoints) > 1):
        raise InputError(
            "--workers and --shard are of one target and a load that ends", mend="run a command for each target"
        )


def _tell(endpoints: tuple[Endpoint, ...], stages: list[Stage]) -> None:
    told = [{"stage": stage, "run_dir": str(one.out)} for one, stage in zip(endpoints, stages, strict=True)]
    if endpoints[0].as_json:
        named = {one.subject.unit: each for one, each in zip(endpoints, told, strict=True)}
        flags.echo_json(told[0] if len(told) == 1 else {"targets": named})
        return
    for one, stage in zip(endpoints, stages, strict=True):
        click.echo(terminal.text(terminal.table(tabulate.stages(LoadCurve(one.subject.unit, (stage,))))))
        if stage.errors:
            failed = ", ".join(f"{count:,} {outcome}" for outcome, count in stage.errors.items())
            lines.say(f"Errors: {failed} of {stage.requests:,} requests.")
        click.echo(f"run directory: {one.out}")


def _tell_sent(endpoints: tuple[Endpoint, ...], table: Table) -> None:
    if endpoints[0].as_json:
        flags.echo_json(table)
    else:
        click.echo(terminal.text(terminal.table(table)))


def describe(trace: Trace) -> str:
    """What is replayed, in a sentence."""
    rows = "1 row without tokens was" if trace.left_out == 1 else f"{trace.left_out:,} rows without tokens were"
    failed = f" {rows} left out." if trace.left_out else ""
    return (
        f"Replaying {len(trace):,} requests in {trace.duration_s:.4g} s ({len(trace) / trace.duration_s:.3g}/s), of "
        f"{trace.tokens_in.mean():.0f} tokens each for answers of {trace.tokens_out.mean():.0f}.{failed}"
    )

"""holdfast load"""

from __future__ import annotations

import click
from click.core import ParameterSource

from holdfast.cli import arrivals, flags, running, sending, watching, workers
from holdfast.cli import progress as lines
from holdfast.cli.arrivals import MOST_REQUESTS, Offered
from holdfast.cli.measuring import Endpoint, endpoint_options
from holdfast.cli.sections import Command, bundle, option
from holdfast.cli.sending import Order
from holdfast.cli.watching import MetricsPage
from holdfast.cli.workers import Division
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.model.fleet import Slo
from holdfast.model.stages import LoadCurve, Stage
from holdfast.model.tables import Table
from holdfast.reports import tabulate, terminal


@click.command(cls=Command)
@bundle("offered", arrivals.OPTIONS, arrivals.offered)
@endpoint_options("load", many=True)
@bundle("division", workers.OPTIONS, workers.division)
@bundle("page", watching.OPTIONS, MetricsPage)
@option("Run", "--slo", type=flags.SLO, help='Say how much of the load met it (goodput), e.g. "ttft p95<1s, p95<5s".')
def load(
    endpoint: tuple[Endpoint, ...], offered: Offered, division: Division, page: MetricsPage, slo: Slo | None
) -> None:
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

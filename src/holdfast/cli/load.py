"""holdfast load"""

from __future__ import annotations

import click

from holdfast.cli import arrivals, flags, running
from holdfast.cli import progress as lines
from holdfast.cli.arrivals import Offered
from holdfast.cli.measuring import Endpoint, endpoint_options
from holdfast.cli.sections import Command, bundle
from holdfast.load import finding
from holdfast.load.bench import Bench
from holdfast.load.rundir import RunDir
from holdfast.load.traces import Trace
from holdfast.model.errors import InputError
from holdfast.model.stages import LoadCurve, Stage
from holdfast.reports import tabulate, terminal


@click.command(cls=Command)
@bundle("offered", arrivals.OPTIONS, arrivals.offered)
@endpoint_options("load")
def load(endpoint: Endpoint, offered: Offered) -> None:
    """Send load to the endpoint at URL for a while and measure it.

    \b
    holdfast load http://127.0.0.1:8000 --model gpt2 --rate 12/s
    holdfast load http://127.0.0.1:8000 --model gpt2 --steps 2/s:60s,4/s:60s
    holdfast load http://127.0.0.1:8000 --model gpt2 --trace azure.csv
    holdfast load http://127.0.0.1:8000 --model gpt2 --concurrency 16
    """
    subject, level = endpoint.subject, offered.level
    if level.think_s and level.concurrency is None and subject.recipe.turns == 1:
        raise InputError("this is of --concurrency and --turns", where="--think-time", mend="leave it out")
    if offered.trace is not None:
        subject.recipe.check_trace(subject.workload.api, int(offered.trace.tokens_in.min()))
        if not endpoint.as_json:
            lines.say(describe(offered.trace))
    stage, run = running.run(_hold(endpoint, offered))
    if endpoint.as_json:
        flags.echo_json({"stage": stage, "run_dir": str(endpoint.out)})
    else:
        click.echo(terminal.text(terminal.table(tabulate.stages(LoadCurve(endpoint.subject.unit, (stage,))))))
        click.echo(f"run directory: {endpoint.out}")
    run.check()
    if stage.error_rate == 1:
        raise click.exceptions.Exit(1)


def describe(trace: Trace) -> str:
    """What is replayed, in a sentence."""
    failed = f" {trace.left_out:,} rows without tokens were left out." if trace.left_out else ""
    return (
        f"Replaying {len(trace):,} requests in {trace.duration_s:.4g} s ({len(trace) / trace.duration_s:.3g}/s), of "
        f"{trace.tokens_in.mean():.0f} tokens each for answers of {trace.tokens_out.mean():.0f}.{failed}"
    )


async def _hold(endpoint: Endpoint, offered: Offered) -> tuple[Stage, RunDir]:
    with endpoint.run_dir("load", None, offered.level.arrivals.value, pacer=offered.pacer) as run:
        bench = Bench(endpoint.subject, None, endpoint.seed, run)
        try:
            await bench.preflight()
            stage = (await bench.hold(offered.level, 0, offered.pacer)).stage
        finally:
            await bench.close()
        run.write_curve(finding.curve_of(endpoint.subject.unit, [stage], None))
    return stage, run

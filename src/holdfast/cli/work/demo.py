"""What `holdfast demo` does. Its flags are in `cli.demo`."""

from __future__ import annotations

import math
import time
from pathlib import Path

import click

from holdfast.cli import flags, running
from holdfast.cli import progress as lines
from holdfast.load.finding import Progress
from holdfast.local.demo import run as demos
from holdfast.local.demo import servers as own
from holdfast.local.demo import units
from holdfast.local.demo.run import DemoResult, Voice
from holdfast.model.errors import HoldfastError
from holdfast.model.plan import Plan
from holdfast.model.stages import LoadCurve
from holdfast.planning.plan import plan_json
from holdfast.reports import terminal


def demo(out: Path, servers: Path | None, as_json: bool) -> None:
    """See `holdfast demo --help`. Raises InputError."""
    begun_s = time.monotonic()
    staging = units.staging() if servers is None else own.staging(servers)
    result = running.run(demos.run(staging, out, _silent() if as_json else _speaking(staging.searching)))
    took_s = time.monotonic() - begun_s
    if as_json:
        flags.echo_json(_json(result, took_s))
    else:
        click.echo()
        for sentence in _closing(result):
            lines.say(sentence)
        click.echo(f"\nreport: {result.report}  ({took_s:.0f} s in all)")
    if result.wave.failed:
        raise HoldfastError(f"{result.wave.failed} of {len(result.wave.answers)} requests failed in the wave")


def _speaking(searching: str) -> Voice:
    """searching: the heading of the table of levels."""

    def say(sentence: str) -> None:
        if sentence.endswith(":"):
            click.echo()
        lines.say(sentence)
        if sentence == searching:
            click.echo(lines.SHORT_HEADER)

    return Voice(say=say, level=_level, curve=_curve, plan=_plan)


def _silent() -> Voice:
    return Voice(say=lambda _: None, level=lambda _: None, curve=lambda _: None, plan=lambda _: None)


def _level(progress: Progress) -> None:
    if progress.stage is not None:
        click.echo(lines.short_line(progress))


def _curve(curve: LoadCurve) -> None:
    click.echo(terminal.text(terminal.breaking_point(curve)))


def _plan(plan: Plan) -> None:
    click.echo(terminal.text(terminal.plan(plan)))


def _closing(result: DemoResult) -> tuple[str, ...]:
    wave, plan = result.wave, result.plans[0]
    back = "" if math.isnan(wave.back_s) else f"; {wave.back_s:.0f} s after the return the cheapest mix served again"
    return (
        f"{wave.failed} of {len(wave.answers)} requests failed while {wave.lost} was withdrawn and returned.",
        f"{wave.left_s:.2f} s after the loss no traffic was sent to it any more{back}.",
        f"${plan.cost_usd_per_h:.2f} per hour carries {plan.demand_per_s:g} {_asked(plan)} per second and survives the "
        "loss of any one pool.",
    )


def _asked(plan: Plan) -> str:
    return "requests" if plan.fleet.spec.workload.api.makes_tokens else "images"


def _json(result: DemoResult, took_s: float) -> dict[str, object]:
    wave = result.wave
    return {
        "report": str(result.report),
        "run_dirs": [str(result.report.parent / "runs" / unit) for unit in result.curves],
        "plans": {plan.fleet.metadata.name: plan_json(plan) for plan in result.plans},
        "breaking_points": {unit: curve.breaking_point for unit, curve in result.curves.items()},
        "failover": {
            "lost": wave.lost,
            "requests": len(wave.answers),
            "failed": wave.failed,
            "withdrawn_s": wave.withdrawn_s,
            "restored_s": wave.restored_s,
            "left_s": wave.left_s,
            "back_s": wave.back_s,
            "refused_decisions": sum(bool(tick.refused) for tick in wave.ticks),
        },
        "took_s": took_s,
    }

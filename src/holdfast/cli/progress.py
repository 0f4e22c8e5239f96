"""A search while it runs, a line per finished level, within 80 columns."""

from __future__ import annotations

import math

import click

from holdfast.load.finding import Progress

HEADER = f"{'load':>13} {'served':>9} {'p50':>8} {'p95':>8}  {'verdict':<16} {'sure':>4}  interval [1/s]"

SHORT_HEADER = f"{'unit':<23} {'load':>12} {'p95':>8} {'verdict':<16} interval [1/s]"


def line(progress: Progress) -> str:
    """One finished level under HEADER: offered, served, latency, verdict, and the interval so far."""
    stage, judged = progress.stage, progress.verdict
    assert stage is not None and judged is not None
    if not stage.valid:
        why = f"{progress.level.name:>13} invalid: {stage.invalid}"
        return click.wrap_text(why.lstrip(), 80, " " * (len(why) - len(why.lstrip())), " " * 23)
    p50, p95 = (seconds(value) if stage.latency.n else "-" for value in (stage.latency.p50_s, stage.latency.p95_s))
    served = f"{stage.achieved_per_s:.3g}/s"
    return (
        f"{progress.level.name:>13} {served:>9} {p50:>8} {p95:>8}  {outcome(progress):<16} "
        f"{judged.confidence:4.0%}  {interval(progress)}"
    ).rstrip()


def short_line(progress: Progress) -> str:
    """One finished level of one unit among others, under SHORT_HEADER."""
    stage = progress.stage
    assert stage is not None
    p95 = seconds(stage.latency.p95_s) if stage.latency.n else "-"
    return f"{progress.unit:<23} {progress.level.name:>12} {p95:>8} {outcome(progress):<16} {interval(progress)}"


def outcome(progress: Progress) -> str:
    """`holds`, `invalid`, or `breaks: CAUSE`."""
    stage, judged = progress.stage, progress.verdict
    assert stage is not None and judged is not None
    if not stage.valid:
        return "invalid"
    return "holds" if judged.holds else f"breaks: {judged.cause.value}"


def interval(progress: Progress) -> str:
    """The interval so far; empty while there is none."""
    unbounded = math.isinf(progress.high_per_s)
    if not progress.low_per_s and unbounded:
        return ""
    return f"{progress.low_per_s:.3g} to {'?' if unbounded else f'{progress.high_per_s:.3g}'}"


def seconds(value: float) -> str:
    """`52 ms` or `1.2 s`."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.3g} s"


def say(sentence: str, *, err: bool = False) -> None:
    """Prints a paragraph, wrapped to 80 columns."""
    click.echo(click.wrap_text(sentence, width=80), err=err)

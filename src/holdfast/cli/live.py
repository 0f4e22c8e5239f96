"""A load while it is sent: a table that is renewed on a terminal, a line every ten seconds in a log.

Both go to standard error, so that what a verb prints at its end can be piped.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from holdfast.cli.progress import seconds
from holdfast.load.tally import Glance

_RENEW_S = 0.5
_LINE_S = 10.0

_WIDTHS = (8, 8, 7, 8, 8, 8, 8, 8, 7)
_GROUPS = ("offered", "served", "in", "latency", "", "TTFT", "", "tokens", "lag")
_COLUMNS = ("1/s", "1/s", "flight", "p50", "p95", "p50", "p95", "1/s", "p99")


@dataclass(frozen=True)
class Watched:
    """One target: its name, and what gives its last ten seconds."""

    name: str
    glance: Callable[[], Glance]


@contextlib.asynccontextmanager
async def shown(
    watched: Sequence[Watched], duration_s: float, *, quiet: bool = False, lines: bool = True
) -> AsyncIterator[None]:
    """Shows the targets while the block runs.

    duration_s: how long it is meant to run; infinite for no end. lines: whether a log gets its lines; a verb that
    has lines of its own wants none.
    """
    if quiet or not (lines or sys.stderr.isatty()):
        yield
        return
    show = _renew(watched, duration_s) if sys.stderr.isatty() else _tell(watched)
    showing = asyncio.create_task(show, name="progress")
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])
    if not showing.cancelled():
        showing.result()


async def _renew(watched: Sequence[Watched], duration_s: float) -> None:
    begun_s = time.perf_counter()
    # Rows are laid out here and not by rich's Table: that takes 2 ms a time, in which nothing is sent.
    with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
        while True:
            rows = [(one.name, one.glance()) for one in watched]
            shown = table(rows, time.perf_counter() - begun_s, duration_s)
            live.update(Text(shown, no_wrap=True, overflow="crop"), refresh=True)
            await asyncio.sleep(_RENEW_S)


async def _tell(watched: Sequence[Watched]) -> None:
    begun_s = due_s = time.perf_counter()
    for one in watched:
        one.glance()  # the ten seconds begin here
    while True:
        due_s += _LINE_S
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        for one in watched:
            click.echo(line(one.name if len(watched) > 1 else "", one.glance(), due_s - begun_s), err=True)


def table(rows: Sequence[tuple[str, Glance]], elapsed_s: float, duration_s: float) -> str:
    """The last ten seconds of each target in lines of at most 80 columns."""
    end = f" of {clock(duration_s)}" if math.isfinite(duration_s) else ", until Ctrl-C"
    lines = [f"{clock(elapsed_s)}{end}; the last 10 s:", _row("", _GROUPS), _row("", _COLUMNS)]
    lines += [_row(name, _cells(seen)) for name, seen in rows]
    for name, seen in rows:
        if seen.errors:
            lines.append(_short(f"{name + ': ' if len(rows) > 1 else ''}errors: {_errors(seen)}", 80))
    return "\n".join(lines)


def _row(name: str, cells: Sequence[str]) -> str:
    return f"{_short(name, 10):10}{''.join(f'{cell:>{width}}' for cell, width in zip(cells, _WIDTHS, strict=True))}"


def _cells(seen: Glance) -> tuple[str, ...]:
    return (
        _rate(seen.offered_per_s),
        _rate(seen.served_per_s),
        str(seen.in_flight),
        _time(seen.latency_p50_s),
        _time(seen.latency_p95_s),
        _time(seen.ttft_p50_s),
        _time(seen.ttft_p95_s),
        _rate(seen.tokens_per_s),
        _time(seen.lag_p99_s),
    )


def line(name: str, seen: Glance, elapsed_s: float) -> str:
    """The last ten seconds of one target as a line of a log."""
    parts = [
        f"offered {_rate(seen.offered_per_s)}/s",
        f"served {_rate(seen.served_per_s)}/s",
        f"in flight {seen.in_flight}",
    ]
    if not math.isnan(seen.latency_p50_s):
        parts.append(f"p50 {seconds(seen.latency_p50_s)}, p95 {seconds(seen.latency_p95_s)}")
    if not math.isnan(seen.ttft_p50_s):
        parts.append(f"TTFT p50 {seconds(seen.ttft_p50_s)}, p95 {seconds(seen.ttft_p95_s)}")
    if seen.tokens_per_s:
        parts.append(f"{_rate(seen.tokens_per_s)} tokens/s")
    if not math.isnan(seen.lag_p99_s):
        parts.append(f"lag p99 {seconds(seen.lag_p99_s)}")
    if seen.errors:
        parts.append(f"errors so far: {_errors(seen)}")
    return f"{clock(elapsed_s):>5} {name + ': ' if name else ''}{', '.join(parts)}"


def clock(elapsed_s: float) -> str:
    """`4:02`, or `1:04:02` from an hour on."""
    minutes, secs = divmod(int(elapsed_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def _errors(seen: Glance) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in seen.errors.items())


def _rate(value: float) -> str:
    if math.isnan(value):
        return "-"
    if 0 < value < 0.001:
        return "<0.001"
    return f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"


def _time(value_s: float) -> str:
    if math.isnan(value_s):
        return "-"
    return f"{value_s:.0f} s" if value_s >= 99.5 else f"{value_s:.3g} s" if value_s >= 0.9995 else seconds(value_s)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

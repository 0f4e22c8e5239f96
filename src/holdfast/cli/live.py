"""A load while it is sent: a table that is renewed on a terminal, a line every ten seconds in a log.

Both go to standard error, so that what a verb prints at its end can be piped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

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


class Say(Protocol):
    """Prints lines of a verb's own while its load is shown."""

    def __call__(self, text: str, *, err: bool = False) -> None:
        """To standard output, or to standard error."""


@contextlib.asynccontextmanager
async def shown(
    watched: Sequence[Watched], duration_s: float | None, *, quiet: bool = False, lines: bool = True
) -> AsyncIterator[Say]:
    """Shows the targets while the block runs, which prints by what it is given.

    duration_s: how long it is meant to run; infinite for no end, None when that is not known. lines: whether a log
    gets its lines; a verb that has lines of its own wants none.
    """
    if quiet or not (lines or sys.stderr.isatty()):
        yield _print
    elif not sys.stderr.isatty():
        async with _beside(_tell(watched)):
            yield _print
    else:
        console = Console(stderr=True)
        # What stands below the table is known to it alone: whatever else goes to the terminal has to go through it.
        with Live(
            console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as display:
            async with _beside(_renew(display, watched, duration_s)):
                yield functools.partial(_print_above, console)


def _print(text: str, *, err: bool = False) -> None:
    click.echo(text, err=err)


def _print_above(console: Console, text: str, *, err: bool = False) -> None:
    if err or sys.stdout.isatty():
        console.print(Text(text), soft_wrap=True)
    else:
        click.echo(text)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Does something without end beside the block."""
    doing = asyncio.create_task(work, name="progress")
    try:
        yield
    finally:
        doing.cancel()
        await asyncio.wait([doing])
    if not doing.cancelled():
        doing.result()


async def _renew(display: Live, watched: Sequence[Watched], duration_s: float | None) -> None:
    begun_s = time.perf_counter()
    # Rows are laid out here and not by rich's Table: that takes 2 ms a time, in which nothing is sent.
    while True:
        rows = [(one.name, one.glance()) for one in watched]
        text = table(rows, time.perf_counter() - begun_s, duration_s)
        display.update(Text(text, no_wrap=True, overflow="crop"), refresh=True)
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


def table(rows: Sequence[tuple[str, Glance]], elapsed_s: float, duration_s: float | None) -> str:
    """The last ten seconds of each target in lines of at most 80 columns."""
    lines = [f"{clock(elapsed_s)}{_end(duration_s)}; the last 10 s:", _row("", _GROUPS), _row("", _COLUMNS)]
    lines += [_row(name, _cells(seen)) for name, seen in rows]
    for name, seen in rows:
        if seen.errors:
            lines.append(_short(f"{name + ': ' if len(rows) > 1 else ''}errors: {_errors(seen)}", 80))
    return "\n".join(lines)


def _end(duration_s: float | None) -> str:
    if duration_s is None:
        return ""
    return f" of {clock(duration_s)}" if math.isfinite(duration_s) else ", until Ctrl-C"


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

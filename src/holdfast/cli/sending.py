"""Sending load to one target, or to many at once, shown while it lasts."""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from holdfast.cli import live
from holdfast.cli import progress as lines
from holdfast.cli.live import Watched
from holdfast.cli.measuring import Endpoint
from holdfast.cli.watching import MetricsPage
from holdfast.cli.workers import Division, bench_of
from holdfast.load import continuous
from holdfast.load.bench import Bench
from holdfast.load.continuous import Unrecorded
from holdfast.load.crew import Crew
from holdfast.load.exporter import Published
from holdfast.load.pacers import Paced, Pacer, Shape
from holdfast.load.rundir import RunDir
from holdfast.model.fleet import Slo
from holdfast.model.records import Outcome
from holdfast.model.stages import Level, LoadCurve, Stage
from holdfast.model.tables import Column, Table

T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """What one target is sent. pacer: of an open loop; None for a closed one."""

    endpoint: Endpoint
    level: Level
    pacer: Pacer | None

    @property
    def shape(self) -> Shape | None:
        """The rate over time, where there is one."""
        return self.pacer.shape if isinstance(self.pacer, Paced) else None


async def hold(
    orders: Sequence[Order], page: MetricsPage, division: Division, slo: Slo | None
) -> tuple[list[Stage], list[RunDir]]:
    """Holds one level at each target, all at the same time, and records each in its own folder.

    slo: what goodput is held against.
    """
    async with contextlib.AsyncExitStack() as stack:
        targets = [await stack.enter_async_context(_recorded(order, division, slo)) for order in orders]
        benches = [bench for bench, _ in targets]
        await _all(bench.preflight() for bench in benches)
        lasts_s = max(order.level.duration_s / order.endpoint.subject.time_scale for order in orders)
        start = division.start(lasts_s)
        async with _watched(orders, benches, page, lasts_s):
            measured = await _all(
                bench.hold(order.level, 0, order.pacer, start.start_s)
                for order, bench in zip(orders, benches, strict=True)
            )
        stages = [seen.stage for seen in measured]
        if start.late_s > 0:
            lines.say(f"holdfast: {start.note}.", err=True)
            stages = [replace(stage, notes=(*stage.notes, start.note)) for stage in stages]
        for order, (_, run), stage in zip(orders, targets, stages, strict=True):
            run.write_curve(LoadCurve.of(order.endpoint.subject.unit, [stage]))
        return stages, [run for _, run in targets]


async def keep_up(orders: Sequence[Order], page: MetricsPage) -> Table:
    """Sends load until SIGINT or SIGTERM, and gives what was sent; keeps no rows."""
    async with contextlib.AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(_closing(order)) for order in orders]
        await _all(bench.preflight() for bench in benches)
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        begun_s = time.perf_counter()
        async with _watched(orders, benches, page, math.inf), asyncio.TaskGroup() as group:
            sending = [
                group.create_task(
                    bench.keep_up(continuous.arrivals(order.pacer, order.endpoint.seed), order.level.think_s),
                    name=bench.subject.unit,
                )
                for order, bench in zip(orders, benches, strict=True)
                if isinstance(order.pacer, Paced)
            ]
            await stopped.wait()
            for task in sending:
                task.cancel()
        return sent(benches, time.perf_counter() - begun_s)


def sent(benches: Sequence[Bench], elapsed_s: float) -> Table:
    """What each target was sent over `elapsed_s` of the wall clock, and how it went."""

    def row(bench: Bench) -> tuple[str | float | int | None, ...]:
        totals = bench.tally.totals
        good = totals.of(Outcome.OK)
        errors = ", ".join(f"{name} {count:,}" for name, count in totals.errors.items())
        mean_s = totals.latency.sum_s / good if good else None
        rate = good / (elapsed_s * bench.subject.time_scale)
        return (bench.subject.unit, good, sum(totals.errors.values()), rate, mean_s, errors or None)

    return Table(
        f"Sent in {live.clock(elapsed_s)}",
        (
            Column("target"),
            Column("served"),
            Column("failed"),
            Column("served", "requests/s", 2),
            Column("mean latency", "s", 3),
            Column("errors"),
        ),
        tuple(row(bench) for bench in benches),
    )


@contextlib.asynccontextmanager
async def _recorded(order: Order, division: Division, slo: Slo | None) -> AsyncIterator[tuple[Bench | Crew, RunDir]]:
    """A bench whose rows and series go to the target's folder, also when the run is interrupted."""
    endpoint, shard = order.endpoint, division.shard
    with endpoint.run_dir("load", slo, order.level.arrivals.value, pacer=order.pacer, shard=shard) as run:
        bench = bench_of(endpoint, division.processes, run, slo=slo, shard=shard)
        try:
            yield bench, run
        finally:
            await bench.close()


@contextlib.asynccontextmanager
async def _closing(order: Order) -> AsyncIterator[Bench]:
    # No metrics are read, as nothing of them would be kept.
    bench = Bench(order.endpoint.subject, None, order.endpoint.seed, Unrecorded(), sources=())
    try:
        yield bench
    finally:
        await bench.close()


@contextlib.asynccontextmanager
async def _watched(
    orders: Sequence[Order], benches: Sequence[Bench | Crew], page: MetricsPage, duration_s: float
) -> AsyncIterator[None]:
    """Shows the load, which lasts `duration_s` of the wall clock, and publishes it where that was asked for."""
    targets = [
        Published(bench.tally, lambda bench=bench: bench.in_flight, _rate(order, bench.now_s))  # type: ignore[misc]
        for order, bench in zip(orders, benches, strict=True)
    ]
    watched = [Watched(bench.subject.unit if len(benches) > 1 else "", bench.glance) for bench in benches]
    with page.serving(targets):
        async with live.shown(watched, duration_s, quiet=orders[0].endpoint.quiet):
            yield


def _rate(order: Order, now_s: Callable[[], float]) -> Callable[[], float]:
    """The rate that is asked for now; NaN of a closed loop, which asks for none."""
    begun_s, shape = now_s(), order.shape
    if shape is None:
        return lambda: math.nan
    return lambda: shape.rate_per_s(now_s() - begun_s)


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all of it, done at the same time; the first error ends the others."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]

"""Driving a breaking-point search against a bench, level by level, and keeping what was measured."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.limits import verdict
from holdfast.limits.measured import Measured
from holdfast.limits.search import Search
from holdfast.load import cooling
from holdfast.load.bench import Bench
from holdfast.load.crew import Crew
from holdfast.load.rundir import RunDir
from holdfast.load.subject import Subject
from holdfast.model.errors import UnreachableError
from holdfast.model.fleet import Slo
from holdfast.model.stages import Level, LoadCurve, Stage


@dataclass(frozen=True)
class Progress:
    """What a search tells while it runs: the level begun, or the stage that ended it, and the bracket so far."""

    unit: str
    level: Level
    stage: Stage | None
    verdict: verdict.Verdict | None
    low_per_s: float
    high_per_s: float


async def find_limit(
    bench: Bench | Crew,
    slo: Slo,
    search: Search,
    *,
    tell: Callable[[Progress], None],
    run: RunDir | None = None,
    before: Sequence[Measured] = (),
    drain_s: float = 0.0,
) -> LoadCurve:
    """Drives `search` against a bench to its end; writes `run` after every level.

    before:  the levels that an earlier part of the run has measured; the search goes on from there.
    drain_s: how long a unit that broke is given to be as quick as at first, in the target's time.
    Raises InputError when the endpoint cannot be measured at all, or is lost on the way, and HoldfastError when a
    worker of a crew is: what was measured before is in the run directory. The level in which it was lost is
    no stage of it: whoever goes on with the run would take the outage for a limit.
    """
    subject, stages = bench.subject, [seen.stage for seen in before]
    for seen in before:
        search.tell(seen.stage.level, seen, verdict.judge(seen, slo))
    first = 0 if run is None or not run.levels else max(begun.index for begun in run.levels) + 1
    await bench.preflight()
    first_s = await cooling.alone(bench) if drain_s else 0.0
    while (level := search.ask()) is not None:
        tell(_progress(subject, search, level))
        seen = await bench.hold(level, first)
        first += 1
        if lost(seen.stage) or (unconnected(seen.stage) and not await _answers_again(bench, drain_s, first_s)):
            kept = f"; what was measured is kept in {run.path}" if run is not None else ""
            raise UnreachableError(
                f"the endpoint stopped answering in level {len(stages) + 1} of the search, at {level.name}{kept}",
                where=subject.target.base,
                mend="bring it back and measure again",
            )
        judged = verdict.judge(seen, slo)
        stages.append(seen.stage)
        if run is not None:
            # In a thread, as other units may be under measurement on this loop.
            await asyncio.to_thread(run.write_curve, LoadCurve.of(subject.unit, stages, None))
        # Estimating takes a second or two of the processor: in a thread, as others may be measured on this loop.
        await asyncio.to_thread(search.tell, level, seen, judged)
        tell(_progress(subject, search, level, seen.stage, judged))
        if drain_s and not judged.holds:
            await cooling.cool(bench, drain_s, first_s)
        rest_s = seen.stage.latency.p50_s / subject.time_scale if seen.stage.latency.n else 1.0
        await asyncio.sleep(min(1.0, rest_s))
    curve = LoadCurve.of(subject.unit, stages, search.result())
    if run is not None:
        run.write_curve(curve)
    return curve


def lost(stage: Stage) -> bool:
    """Whether nothing answered any more: every request of the stage ended without a connection or an answer."""
    return stage.requests > 0 and unconnected(stage) == stage.requests


def unconnected(stage: Stage) -> int:
    """How many requests ended without a connection or an answer."""
    return stage.errors.get("connect", 0) + stage.errors.get("reset", 0)


async def _answers_again(bench: Bench | Crew, drain_s: float, first_s: float) -> bool:
    """Whether the endpoint that had failed to answer some requests is there, or comes back within `drain_s`."""
    if drain_s and math.isfinite((await cooling.cool(bench, drain_s, first_s)).latency_s):
        return True
    return math.isfinite(await cooling.alone(bench))


def _progress(
    subject: Subject,
    search: Search,
    level: Level,
    stage: Stage | None = None,
    judged: verdict.Verdict | None = None,
) -> Progress:
    low_per_s, high_per_s = search.interval
    return Progress(subject.unit, level, stage, judged, low_per_s, high_per_s)

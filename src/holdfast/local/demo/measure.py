"""Finding the breaking point of every unit of the demo, side by side, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from holdfast.limits.search import Options, Search
from holdfast.load import finding
from holdfast.load.bench import Bench
from holdfast.load.finding import Progress
from holdfast.load.http import Target
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.load.subject import Subject
from holdfast.local.demo.units import COLD_START_S, TIME_SCALE, DemoFleet, argv
from holdfast.local.replica import Phase, Replica
from holdfast.model.errors import HoldfastError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, format_slo
from holdfast.model.stages import Arrivals, LoadCurve

_START_S = 60.0

BUDGET_S = 800.0
"""Emulated seconds of load for each search: a machine that stalls the client must not make the demo endless."""

IMAGES = Options(
    arrivals=Arrivals.CONSTANT, requests=80, least_s=45.0, most_s=90.0, repeats=1, invalid_repeats=20, budget_s=BUDGET_S
)
"""Emulated seconds. Even arrivals: a short level then has a sharp edge at what the unit sustains, and the plan's
utilisation target leaves the room that uneven arrivals need."""

TEXT = Options(
    arrivals=Arrivals.CONSTANT,
    requests=200,
    least_s=40.0,
    most_s=60.0,
    repeats=1,
    invalid_repeats=20,
    concurrency=256,
    budget_s=BUDGET_S,
)


async def measure(
    demo_fleets: Sequence[DemoFleet], directory: Path, tell: Callable[[Progress], None]
) -> dict[str, LoadCurve]:
    """The load curve of each unit by name, in emulated time; a run directory per unit below `directory`."""
    jobs: dict[str, asyncio.Task[LoadCurve]] = {}
    async with asyncio.TaskGroup() as tasks:
        for demo in demo_fleets:
            for unit in demo.fleet.spec.units:
                job = _measure_unit(demo.fleet, unit, directory, tell)
                jobs[unit.name] = tasks.create_task(job, name=f"measure {unit.name}")
    return {name: job.result() for name, job in jobs.items()}


async def _measure_unit(
    fleet: InferenceFleet, unit: DeploymentUnit, directory: Path, tell: Callable[[Progress], None]
) -> LoadCurve:
    spec = fleet.spec
    options = IMAGES if not spec.workload.api.makes_tokens else TEXT
    async with running_unit(unit.name, directory / f"{unit.name}.log") as url:
        subject = Subject(
            unit=unit.name,
            target=Target.parse(url),
            workload=spec.workload,
            model=spec.model.id,
            # Answers in one piece: at ten times the speed, a stream of every token would need the processor that
            # the emulated devices run on.
            stream=False,
            time_scale=TIME_SCALE,
        )
        with RunDir.create(directory / unit.name, _spec(subject, fleet, options)) as run:
            bench = Bench(subject, spec.slo, run=run)
            try:
                curve = await finding.find_limit(bench, spec.slo, Search(spec.slo, options), tell=tell, run=run)
            finally:
                await bench.close()
        run.check()
        return curve


def _spec(subject: Subject, fleet: InferenceFleet, options: Options) -> RunSpec:
    return RunSpec(
        verb="demo",
        url=subject.target.base,
        api=subject.workload.api.value,
        model=subject.model,
        slo=format_slo(fleet.spec.slo),
        arrivals=options.arrivals.value,
        seed=0,
        time_scale=TIME_SCALE,
        workload=subject.workload.model_dump(mode="json", by_alias=True, exclude_none=True),
        stream=subject.stream,
    )


@contextlib.asynccontextmanager
async def running_unit(unit: str, log: Path) -> AsyncIterator[str]:
    """One emulated replica, ready, by its URL; it is gone on the way out. Raises HoldfastError if it does not start."""
    changed = asyncio.Event()
    replica = Replica(unit, argv(unit), log, changed.set)
    life = asyncio.create_task(replica.run(), name=f"replica {unit}")
    try:
        try:
            async with asyncio.timeout(_START_S + COLD_START_S / TIME_SCALE):
                while replica.phase is not Phase.READY:
                    if replica.phase is Phase.DEAD:
                        raise HoldfastError(f"the emulated unit {unit} ended before it was ready; see {log}")
                    await changed.wait()
                    changed.clear()
        except TimeoutError as error:
            raise HoldfastError(f"the emulated unit {unit} was not ready within {_START_S:g} s; see {log}") from error
        assert replica.address is not None
        yield replica.address.url
    finally:
        await replica.terminate(1.0)
        await life

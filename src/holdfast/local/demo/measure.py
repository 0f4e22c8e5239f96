"""Finding the breaking point of every unit of the demo over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from holdfast.limits.search import Options, Search
from holdfast.load import finding
from holdfast.load.bench import Bench
from holdfast.load.finding import Progress
from holdfast.load.http import Target
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.load.subject import Subject
from holdfast.local.demo.staging import Staging
from holdfast.local.replica import Phase, Replica
from holdfast.model.errors import HoldfastError
from holdfast.model.fleet import DeploymentUnit, InferenceFleet, format_slo
from holdfast.model.stages import LoadCurve


async def measure(staging: Staging, directory: Path, tell: Callable[[Progress], None]) -> dict[str, LoadCurve]:
    """The load curve of each unit by name, in the units' time; a run directory per unit below `directory`."""
    units = [(demo.fleet, unit) for demo in staging.fleets for unit in demo.fleet.spec.units]
    if not staging.side_by_side:
        return {unit.name: await _measure_unit(staging, fleet, unit, directory, tell) for fleet, unit in units}
    jobs: dict[str, asyncio.Task[LoadCurve]] = {}
    async with asyncio.TaskGroup() as tasks:
        for fleet, unit in units:
            job = _measure_unit(staging, fleet, unit, directory, tell)
            jobs[unit.name] = tasks.create_task(job, name=f"measure {unit.name}")
    return {name: job.result() for name, job in jobs.items()}


async def _measure_unit(
    staging: Staging, fleet: InferenceFleet, unit: DeploymentUnit, directory: Path, tell: Callable[[Progress], None]
) -> LoadCurve:
    spec = fleet.spec
    options = staging.options(fleet)
    async with running_unit(staging, unit.name, directory / f"{unit.name}.log") as url:
        subject = Subject(
            unit=unit.name,
            target=Target.parse(url),
            workload=spec.workload,
            model=spec.model.id,
            recipe=staging.recipe,
            # Answers in one piece: a stream of every token would need the processor that the units run on.
            stream=False,
            time_scale=staging.time_scale,
        )
        with RunDir.create(directory / unit.name, _spec(subject, fleet, options)) as run:
            bench = Bench(subject, spec.slo, run=run)
            try:
                search = Search(spec.slo, options)
                drain_s = staging.drain_s
                curve = await finding.find_limit(bench, spec.slo, search, tell=tell, run=run, drain_s=drain_s)
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
        time_scale=subject.time_scale,
        workload=subject.workload.model_dump(mode="json", by_alias=True, exclude_none=True),
        stream=subject.stream,
    )


@contextlib.asynccontextmanager
async def running_unit(staging: Staging, unit: str, log: Path) -> AsyncIterator[str]:
    """One replica, ready, by its URL; it is gone on the way out. Raises HoldfastError if it does not start."""
    changed, start_s = asyncio.Event(), staging.start_s
    replica = Replica(unit, staging.command(unit), log, changed.set, start_s=start_s, readiness=staging.readiness)
    life = asyncio.create_task(replica.run(), name=f"replica {unit}")
    try:
        try:
            async with asyncio.timeout(start_s):
                while replica.phase is not Phase.READY:
                    if replica.phase is Phase.DEAD:
                        raise HoldfastError(f"the unit {unit} ended before it was ready; see {log}")
                    await changed.wait()
                    changed.clear()
        except TimeoutError as error:
            raise HoldfastError(f"the unit {unit} was not ready within {start_s:g} s; see {log}") from error
        assert replica.address is not None
        yield replica.address.url
    finally:
        await replica.terminate(1.0)
        await life

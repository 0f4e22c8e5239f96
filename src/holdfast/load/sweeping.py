"""A sweep: one workload at one load level after another, resumable by level.

    alone -> [warm up -> hold -> keep -> cool down] -> [warm up -> ...] -> curve

What is kept of a run are whole levels. A run that is continued skips them, drops the rows of the level that was cut
off, and holds that level again from its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.load import cooling, finding, rundir
from holdfast.load.bench import Bench
from holdfast.load.cooling import CoolDown
from holdfast.load.crew import Crew
from holdfast.load.rundir import RunDir
from holdfast.model import codec
from holdfast.model.errors import InputError, OutputError, UnreachableError
from holdfast.model.stages import Arrivals, Level, LoadCurve, Stage


@dataclass(frozen=True)
class Plan:
    """What a sweep holds, in this order; whoever continues it must ask for the same.

    The stage of level k in part p of a run (see Kept) is p * len(levels) + k, so that the rows of a level that was cut
    off stay apart from those of the level that is held in its place.

    warm_ups:    requests that are sent at each level's own load before it, and count for nothing.
    cool_down_s: how long to wait at most after a level until the server is as idle as it was, in the target's time.
    """

    levels: tuple[Level, ...]
    warm_ups: tuple[int, ...]
    cool_down_s: float

    def __post_init__(self) -> None:
        if not self.levels or len(self.warm_ups) != len(self.levels):
            raise ValueError("a sweep has at least one level, and a warm-up (or 0) for each")

    def place(self, stage: Stage) -> int:
        """Which of the levels a stage is of."""
        return stage.index % len(self.levels)


@dataclass(frozen=True)
class Kept:
    """The stages that earlier parts of a run have left, `part` of them."""

    stages: tuple[Stage, ...]
    part: int


Tell = Callable[[Stage | CoolDown], None]


def begin(run: RunDir, plan: Plan) -> Kept:
    """Notes in the run directory what is to be held; nothing is kept yet."""
    kept = Kept((), 0)
    _note(run.path, plan, kept)
    return kept


def resume(path: Path, plan: Plan) -> Kept:
    """The whole levels of a run directory. Raises InputError when it is of another sweep than `plan`."""
    file = path / "sweep.json"
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        same, part = noted["plan"] == codec.to_jsonable(plan), noted["part"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("there is no sweep to continue", where=str(path), mend="leave out --resume") from error
    if not same:
        raise InputError(
            "the sweep in this folder is another one (levels, warm-up or cool-down differ)",
            where=str(path),
            mend="repeat its flags, or give another --out",
        )
    curve = rundir.read_written_curve(path)
    kept = Kept(() if curve is None else curve.stages, part + 1)
    _note(path, plan, kept)
    return kept


async def sweep(bench: Bench | Crew, plan: Plan, run: RunDir, kept: Kept, *, tell: Tell) -> LoadCurve:
    """Holds every level of the plan that is not kept yet; the run directory is whole after each.

    Raises UnreachableError when the endpoint is lost; the levels before are kept.
    """
    stages, done = list(kept.stages), {plan.place(stage) for stage in kept.stages}
    if len(done) == len(plan.levels):
        return LoadCurve.of(bench.subject.unit, stages)
    await bench.preflight()
    first_s = await cooling.alone(bench)
    cooled: CoolDown | None = None
    for index, (level, warm_up) in enumerate(zip(plan.levels, plan.warm_ups, strict=True)):
        if index in done:
            continue
        if len(stages) > len(done):
            cooled = await cooling.cool(bench, plan.cool_down_s, first_s)
            tell(cooled)
        if warm_up:
            await bench.hold(_warm(level, warm_up), cooling.BETWEEN)
        held = await bench.hold(level, kept.part * len(plan.levels) + index)
        stage = _noted(held.stage, cooled)
        if finding.lost(stage):
            raise UnreachableError(
                f"the endpoint stopped answering at {level.name}", where=bench.subject.target.base, mend="bring it back"
            )
        stages.append(stage)
        run.write_curve(LoadCurve.of(bench.subject.unit, stages))
        tell(stage)
    return LoadCurve.of(bench.subject.unit, stages)


def _warm(level: Level, requests: int) -> Level:
    """The load of a level, for so many requests."""
    if level.rate_per_s is None:
        return replace(level, requests=requests)
    # Evenly spaced: it is not measured, and a short random one might have no request at all.
    return replace(level, arrivals=Arrivals.CONSTANT, duration_s=requests / level.rate_per_s)


def _noted(stage: Stage, cooled: CoolDown | None) -> Stage:
    """The stage with what a reader must know about how it came about."""
    notes = list(stage.notes)
    if stage.requests < stage.level.requests:
        notes.append(f"only {stage.requests:,} of {stage.level.requests:,} requests were sent in the level's time")
    if cooled is not None and not cooled.back:
        notes.append(f"begun on a server that was {cooled.sentence}")
    return replace(stage, notes=tuple(notes))


def _note(path: Path, plan: Plan, kept: Kept) -> None:
    noted = {"version": 1, "plan": plan, "part": kept.part}
    try:
        partial = path / "sweep.json.part"
        partial.write_text(codec.dumps(noted), encoding="utf-8")
        partial.replace(path / "sweep.json")
    except OSError as error:
        raise OutputError.of(path, error) from error

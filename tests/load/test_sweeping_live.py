"""A sweep against a real server: whole levels are kept, a level that was cut off is held again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.load import rundir, sweeping
from holdfast.load.bench import Bench
from holdfast.load.cooling import BETWEEN, CoolDown
from holdfast.load.http import Target
from holdfast.load.rundir import RunDir, RunSpec
from holdfast.load.subject import Subject
from holdfast.load.sweeping import Kept, Plan
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, Workload
from holdfast.model.stages import Arrivals, Level, LoadCurve, Stage

IMAGES = Workload(api=Api.IMAGES)
SPEC = RunSpec("sweep", "http://x", "images", "m", None, "closed", 0)


def users(*counts: int, requests: int = 5) -> tuple[Level, ...]:
    return tuple(
        Level(Arrivals.CLOSED, concurrency=count, requests=requests * count, duration_s=30.0) for count in counts
    )


PLAN = Plan(users(1, 2, 4), (0, 3, 0), 5.0)


def swept(
    url: str, run: RunDir, plan: Plan, kept: Kept, tell: Callable[[Stage | CoolDown], None] = lambda _: None
) -> LoadCurve:
    async def sweep() -> LoadCurve:
        bench = Bench(Subject("unit", Target.parse(url), IMAGES, "m", timeout_s=5.0), None, run=run, part=kept.part)
        try:
            return await sweeping.sweep(bench, plan, run, kept, tell=tell)
        finally:
            await bench.close()

    return asyncio.run(asyncio.wait_for(sweep(), 60))


class InterruptedHereError(Exception):
    pass


def test_a_sweep_that_was_cut_off_goes_on_with_the_level_that_was_not_whole(
    stand_in: Callable[..., str], tmp_path: Path
) -> None:
    url, run, told = stand_in("ok"), RunDir.create(tmp_path / "run", SPEC), list[Stage | CoolDown]()

    def interrupt(news: Stage | CoolDown) -> None:
        told.append(news)
        if isinstance(news, CoolDown) and len(told) == 4:
            raise InterruptedHereError  # between the second level and the third

    with run, pytest.raises(InterruptedHereError):
        swept(url, run, PLAN, sweeping.begin(run, PLAN), interrupt)
    assert [type(news) for news in told] == [Stage, CoolDown, Stage, CoolDown]
    assert all(news.back for news in told if isinstance(news, CoolDown))
    kept = sweeping.resume(run.path, PLAN)
    assert (len(kept.stages), kept.part) == (2, 1)
    again = list[Stage | CoolDown]()
    with RunDir.reopen(run.path, SPEC) as resumed:
        curve = swept(url, resumed, PLAN, kept, again.append)
    assert [PLAN.place(news) for news in again if isinstance(news, Stage)] == [2]
    # Stage 2 would be the third level of the first part; rows of it would be of no stage.
    assert sorted(stage.index for stage in curve.stages) == [0, 1, 5]
    assert rundir.read_written_curve(run.path) == curve
    merged = rundir.read_requests(run.path)
    assert np.count_nonzero(merged.stage == 5) == 20
    first, last = merged.where(merged.stage == 0), merged.where(merged.stage == 5)
    assert first.end_s.max() < last.intended_s.min()
    # Warm-up and single requests are there, and of no level.
    assert np.count_nonzero(merged.stage == BETWEEN) > 3


def test_what_is_continued_has_to_be_the_same_sweep(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sweep to continue"):
        sweeping.resume(tmp_path, PLAN)
    run = RunDir.create(tmp_path / "run", SPEC)
    sweeping.begin(run, PLAN)
    assert sweeping.resume(run.path, PLAN).stages == ()
    with pytest.raises(InputError, match="another one"):
        sweeping.resume(run.path, Plan(users(1, 2, 8), (0, 3, 0), 5.0))


def test_a_server_that_stays_slow_is_said_to_be_so(stand_in: Callable[..., str], tmp_path: Path) -> None:
    plan = Plan(users(1, 2), (0, 0), 0.3)
    run, told = RunDir.create(tmp_path / "run", SPEC), list[Stage | CoolDown]()
    with run:
        swept(stand_in("tired"), run, plan, sweeping.begin(run, plan), told.append)
    (cooled,) = (news for news in told if isinstance(news, CoolDown))
    assert not cooled.back and 0.3 <= cooled.waited_s < 5
    assert run.curve is not None
    (note,) = (stage.notes for stage in run.curve.stages if stage.index == 1)
    assert "begun on a server that was not idle after" in note[-1]

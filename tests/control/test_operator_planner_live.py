"""Plans are made by a child process that is bounded, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from holdfast.control.operator.plans import plan_inputs, planner, settling
from holdfast.control.operator.plans.planner import Planner
from holdfast.control.operator.plans.settled import Due, Tried
from holdfast.model import document
from holdfast.model.plan import PlanStatus
from processes import alive

EXAMPLES = Path(__file__).parents[2] / "examples"
SLEEPS = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made in these tests."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def due(name: str = "sd21", measurements: str | None = None) -> Due:
    folder = EXAMPLES / name
    resource = document.resource(
        document.read_declared((folder / "fleet.yaml").read_text(encoding="utf-8"), where=name)
    )
    resource["metadata"]["uid"] = "u"
    text = (folder / "measurements.csv").read_text(encoding="utf-8") if measurements is None else measurements
    config = {plan_name(resource): {"data": {"measurements.csv": text}}}
    settled = settling.settle(resource, config, highest_per_s=None, prices_of=planner.prices_of, tried=None, now_s=0.0)
    assert settled.due is not None
    return settled.due


def plan_name(resource: dict[str, dict[str, str]]) -> str:
    return f"{resource['metadata']['name']}-measurements"


def made(what: Due, **how: object) -> Tried:
    return asyncio.run(Planner(lambda: 5.0, **how).make(what))  # type: ignore[arg-type]


def test_a_plan_is_made_of_the_fleet_and_its_measurements(temporary: Path) -> None:
    tried = made(due())
    assert tried.plan is not None and tried.plan.status is PlanStatus.FEASIBLE
    assert tried.plan.fleet.metadata.name == "sd21"
    assert (tried.lasting, tried.ended_s) == (True, 5.0)
    assert list(temporary.iterdir()) == []


def test_the_demand_is_the_one_that_is_due() -> None:
    wanted = due()
    spec = wanted.declared.fleet.spec
    demand = plan_inputs.raised(spec.demand, 30.0)
    fleet = wanted.declared.fleet.model_copy(update={"spec": spec.model_copy(update={"demand": demand})})
    tried = made(dataclasses.replace(wanted, declared=dataclasses.replace(wanted.declared, fleet=fleet)))
    assert tried.plan is not None and tried.plan.demand_per_s == 30.0


def test_what_cannot_be_planned_on_is_told_in_the_verbs_own_sentence() -> None:
    tried = made(due(measurements="unit,nonsense\nx,1\n"))
    assert tried.plan is None and tried.lasting
    assert tried.why.startswith("measurements.csv:1: unknown column 'nonsense'")


def test_an_infeasible_plan_is_an_answer() -> None:
    wanted = due()
    spec = wanted.declared.fleet.spec
    demand = plan_inputs.raised(spec.demand, 100_000.0)
    fleet = wanted.declared.fleet.model_copy(update={"spec": spec.model_copy(update={"demand": demand})})
    tried = made(dataclasses.replace(wanted, declared=dataclasses.replace(wanted.declared, fleet=fleet)))
    assert tried.plan is not None and tried.plan.status is PlanStatus.INFEASIBLE


def test_planning_that_takes_too_long_is_ended(temporary: Path) -> None:
    tried = made(due(), limit_s=0.3, command=SLEEPS)
    assert (tried.plan, tried.lasting) == (None, False)
    assert tried.why == "Planning took more than 0.3 s, and was ended; it is tried again."
    assert list(temporary.iterdir()) == []


def test_planning_that_is_killed_is_told_and_tried_again() -> None:
    tried = made(due(), command=(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    assert (tried.plan, tried.lasting) == (None, False)
    assert tried.why == "Planning was ended by signal 9 (it said nothing); it is tried again."


def test_one_plan_is_made_at_a_time_and_cancelling_leaves_nothing(temporary: Path) -> None:
    async def run() -> int:
        busy = Planner(lambda: 0.0, command=SLEEPS)
        wanted = due()
        asked = [asyncio.create_task(busy.make(wanted)) for _ in range(3)]
        await asyncio.sleep(0.5)
        folders = len(os.listdir(temporary))  # noqa: PTH208
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        return folders

    assert asyncio.run(run()) == 1
    assert list(temporary.iterdir()) == []


PARENT = """
import asyncio, sys
from control.test_operator_planner_live import due
from holdfast.control.operator.plans.planner import Planner
code = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(60)"
asyncio.run(Planner(lambda: 0.0, command=(sys.executable, "-c", code, sys.argv[1])).make(due()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the leash is Linux's PR_SET_PDEATHSIG")
def test_planning_does_not_outlive_an_operator_that_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r}){PARENT}"]
    with subprocess.Popen([*command, str(said)]) as parent:
        last = time.monotonic() + 20
        while not (said.exists() and said.read_text().endswith("\n")) and time.monotonic() < last:
            time.sleep(0.05)
        parent.send_signal(signal.SIGKILL)
    pid = int(said.read_text())
    last = time.monotonic() + 5
    while alive(pid) and time.monotonic() < last:
        time.sleep(0.05)
    assert not alive(pid)

"""How long days of a whole fleet take, with everything on: decisions, checks, cold starts, records. See `simulator`.

The fleet and the scenario of the published failover (examples/sd21/wave.yaml,
examples/scenarios/inf2-insufficient.yaml): three days of waves with Inferentia2 insufficient in the second. The load
and the fleet's bounds are multiplied so that about 100 million requests come. Compiling and planning are not counted,
the clairvoyant optimum is, with its own column.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from holdfast.cli import known
from holdfast.cli.known import Circumstances
from holdfast.control.policies import POLICIES
from holdfast.model import document
from holdfast.model.plan import Plan
from holdfast.simulation import material, score
from holdfast.simulation.run import simulate
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.sweep import Case

EXAMPLES = Path(__file__).parents[1] / "examples"
WAVE = 120.0
"""Requests/s on average of the example."""


def plan(factor: float) -> Plan:
    """The example's plan for so many times its demand."""
    path = EXAMPLES / "sd21" / "wave.yaml"
    declared = document.read_declared(path.read_text("utf-8"), where=str(path))
    fleet, spec = declared.fleet, declared.fleet.spec
    demand = spec.demand.model_copy(
        update={
            "rate_per_s": spec.demand.rate_per_s * factor,
            "day_per_s": tuple(rate * factor for rate in spec.demand.day_per_s),
        }
    )
    units = tuple(unit.model_copy(update={"max_replicas": round(unit.max_replicas * factor)}) for unit in spec.units)
    larger = fleet.model_copy(update={"spec": spec.model_copy(update={"demand": demand, "units": units})})
    asked = Circumstances(
        replace(declared, fleet=larger), (), False, True, datetime.datetime.now(tz=datetime.UTC).date()
    )
    return known.from_file(asked, EXAMPLES / "sd21" / "measurements.csv").plan()


def scenario(factor: float) -> Scenario:
    read, _ = material.read(EXAMPLES / "scenarios" / "inf2-insufficient.yaml")
    wave = read.spec.load.wave
    assert wave is not None
    higher = wave.model_copy(update={"low_per_s": wave.low_per_s * factor, "high_per_s": wave.high_per_s * factor})
    load = read.spec.load.model_copy(update={"wave": higher})
    return read.model_copy(update={"spec": read.spec.model_copy(update={"load": load})})


def table(requests: float, policies: Sequence[str]) -> list[str]:
    days = scenario(1.0)
    factor = requests / (WAVE * days.spec.duration_s)
    case = Case(plan(factor), scenario(factor))
    short = days.model_copy(update={"spec": days.spec.model_copy(update={"duration_s": 600.0})})
    simulate(case.plan, short, POLICIES["static"], 1)
    pools = case.pools()
    usd, _ = score.default_lambda(pools)
    lines = [
        "| policy | requests | lost | looks | wall | CPU | requests per CPU-second | the optimum beside it |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in policies:
        begun_s, spent_s = time.monotonic(), time.process_time()
        outcome = simulate(case.plan, case.scenario, POLICIES[name], 1)
        wall_s, cpu_s = time.monotonic() - begun_s, time.process_time() - spent_s
        begun_s = time.monotonic()
        score.best(outcome, pools, case.scenario, (), usd)
        lines.append(
            f"| {name} | {outcome.offered:,} | {outcome.lost:,} | {outcome.looks:,} | {wall_s:.0f} s | {cpu_s:.0f} s |"
            f" {outcome.offered / cpu_s:,.0f} | {time.monotonic() - begun_s:.1f} s |"
        )
    return lines

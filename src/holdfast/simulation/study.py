"""A study: a fleet through scenarios, under policies, with seeds, and what its runs come to side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.model import simulation
from holdfast.model.curve import Curve
from holdfast.model.errors import InputError
from holdfast.model.plan import Plan
from holdfast.model.simulation import Simulation, Study
from holdfast.model.timeline import Timeline
from holdfast.simulation import assumptions, caveats, material, parameters, score, sweep
from holdfast.simulation.parameters import Parameter
from holdfast.simulation.sweep import Answer, Carry, Case


@dataclass(frozen=True)
class Asked:
    """What is asked of every case. requests_per_usd: lambda; by each case's own dearest pool where None."""

    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    requests_per_usd: float | None

    @property
    def count(self) -> int:
        """Of the runs of a case."""
        return len(self.policies) * len(self.seeds)


@dataclass(frozen=True)
class Found:
    """A study, and the timelines of its first seed by scenario and policy."""

    study: Study
    timelines: Mapping[str, Mapping[str, Timeline]]


def cases(
    plan: Plan, paths: Sequence[Path], curves: Mapping[str, Curve], varied: Sequence[Parameter] = ()
) -> tuple[Case, ...]:
    """The plan's fleet in each of the scenarios, with every combination of the parameters.

    Raises InputError for a scenario that does not suit the fleet, or that is named as another one.
    """
    found: list[Case] = []
    settings = tuple(parameters.settings(varied))
    for path in paths:
        for number, setting in enumerate(settings, 1 if varied else 0):
            scenario, beside = material.read(path, setting)
            text = path.read_text("utf-8")
            case = Case(parameters.plan_of(plan, setting), scenario, beside, curves, text, setting, number)
            if case.name in {other.name for other in found}:
                raise InputError(
                    f"another scenario is named {case.name} too", where=str(path), mend="rename one of them"
                )
            case.pools()
            found.append(case)
    return tuple(found)


def place(workers: int, ray_address: str | None, runs: int) -> Carry:
    """Where so many runs are made: on a Ray cluster, on the cores of this machine, or here where that is as quick."""
    if ray_address is not None:
        return sweep.on_ray(ray_address)
    return sweep.in_turn if min(workers, runs) == 1 else sweep.on_cores(workers)


def run(cases: Sequence[Case], asked: Asked, carry: Carry, done: Callable[[int], None] = lambda _: None) -> Found:
    """All runs of the study. done: told how many are made. Raises InputError, TrialError."""
    lambdas = [_lambda(case, asked) for case in cases]
    wanted = sweep.trials([usd for usd, _ in lambdas], asked.policies, asked.seeds)
    answers = sweep.sweep(cases, wanted, carry, done)
    simulations, timelines = [], {}
    for number, (case, worth) in enumerate(zip(cases, lambdas, strict=True)):
        mine = answers[number * asked.count : (number + 1) * asked.count]
        simulations.append(_side_by_side(case, asked, worth, mine))
        timelines[case.name] = {a.outcome.policy: a.outcome.timeline for a in mine if a.outcome.seed == asked.seeds[0]}
    return Found(Study(simulation.VERSION, tuple(simulations)), timelines)


def _lambda(case: Case, asked: Asked) -> tuple[float, str]:
    if asked.requests_per_usd is not None:
        return asked.requests_per_usd, "as given"
    return score.default_lambda(case.pools())


def _side_by_side(case: Case, asked: Asked, worth: tuple[float, str], answers: Sequence[Answer]) -> Simulation:
    best = {answer.best.seed: answer.best for answer in answers if answer.best is not None}
    usd, reason = worth
    scores = [score.score(answer.outcome, best[answer.outcome.seed], usd) for answer in answers]
    pools = case.pools()
    return Simulation(
        scenario=case.name,
        text=case.text,
        setting=case.setting,
        fleet=case.plan.fleet,
        pools=tuple(pool.name for pool in pools),
        duration_s=case.scenario.spec.duration_s,
        seeds=asked.seeds,
        requests_per_usd=usd,
        lambda_reason=reason,
        policies=tuple(
            score.over_seeds(policy, [one for one in scores if one.policy == policy]) for policy in asked.policies
        ),
        best=tuple(best.values()),
        best_spreads=score.over_best(list(best.values())),
        caveats=caveats.sentences(case.plan, pools),
        assumptions=assumptions.sentences(pools, case.scenario),
    )

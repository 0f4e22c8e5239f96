"""Policies x scenarios x parameters x seeds, on one core, on all cores, or on Ray; the same results whichever.

A run depends on its case, policy and seed alone, and answers are put in the order of the runs, so neither the number of
workers nor who is done first can change anything.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from holdfast.control.policies import POLICIES
from holdfast.model.curve import Curve
from holdfast.model.errors import HoldfastError, InputError
from holdfast.model.plan import Plan
from holdfast.model.simulation import Best
from holdfast.model.timeline import Timeline
from holdfast.simulation import fleet, score
from holdfast.simulation.fleet import Pool
from holdfast.simulation.material import Material
from holdfast.simulation.measures import Bounds
from holdfast.simulation.outcome import Outcome
from holdfast.simulation.parameters import Setting
from holdfast.simulation.run import simulate
from holdfast.simulation.scenario import Scenario


@dataclass(frozen=True)
class Case:
    """A fleet in a scenario, with what the scenario names beside it.

    text:    the scenario as it was written. setting: what has another value in this case, by key.
    number:  of this setting among those of the scenario, from 1; 0 where there is but one.
    """

    plan: Plan
    scenario: Scenario
    material: Material = field(default_factory=Material)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    text: str = ""
    setting: Setting = field(default_factory=dict)
    number: int = 0

    @property
    def name(self) -> str:
        name = self.scenario.metadata.name
        return f"{name}-{self.number}" if self.number else name

    def pools(self) -> tuple[Pool, ...]:
        """The pools of its fleet. Raises InputError where fleet and scenario do not suit each other."""
        Bounds(self.plan.fleet.spec.slo)
        found = fleet.pools(self.plan, self.scenario, self.curves)
        if not found:
            raise InputError("the plan has no pools, so there is nothing to simulate", mend="plan the fleet anew")
        supply = self.scenario.spec.supply
        for change in self.material.changes:
            fleet.refuse_scope(change.scope, found, supply.file if supply else "")
        return found


@dataclass(frozen=True)
class Trial:
    """A run to make.

    case:  its number.
    drawn: whether its timeline is wanted, which is most of what a run answers.
    requests_per_usd: lambda, where the clairvoyant optimum for the same requests is wanted too; else None.
    """

    case: int
    policy: str
    seed: int
    drawn: bool
    requests_per_usd: float | None = None


@dataclass(frozen=True)
class Answer:
    """What became of a trial. best: the clairvoyant optimum, where it was wanted."""

    outcome: Outcome
    best: Best | None


class TrialError(HoldfastError):
    """A run failed that should not have; says which."""

    def __init__(self, trial: Trial, scenario: str, why: str) -> None:
        self.trial, self.scenario, self.why = trial, scenario, why
        super().__init__(f"scenario {scenario} under {trial.policy} with seed {trial.seed} failed: {why}")

    def __reduce__(self) -> tuple[type[TrialError], tuple[Trial, str, str]]:
        return TrialError, (self.trial, self.scenario, self.why)


Answers = Generator[tuple[int, Answer], None, None]
"""Each answer with the number of its trial, as soon as it is there."""

Carry = Callable[[Sequence[Case], Sequence[Trial]], Answers]
"""Makes the runs somewhere."""


def trials(requests_per_usd: Sequence[float], policies: Sequence[str], seeds: Sequence[int]) -> tuple[Trial, ...]:
    """All of them, by case, policy and seed; requests_per_usd: lambda of each case.

    The first seed of each policy is drawn. The requests of a seed are the same under all policies, so that its optimum
    is sought once, beside the first.
    """
    return tuple(
        Trial(case, policy, seed, seed == seeds[0], usd if policy == policies[0] else None)
        for case, usd in enumerate(requests_per_usd)
        for policy in policies
        for seed in seeds
    )


def sweep(
    cases: Sequence[Case], wanted: Sequence[Trial], carry: Carry, done: Callable[[int], None] = lambda _: None
) -> tuple[Answer, ...]:
    """The answer to each trial, in their order. done: told how many there are. Raises TrialError, InputError."""
    found: dict[int, Answer] = {}
    with contextlib.closing(carry(cases, wanted)) as answers:
        for number, answer in answers:
            found[number] = answer
            done(len(found))
    return tuple(found[number] for number in range(len(wanted)))


def make(case: Case, trial: Trial) -> Answer:
    """One run. Raises TrialError, InputError."""
    try:
        return _make(case, trial)
    except InputError:
        raise
    except Exception as error:
        # Whatever it was, out of hundreds of runs it must be known which one to make again.
        raise TrialError(trial, case.name, f"{type(error).__name__}: {error}") from error


def _make(case: Case, trial: Trial) -> Answer:
    policy, usd = POLICIES[trial.policy], trial.requests_per_usd
    outcome = simulate(case.plan, case.scenario, policy, trial.seed, material=case.material, curves=case.curves)
    changes = case.material.changes
    best = None if usd is None else score.best(outcome, case.pools(), case.scenario, changes, usd)
    if not trial.drawn:
        outcome = replace(outcome, timeline=Timeline(outcome.timeline.interval_s, (), (), ()))
    return Answer(outcome, best)


def in_turn(cases: Sequence[Case], wanted: Sequence[Trial]) -> Answers:
    """One after the other in this process."""
    for number, trial in enumerate(wanted):
        yield number, make(cases[trial.case], trial)


def on_cores(workers: int) -> Carry:
    """In processes of this machine, which end when this one does, whatever ended it."""

    def carry(cases: Sequence[Case], wanted: Sequence[Trial]) -> Answers:
        before = set(multiprocessing.active_children())
        pool = ProcessPoolExecutor(
            min(workers, len(wanted)), multiprocessing.get_context("spawn"), _enter, (tuple(cases),)
        )
        try:
            numbers = {pool.submit(_made, trial): number for number, trial in enumerate(wanted)}
            for one in concurrent.futures.as_completed(numbers):
                try:
                    yield numbers[one], one.result()
                except BrokenProcessPool as error:
                    trial = wanted[numbers[one]]
                    raise TrialError(trial, cases[trial.case].name, "its process was killed") from error
        except BaseException:
            # The pool itself would wait for the runs that have begun. It alone waits for the processes to end: of two
            # threads that do, one takes the exit code and the other believes for ever that the process runs.
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()

    return carry


_KNOCK_S = 5.0

_entered: tuple[Case, ...] = ()
"""The cases of a worker process: sent once to each, not with every trial."""


def _enter(cases: tuple[Case, ...]) -> None:
    global _entered
    _entered = cases
    # An interrupt from the keyboard reaches all processes; the first of them ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _made(trial: Trial) -> Answer:
    return make(_entered[trial.case], trial)


def on_ray(address: str) -> Carry:
    """On the Ray cluster at this address, as `ray.init` takes it; `local` starts one here.

    Every machine of it needs this version of holdfast with the extra `simulate`. Raises InputError where Ray is not
    installed or does not answer.
    """

    def carry(cases: Sequence[Case], wanted: Sequence[Trial]) -> Answers:
        ray = _ray()
        begun = not ray.is_initialized()
        if begun:
            _connect(ray, address)
        try:
            remote = ray.remote(max_retries=0)(make)
            stored = [ray.put(case) for case in cases]
            numbers = {remote.remote(stored[trial.case], trial): number for number, trial in enumerate(wanted)}
            waiting = list(numbers)
            while waiting:
                ready, waiting = ray.wait(waiting)
                number = numbers[ready[0]]
                try:
                    answer = ray.get(ready[0])
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from error
                except ray.exceptions.RayError as error:
                    trial = wanted[number]
                    raise TrialError(trial, cases[trial.case].name, str(error)) from error
                yield number, answer
        finally:
            if begun:
                ray.shutdown()

    return carry


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            "Ray is not installed", where="--ray", mend="pip install 'holdfast[ray]', or leave the flag out"
        ) from error


def _connect(ray: Any, address: str) -> None:
    try:
        _knock(address)
        ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(
            f"no Ray cluster answers at {address!r} ({reason})", where="--ray", mend="start one, or give its address"
        ) from error


def _knock(address: str) -> None:
    """Raises OSError where nobody listens, ValueError for a port that is none: Ray tries for a minute, in ten lines."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), _KNOCK_S).close()

"""Losses that given replicas do not survive: the proof of each, as a row of programs, and instances that mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.planning.mix import carrying
from holdfast.planning.mix.highs import TOLERANCE, Floats, Ints, Program
from holdfast.planning.mix.losses import Event
from holdfast.planning.mix.problem import Problem

_STEPS = 30
"""Of adding instances one kind at a time; more than a handful cost more than solving anew."""


@dataclass(frozen=True)
class Cut:
    """After that loss, what is left must earn the demand's worth at these prices per request of each bucket."""

    event: Event
    prices: tuple[float, ...]


def unsurvived(
    problem: Problem, events: Sequence[Event], known: Sequence[tuple[float, ...]], index: int, replicas: Floats
) -> list[Cut]:
    """For each loss that the replicas (by supply) do not survive in that period, a cut that says so.

    known: price vectors to try before a program is solved for a new one.
    """
    demand, found, vectors = problem.demand[index], list[Cut](), list(known)
    for event in events:
        gone = np.zeros_like(replicas)
        gone[list(event.supplies)] = replicas[list(event.supplies)]
        if not gone.any():
            continue
        rest = problem.by_unit(replicas - gone)
        prices = next((vector for vector in vectors if _missing(problem, vector, index, rest) > 0), None)
        if prices is None and len(demand) > 1:
            factor, worth = carrying.load_factor(problem.planned_limits[index], demand, rest)
            if factor < carrying.ENOUGH:
                prices = tuple((worth / worth.max()).tolist())
                vectors.append(prices)
        if prices is not None:
            found.append(Cut(event, prices))
    return found


def earning_rows(
    problem: Problem,
    program: Program,
    cuts: Sequence[Cut],
    vectors: Sequence[tuple[float, ...]],
    index: int,
    replicas: Ints,
    scale: Ints | None,
) -> None:
    """At each of the price vectors the whole fleet earns enough, and so does what is left after the losses of its cuts.

    For the whole fleet that follows from its traffic, but it gives the solver a row of whole numbers to work with.
    """
    demand, limits = problem.demand[index], problem.planned_limits[index]
    for prices in dict.fromkeys((*vectors, *(cut.prices for cut in cuts))):
        worth = float(np.array(prices) @ demand)
        if worth <= 0:
            continue
        earned = (carrying.earnings(limits, np.array(prices)) / worth)[problem.unit_of]
        least = (1 - TOLERANCE) / problem.requirement.utilization_target if scale is None else 0.0
        whole = program.columns(1, lower=least)
        program.rows(1, (0, replicas, earned), (0, whole, -1.0), lower=0.0, upper=0.0)
        lost = [cut.event.supplies for cut in cuts if cut.prices == prices]
        if not lost:
            continue
        at = np.repeat(np.arange(len(lost)), [len(supplies) for supplies in lost])
        gone = np.concatenate(lost).astype(np.int64)
        carried = [] if scale is None else [(np.arange(len(lost)), scale, -1.0)]
        program.rows(
            len(lost),
            (np.arange(len(lost)), whole, 1.0),
            (at, replicas[gone], -earned[gone]),
            *carried,
            lower=1 - TOLERANCE if scale is None else 0.0,
        )


def mended(problem: Problem, events: Sequence[Event], index: int, replicas: Ints, most: Ints) -> Ints | None:
    """The replicas and as few instances more as greed finds, so that they survive every loss; None where it finds none.

    Only units that have replicas get more, so that no pool is opened. most: replicas by unit.
    """
    whole, known = replicas.copy(), list[tuple[float, ...]]()
    for _ in range(_STEPS):
        cuts = unsurvived(problem, events, known, index, whole.astype(float))
        if not cuts:
            return whole
        known = list(dict.fromkeys([*known, *(cut.prices for cut in cuts)]))
        step = _step(problem, cuts[0], index, whole, most)
        if step is None:
            return None
        whole += step
    return None


def _step(problem: Problem, cut: Cut, index: int, replicas: Ints, most: Ints) -> Ints | None:
    """The cheapest instances of one supply that mend the cut; None when no supply has room for them."""
    lost = list(cut.event.supplies)
    left = replicas.astype(float)
    left[lost] = 0.0
    missing = _missing(problem, cut.prices, index, problem.by_unit(left))
    earns = (
        carrying.earnings(problem.planned_limits[index], np.array(cut.prices))[problem.unit_of] * problem.per_instance
    )
    earns[lost] = 0.0
    count = np.ceil(np.divide(missing, earns, out=np.full(len(earns), np.inf), where=earns > 0))
    used = problem.by_unit(replicas)
    room = np.minimum(problem.max_by_supply - replicas, (most - used)[problem.unit_of]) // problem.per_instance
    for quota, vcpus in problem.requirement.quotas.items():
        each = problem.vcpus(quota)
        free = vcpus - each @ problem.instances(replicas)
        room = np.where(each > 0, np.minimum(room, free // np.maximum(each, 1)), room)
    possible = (count <= room) & (used[problem.unit_of] > 0)
    if not possible.any():
        return None
    best = int(np.argmin(np.where(possible, count * problem.prices, np.inf)))
    step = np.zeros_like(replicas)
    step[best] = int(count[best]) * problem.per_instance[best]
    return step


def _missing(problem: Problem, prices: tuple[float, ...], index: int, replicas: Floats) -> float:
    """What the replicas (by unit) earn too little at these prices; 0 when they earn the demand's worth."""
    priced = np.array(prices)
    worth = float(priced @ problem.demand[index])
    earned = float(carrying.earnings(problem.planned_limits[index], priced) @ replicas)
    return worth - earned if earned < worth * carrying.ENOUGH else 0.0

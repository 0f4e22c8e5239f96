"""The search for the cheapest mix, in stages; it ends with the first that leaves a gap small enough.

1. Linear relaxation of all periods together: a bound, and what each limit and each start is worth.
2. Period after period as mixed-integer programs, starts against the period before counted: a mix.
3. Each period by itself, at prices that carry what the relaxation pays for starts: a better bound, and mixes to choose
   from for every period.
4. All periods as one mixed-integer program, from the best mix so far, for a quarter of the time: large ones gain
   nothing by more.

On the way to the first mix and to the bounds no program may use up the time: each gets a part of what is left, a third
of which is kept for the bounds, and what it has found and proved by then is taken.

The bound of stage 3 is Lagrange's: with lambda_t what a start before period t is worth to the relaxation, every mix
costs at least the sum over t of the least (price + lambda_t - lambda_t+1) x instances_t (Geoffrion 1974,
doi:10.1007/BFb0120690).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from holdfast.planning.mix.day import cheapest_day, day_usd
from holdfast.planning.mix.highs import Floats, Ints, Solution, Status
from holdfast.planning.mix.problem import Problem
from holdfast.planning.mix.program import Layout
from holdfast.planning.mix.settling import Settling, TimeIsUpError

_PART_OF_GAP = 0.25
"""Of the gap that is asked for: what a single period may leave, so that the sum over periods keeps to it."""

_PART_OF_TIME = 0.25
"""Of the time that is left: what one program on the way to the first mix may use; of all time, the last stage."""

_GENEROUS = 3
"""Times its even part of the time that is left: what the bound of one period may use, as most need far less."""

_PATIENCE = 3
"""Times the time limit: what the relaxation may take, without which nothing is known."""

_COARSE = 0.01
"""Gap of single periods where none is allowed in the end: they are a start only, the last stage closes it."""


@dataclass(frozen=True)
class Found:
    """The best mix as replicas (periods, supplies), its cost and bound in US dollars over all periods together, and the
    relaxation that says what limits are worth."""

    replicas: Ints
    usd: float
    bound_usd: float
    relaxation: Solution
    layout: Layout

    @property
    def gap(self) -> float:
        return min(1.0, max(0.0, 1 - self.bound_usd / self.usd))


@dataclass
class Search:
    """One search for a mix, to a relative gap of 0..1."""

    settling: Settling
    gap: float

    @property
    def problem(self) -> Problem:
        return self.settling.problem

    def run(self) -> Found | None:
        """The best mix, or None when there is none. Raises TimeIsUpError when not even the first was found."""
        count = len(self.problem.demand)
        # Requests of one size have all their cuts from the start; else the hardest periods show most of them.
        for index in self.problem.hardest() if self.settling.events and self.problem.demand.shape[1] > 1 else ():
            build = partial(self.settling.build, [index])
            if self.settling.settle(build, relaxed=True, within_s=self.settling.left_s) is None:
                return None
        layout = self.settling.build(range(count), circle=count > 1)
        relaxation = self.settling.solve(layout, relaxed=True, time_limit_s=_PATIENCE * self.settling.time_limit_s)
        if relaxation.status is Status.INFEASIBLE:
            return None
        if not relaxation.found:
            raise TimeIsUpError(f"HiGHS has not solved the linear relaxation in {relaxation.seconds:.3g} s.")
        hardest = layout.periods[self.problem.hardest()[0]]
        worth = np.maximum(relaxation.row_worth[hardest.demand_rows], 0.0)
        if worth.any():
            self.settling.vectors.append(tuple(_per_request(worth, self.problem.demand[hardest.index]).tolist()))
        return self._one_period(layout, relaxation) if count == 1 else self._day(layout, relaxation)

    def _one_period(self, layout: Layout, relaxation: Solution) -> Found | None:
        build = partial(self.settling.build, [0])
        solved = self.settling.settle(build, gap=self.gap, within_s=self.settling.left_s)
        if solved is None:
            return None
        replicas = solved.replicas.astype(np.int64)
        bound = max(solved.bound, relaxation.bound)
        return Found(replicas, day_usd(self.problem, replicas), bound, relaxation, layout)

    def _day(self, layout: Layout, relaxation: Solution) -> Found | None:
        gap_usd = self._period_gap() * relaxation.objective / len(self.problem.demand)
        most = self._pools()
        rolled = None if most is None else self._rolled(most, gap_usd)
        if most is None or rolled is None:
            return None
        found = Found(rolled, day_usd(self.problem, rolled), relaxation.bound, relaxation, layout)
        for stage in (partial(self._priced, most=most, gap_usd=gap_usd), self._joint):
            if found.gap <= self.gap:
                break
            try:
                found = stage(found)
            except TimeIsUpError:
                break  # the mix that there is stands, with the gap that it has
        return found

    def _pools(self) -> Ints | None:
        """Most replicas by unit once the pools are chosen: those of the hardest, the middle and the easiest period
        together. None when there is no choice that carries the hardest."""
        most = self.problem.max_by_unit
        if (self.problem.requirement.max_pools or len(most)) >= len(most):
            return most
        order = np.argsort(-self.problem.demand.sum(axis=1), kind="stable")
        chosen = sorted({*self.problem.hardest(), int(order[len(order) // 2]), int(order[-1])})
        solved = self.settling.settle(
            partial(self.settling.build, chosen),
            gap=self._period_gap(),
            within_s=self.settling.left_s * _PART_OF_TIME,
        )
        if solved is None:
            return None
        used = self.problem.by_unit(solved.replicas.sum(axis=0)) > 0
        return np.where(used, most, 0)

    def _rolled(self, most: Ints, gap_usd: float) -> Ints | None:
        """A mix, period by period from the easiest on, each with its starts against the one before."""
        first = int(np.argmin(self.problem.demand.sum(axis=1)))
        count = len(self.problem.demand)
        rows = np.zeros((count, len(self.problem.prices)), dtype=np.int64)
        before: Ints | None = None
        reserved_s = self.settling.left_s / 3  # for the bounds: a mix of which nothing is proved is worth little
        for step in range(count):
            index = (first + step) % count
            solved = self.settling.settle(
                partial(self.settling.build, [index], before=before, most=most),
                gap=self._period_gap(),
                gap_usd=gap_usd,
                within_s=(self.settling.left_s - reserved_s) * max(_PART_OF_TIME, 1 / (count - step)),
            )
            if solved is None:
                return None
            rows[index] = solved.replicas[0]
            before = self.problem.instances(rows[index])
        return rows

    def _priced(self, found: Found, most: Ints, gap_usd: float) -> Found:
        """Each period by itself at prices with what starts are worth: the sum of the bounds, the best day of the mixes.

        They are left out where they use a unit that is not among the chosen pools.
        """
        worth = np.clip(found.relaxation.row_worth[found.layout.start_rows], 0.0, self.problem.start_usd)
        prices = self.problem.prices * self.problem.requirement.period_h + worth - np.roll(worth, -1, axis=0)
        rows, bound = np.zeros(worth.shape, dtype=np.int64), 0.0
        for index in range(len(prices)):
            solved = self.settling.settle(
                partial(self.settling.build, [index], prices=prices[index : index + 1]),
                gap=self._period_gap(),
                gap_usd=gap_usd,
                within_s=self.settling.left_s * min(1.0, _GENEROUS / (len(prices) - index)),
            )
            assert solved is not None  # `_rolled` has found a mix for each period under tighter limits
            rows[index] = solved.replicas[0]
            bound += solved.bound
        among = bool(((self.problem.by_unit(rows.sum(axis=0)) > 0) <= (most > 0)).all())
        joined = cheapest_day(self.problem, [found.replicas, rows] if among else [found.replicas])
        return replace(found, replicas=joined, usd=day_usd(self.problem, joined), bound_usd=max(bound, found.bound_usd))

    def _joint(self, found: Found) -> Found:
        """All periods as one program, from the mix that was found."""
        build = partial(self.settling.build, range(len(self.problem.demand)), circle=True)
        start = self._start(build(), found.replicas)
        within_s = min(self.settling.left_s, _PART_OF_TIME * self.settling.time_limit_s)
        solved = self.settling.settle(build, gap=self.gap, start=start, within_s=within_s)
        assert solved is not None  # it starts from a mix that it contains
        replicas, bound = solved.replicas.astype(np.int64), max(found.bound_usd, solved.bound)
        usd = day_usd(self.problem, replicas)
        better = found if found.usd <= usd else replace(found, replicas=replicas, usd=usd)
        return replace(better, bound_usd=bound)

    def _start(self, layout: Layout, replicas: Ints) -> Floats:
        """The mix as values of the program's whole columns; the solver completes the others."""
        values = np.zeros(layout.program.column_count)
        for period, row in zip(layout.periods, replicas, strict=True):
            values[period.instances] = self.problem.instances(row)
            values[period.replicas] = row
            values[period.opened] = self.problem.by_unit(row)[: len(period.opened)] > 0
        values[layout.pools] = self.problem.by_unit(replicas.sum(axis=0))[: len(layout.pools)] > 0
        return values

    def _period_gap(self) -> float:
        return self.gap * _PART_OF_GAP or _COARSE


def _per_request(worth: Floats, demand: Floats) -> Floats:
    """Prices per request, the highest 1, of what all requests of a bucket are worth; 0 for a bucket without any."""
    each = np.divide(worth, demand, out=np.zeros_like(worth), where=demand > 0)
    prices: Floats = each / each.max()
    return prices

"""The search for the cheapest mix, in stages; it ends with the first that leaves a gap small enough.

1. Linear relaxation of all periods together: a bound, and what each limit and each start is worth.
2. Period after period as mixed-integer programs, starts against the period before counted: a mix.
3. Each period by itself, at prices that carry what the relaxation pays for starts: a better bound, and mixes to choose
   from for every period.
4. All periods as one mixed-integer program, from the best mix so far, until the time is up.

The bound of stage 3 is Lagrange's: with lambda_t what a start before period t is worth to the relaxation, every mix
costs at least the sum over t of the least (price + lambda_t - lambda_t+1) x instances_t (Geoffrion 1974,
doi:10.1007/BFb0120690).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from holdfast.model.errors import HoldfastError
from holdfast.planning.mix import highs, losses, program
from holdfast.planning.mix.cuts import Cut, mended, unsurvived
from holdfast.planning.mix.day import cheapest_day, day_usd
from holdfast.planning.mix.highs import Floats, Ints, Solution, Status
from holdfast.planning.mix.losses import Event
from holdfast.planning.mix.problem import Problem
from holdfast.planning.mix.program import Layout

_ROUNDS = 100
"""Of proposing replicas and finding the losses that they do not survive. Every round adds a price vector that was not
there before, and there are finitely many; two or three rounds are usual."""

_PART_OF_GAP = 0.25
"""Of the gap that is asked for: what a single period may leave, so that the sum over periods keeps to it."""

_COARSE = 0.01
"""Gap of single periods where none is allowed in the end: they are a start only, the last stage closes it."""


class TimeIsUpError(HoldfastError):
    """The solver's time ended before a program had a solution that survives every loss."""


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


@dataclass(frozen=True)
class Settled:
    """Replicas (periods, supplies), the program's bound, and its values but for replicas added to mend a loss."""

    replicas: Floats
    bound: float
    values: Floats


@dataclass
class Search:
    """One search: its problem, what it has found so far, and the seconds that the solver has run.

    cuts: of losses. vectors: prices of requests at which the relaxation buys.
    """

    problem: Problem
    gap: float
    time_limit_s: float
    cuts: list[Cut] = field(default_factory=list)
    vectors: list[tuple[float, ...]] = field(default_factory=list)
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        self.events: tuple[Event, ...] = losses.events(self.problem)
        if self.problem.demand.shape[1] == 1:
            self.cuts = [Cut(event, (1.0,)) for event in self.events]

    def run(self) -> Found | None:
        """The best mix, or None when there is none. Raises TimeIsUpError when not even the first was found."""
        count = len(self.problem.demand)
        # Requests of one size have all their cuts from the start; else the hardest periods show most of them.
        for index in self.problem.hardest() if self.events and self.problem.demand.shape[1] > 1 else ():
            if self.settle(partial(self._build, [index]), relaxed=True) is None:
                return None
        layout = self._build(range(count), circle=count > 1)
        relaxation = self._solve(layout, relaxed=True)
        if relaxation.status is Status.INFEASIBLE:
            return None
        if not relaxation.found:
            raise self._time_is_up()
        hardest = layout.periods[self.problem.hardest()[0]]
        worth = np.maximum(relaxation.row_worth[hardest.demand_rows], 0.0)
        if worth.any():
            self.vectors.append(tuple(_per_request(worth, self.problem.demand[hardest.index]).tolist()))
        return self._one_period(layout, relaxation) if count == 1 else self._day(layout, relaxation)

    def settle(
        self,
        build: Callable[[], Layout],
        *,
        relaxed: bool = False,
        gap: float = 0.0,
        gap_usd: float = 0.0,
        start: Floats | None = None,
    ) -> Settled | None:
        """Replicas that survive every loss; None when there are none. `build` is asked anew when cuts have been added.

        The solution of the program may be that of one with fewer cuts, which its bound holds for all the same.
        """
        for _ in range(_ROUNDS):
            layout = build()
            solution = self._solve(layout, relaxed=relaxed, gap=gap, gap_usd=gap_usd, start=start)
            if solution.status is Status.INFEASIBLE:
                return None
            if not solution.found:
                break
            replicas = np.stack([solution.values[period.replicas] for period in layout.periods])
            if not relaxed:
                replicas = replicas.round()
            if not self._cut_off([period.index for period in layout.periods], replicas):
                return Settled(replicas, solution.bound, solution.values)
            if max(gap, gap_usd) > 0 and len(layout.periods) == 1 and not relaxed:
                whole = self._mended(layout, solution, max(gap * solution.objective, gap_usd))
                if whole is not None:
                    return Settled(whole, solution.bound, solution.values)
        raise self._time_is_up()

    def _time_is_up(self) -> TimeIsUpError:
        return TimeIsUpError(f"HiGHS found no mix in {self.time_limit_s:g} s, nor that there is none.")

    def _mended(self, layout: Layout, solution: Solution, gap_usd: float) -> Floats | None:
        """The replicas of the period with a few more that mend its losses, if that is within the gap."""
        period = layout.periods[0]
        replicas = solution.values[period.replicas].round().astype(np.int64)
        whole = mended(self.problem, self.events, period.index, replicas, layout.most)
        if whole is None:
            return None
        more = self.problem.instances(whole) - self.problem.instances(replicas)
        dearer = more @ (layout.prices[0] + (self.problem.start_usd if len(period.starts) else 0.0))
        return whole[None, :].astype(float) if solution.objective + dearer <= solution.bound + gap_usd else None

    def _one_period(self, layout: Layout, relaxation: Solution) -> Found | None:
        solved = self.settle(partial(self._build, [0]), gap=self.gap)
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
        solved = self.settle(partial(self._build, chosen), gap=self._period_gap())
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
        for index in ((first + step) % count for step in range(count)):
            solved = self.settle(
                partial(self._build, [index], before=before, most=most),
                gap=self._period_gap(),
                gap_usd=gap_usd,
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
            solved = self.settle(
                partial(self._build, [index], prices=prices[index : index + 1]),
                gap=self._period_gap(),
                gap_usd=gap_usd,
            )
            assert solved is not None  # `_rolled` has found a mix for each period under tighter limits
            rows[index] = solved.replicas[0]
            bound += solved.bound
        among = bool(((self.problem.by_unit(rows.sum(axis=0)) > 0) <= (most > 0)).all())
        joined = cheapest_day(self.problem, [found.replicas, rows] if among else [found.replicas])
        return replace(found, replicas=joined, usd=day_usd(self.problem, joined), bound_usd=max(bound, found.bound_usd))

    def _joint(self, found: Found) -> Found:
        """All periods as one program, from the mix that was found."""
        build = partial(self._build, range(len(self.problem.demand)), circle=True)
        solved = self.settle(build, gap=self.gap, start=self._start(build(), found.replicas))
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

    def _build(
        self,
        periods: Sequence[int],
        *,
        prices: Floats | None = None,
        before: Ints | None = None,
        circle: bool = False,
        most: Ints | None = None,
    ) -> Layout:
        return program.build(
            self.problem,
            self.cuts,
            periods,
            vectors=self.vectors,
            prices=prices,
            before=before,
            circle=circle,
            most=most,
        )

    def _solve(
        self,
        layout: Layout,
        *,
        relaxed: bool = False,
        gap: float = 0.0,
        gap_usd: float = 0.0,
        start: Floats | None = None,
    ) -> Solution:
        solution = highs.solve(
            layout.program, relaxed=relaxed, gap=gap, gap_usd=gap_usd, time_limit_s=self._left_s(), start=start
        )
        self.spent_s += solution.seconds
        return solution

    def _left_s(self) -> float:
        return self.time_limit_s - self.spent_s

    def _period_gap(self) -> float:
        return self.gap * _PART_OF_GAP or _COARSE

    def _cut_off(self, periods: Sequence[int], replicas: Floats) -> bool:
        """Adds the cuts that these replicas do not keep; whether there were any."""
        fresh = False
        for index, row in zip(periods, replicas, strict=True):
            known = list(dict.fromkeys(cut.prices for cut in self.cuts))
            new = [cut for cut in unsurvived(self.problem, self.events, known, index, row) if cut not in self.cuts]
            self.cuts += new
            fresh = fresh or bool(new)
        return fresh


def _per_request(worth: Floats, demand: Floats) -> Floats:
    """Prices per request, the highest 1, of what all requests of a bucket are worth; 0 for a bucket without any."""
    each = np.divide(worth, demand, out=np.zeros_like(worth), where=demand > 0)
    prices: Floats = each / each.max()
    return prices

"""Replicas that survive every loss: programs are solved, and cuts added, until what they propose does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from holdfast.model.errors import HoldfastError
from holdfast.planning.mix import highs, losses, program
from holdfast.planning.mix.cuts import Cut, mended, unsurvived
from holdfast.planning.mix.highs import Floats, Ints, Solution, Status
from holdfast.planning.mix.losses import Event
from holdfast.planning.mix.problem import Problem
from holdfast.planning.mix.program import Layout

_ROUNDS = 100
"""Of proposing replicas and finding the losses that they do not survive. Every round adds a price vector that was not
there before, and there are finitely many; two or three rounds are usual."""


class TimeIsUpError(HoldfastError):
    """The solver's time ended before a program had a solution that survives every loss."""


@dataclass(frozen=True)
class Settled:
    """Replicas (periods, supplies), the program's bound, and its values but for replicas added to mend a loss.

    proved: whether the gap that was asked for is kept; else the time was up.
    usd:    what the program says that they cost, of added replicas at most so much.
    whole:  whether the program's own solution survives every loss, so that none were added.
    """

    replicas: Floats
    bound: float
    values: Floats
    proved: bool
    usd: float
    whole: bool


@dataclass
class Settling:
    """A problem, the cuts that were found for it so far, and the seconds that the solver has run.

    time_limit_s: after which answers are no longer improved. The first one may take as long again, any will do then.
    cuts: of losses. vectors: prices of requests at which the relaxation buys.
    """

    problem: Problem
    time_limit_s: float
    cuts: list[Cut] = field(default_factory=list)
    vectors: list[tuple[float, ...]] = field(default_factory=list)
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        self.events: tuple[Event, ...] = losses.events(self.problem)
        if self.problem.demand.shape[1] == 1:
            self.cuts = [Cut(event, (1.0,)) for event in self.events]

    @property
    def left_s(self) -> float:
        return self.time_limit_s - self.spent_s

    def settle(
        self,
        build: Callable[[], Layout],
        *,
        relaxed: bool = False,
        gap: float = 0.0,
        gap_usd: float = 0.0,
        start: Floats | None = None,
        within_s: float | None = None,
    ) -> Settled | None:
        """Replicas that survive every loss; None when there are none. `build` is asked anew when cuts have been added.

        The solution of the program may be that of one with fewer cuts, which its bound holds for all the same.
        within_s: seconds to look for the best, after which the best that was found, or else the first that is, is
            taken; all that are left, and nothing but the best, if not given. Raises TimeIsUpError.
        """
        first, until_s = within_s is not None, self.spent_s + (self.left_s if within_s is None else within_s)
        best: Settled | None = None
        bound = -math.inf  # cuts only raise what the best costs, so the bounds of all rounds hold together
        for _ in range(_ROUNDS):
            late = first and self.spent_s >= until_s
            if late and best is not None:
                return replace(best, bound=bound)
            left_s = 2 * self.time_limit_s - self.spent_s if late else until_s - self.spent_s
            if left_s <= 0:
                break
            layout = build()
            asked = {"gap": 1.0} if late else {"gap": gap, "gap_usd": gap_usd}
            solution = self.solve(layout, relaxed=relaxed, start=start, time_limit_s=left_s, **asked)
            if solution.status is Status.INFEASIBLE:
                return None
            bound = max(bound, solution.bound)
            if not solution.found:
                if late or not first:
                    break
                continue
            settled = self._settled(layout, solution, relaxed=relaxed, mends=max(gap, gap_usd) > 0)
            if settled is not None and (best is None or settled.usd < best.usd):
                best = settled
            if best is not None and (best.whole or best.usd <= bound + max(gap * best.usd, gap_usd)):
                return replace(best, bound=bound)
        raise TimeIsUpError(f"HiGHS found no mix in {self.spent_s:.3g} s, nor that there is none.")

    def _settled(self, layout: Layout, solution: Solution, *, relaxed: bool, mends: bool) -> Settled | None:
        """What a solution proposes; where a loss breaks it new cuts, and of one period, where it need not be the best,
        the proposal with a few replicas more, if greed finds them."""
        replicas = np.stack([solution.values[period.replicas] for period in layout.periods])
        if not relaxed:
            replicas = replicas.round()
        proved = solution.status is Status.SOLVED
        if not self._cut_off([period.index for period in layout.periods], replicas):
            return Settled(replicas, solution.bound, solution.values, proved, solution.objective, whole=True)
        if relaxed or not mends or len(layout.periods) > 1:
            return None
        period, proposed = layout.periods[0], replicas[0].astype(np.int64)
        mixed = mended(self.problem, self.events, period.index, proposed, layout.most)
        if mixed is None:
            return None
        more = self.problem.instances(mixed) - self.problem.instances(proposed)
        dearer = more @ (layout.prices[0] + (self.problem.start_usd if len(period.starts) else 0.0))
        usd = solution.objective + float(dearer)
        return Settled(mixed[None, :].astype(float), solution.bound, solution.values, proved, usd, whole=False)

    def build(
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

    def solve(
        self,
        layout: Layout,
        *,
        relaxed: bool = False,
        gap: float = 0.0,
        gap_usd: float = 0.0,
        time_limit_s: float,
        start: Floats | None = None,
    ) -> Solution:
        """The solution of the program, losses not looked at; its seconds count."""
        solution = highs.solve(
            layout.program, relaxed=relaxed, gap=gap, gap_usd=gap_usd, time_limit_s=time_limit_s, start=start
        )
        self.spent_s += solution.seconds
        return solution

    def _cut_off(self, periods: Sequence[int], replicas: Floats) -> bool:
        """Adds the cuts that these replicas do not keep; whether there were any."""
        fresh = False
        for index, row in zip(periods, replicas, strict=True):
            known = list(dict.fromkeys(cut.prices for cut in self.cuts))
            new = [cut for cut in unsurvived(self.problem, self.events, known, index, row) if cut not in self.cuts]
            self.cuts += new
            fresh = fresh or bool(new)
        return fresh

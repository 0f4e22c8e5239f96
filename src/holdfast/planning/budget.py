"""The most load that a budget holds, by bisection over a steady demand; each rate is planned anew."""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import Plan, PlanStatus
from holdfast.model.quantities import format_share
from holdfast.planning.whatif import LEAST_PER_S, MOST_PER_S, Planner, at_rate

PRECISION = 1e-3
"""Relative: the most load of a budget is found to a thousandth, far within what a breaking point is known to."""


@dataclass(frozen=True)
class MostLoad:
    """The most load that a budget holds.

    plan:  the cheapest plan at `rate_per_s`; when the budget holds nothing, at the least rate there is.
    holds: whether the budget holds any load.
    binds: what keeps it from more, in a sentence.
    """

    budget_usd_per_h: float
    rate_per_s: float
    plan: Plan
    holds: bool
    binds: str

    @property
    def sentence(self) -> str:
        budget = f"{self.budget_usd_per_h:g} USD/h"
        if not self.holds:
            return f"{budget} holds no load at all. {self.binds}"
        precision = format_share(PRECISION)
        return f"{budget} holds {self.rate_per_s:.4g} requests/s (to {precision}), {self.per_million}. {self.binds}"

    @property
    def per_million(self) -> str:
        return f"{self.plan.cost_usd_per_h / (self.rate_per_s * 3600) * 1e6:.2f} USD per million requests"

    def json(self) -> dict[str, float | bool | str]:
        """As `holdfast plan --budget --json` adds it to the plan."""
        return {
            "usd_per_h": self.budget_usd_per_h,
            "rate_per_s": self.rate_per_s,
            "holds": self.holds,
            "precision": PRECISION,
            "binds": self.binds,
        }


def most_load(
    fleet: InferenceFleet, plan_of: Planner, budget_usd_per_h: float, precision: float = PRECISION
) -> MostLoad:
    """The highest steady rate whose cheapest plan costs no more than the budget, to `precision` (relative).

    Bisection: the cost of the cheapest plan never falls when the demand grows. Between the rate that is returned and
    one higher by `precision` the budget or the capacity gives out.
    """

    def plan_at(rate_per_s: float) -> Plan:
        return plan_of(at_rate(fleet, rate_per_s))

    def held(plan: Plan) -> bool:
        # A budget of exactly what a plan costs holds it: a sum of floats may lie an ulp above.
        return plan.status is PlanStatus.FEASIBLE and plan.cost_usd_per_h <= budget_usd_per_h * (1 + 1e-9)

    high, beyond = fleet.spec.demand.planned_per_s, plan_at(fleet.spec.demand.planned_per_s)
    # No mix is cheaper than that for a hundredth of a replica: less load needs as many replicas.
    low = max(LEAST_PER_S, min((pool.limit_per_s for pool in beyond.pools), default=high) / 100)
    plan = plan_at(low)
    if not held(plan):
        return MostLoad(budget_usd_per_h, 0.0, plan, False, _binding(plan, budget_usd_per_h))
    while held(beyond) and high < MOST_PER_S:
        low, plan = high, beyond
        high = min(MOST_PER_S, 4 * high)
        beyond = plan_at(high)
    while high / low > 1 + precision and not held(beyond):
        # By ratio while far apart: the rate may be anywhere within decades.
        middle = math.sqrt(low * high) if high / low > 4 else (low + high) / 2
        tried = plan_at(middle)
        if held(tried):
            low, plan = middle, tried
        else:
            high, beyond = middle, tried
    if held(beyond):
        return MostLoad(
            budget_usd_per_h, high, beyond, True, f"A demand of {high:g}/s is the most that can be planned."
        )
    return MostLoad(budget_usd_per_h, low, plan, True, _binding(beyond, budget_usd_per_h, precision))


def _binding(beyond: Plan, budget_usd_per_h: float, precision: float | None = None) -> str:
    """Why the plan just beyond does not do."""
    if beyond.status is PlanStatus.INFEASIBLE:
        return f"Capacity binds, not the budget: {beyond.reasons[0]}"
    if precision is None:
        return f"The budget binds: the least that holds any load at all costs {beyond.cost_usd_per_h:.2f} USD/h."
    dearer = beyond.cost_usd_per_h - budget_usd_per_h
    return (
        f"The budget binds: {format_share(precision)} more load ({beyond.demand_per_s:.4g}/s) costs "
        f"{beyond.cost_usd_per_h:.2f} USD/h, {dearer:.2f} above it."
    )

"""The cheapest integer mix of pools that carries the demand, as a mixed-integer program solved by HiGHS.

    minimise    sum_p price_p * m_p                        instances are paid for whole
    subject to  sum_p utilization_target * limit_p * n_p >= demand
                sum_{q != p} limit_q * n_q >= demand       for every pool p, to survive the loss of p
                min_p <= n_p <= max_p,  n_p <= replicas_per_instance_p * m_p

n_p replicas of pool p on m_p instances, limits in requests/s. Every constraint on n_p is loosest at max_p:
so the mix is feasible exactly when all pools at their maximum are, and an infeasible one is explained
without a solver. HiGHS: Huangfu & Hall (2018), doi:10.1007/s12532-017-0130-5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import highspy

from holdfast.model.errors import HoldfastError

TOLERANCE = 1e-9
"""Relative slack that a constraint may lack: limits are products of floats, and 3 x 0.1 is not 0.3."""

_TIME_LIMIT_S = 10.0
"""A handful of pools takes milliseconds; a pathological one is answered with the gap that is left by then."""


@dataclass(frozen=True)
class Candidate:
    """A pool that replicas can be put in. Limit of one replica in requests/s, price of one whole instance."""

    unit: str
    limit_per_s: float
    instance_usd_per_h: float
    replicas_per_instance: int
    min_replicas: int
    max_replicas: int

    def __post_init__(self) -> None:
        if not (0 < self.limit_per_s < math.inf and 0 < self.instance_usd_per_h < math.inf):
            raise ValueError(f"the limit and the price of {self.unit!r} must be positive and finite")
        if self.replicas_per_instance < 1 or not 0 <= self.min_replicas <= self.max_replicas:
            raise ValueError(f"the replicas of {self.unit!r} are out of order")

    @property
    def usd_per_request_per_s(self) -> float:
        """Price per hour of one request/s of limit, instances filled: the order of merit."""
        return self.instance_usd_per_h / (self.limit_per_s * self.replicas_per_instance)

    def instances(self, replicas: int) -> int:
        return math.ceil(replicas / self.replicas_per_instance)

    def cost_usd_per_h(self, replicas: int) -> float:
        return self.instances(replicas) * self.instance_usd_per_h


@dataclass(frozen=True)
class Requirement:
    """What a mix must do: carry the demand (requests/s) at the utilisation target (0..1], survive a loss or not."""

    demand_per_s: float
    utilization_target: float
    survive_one_pool: bool

    def __post_init__(self) -> None:
        if not (0 < self.demand_per_s < math.inf and 0 < self.utilization_target <= 1):
            raise ValueError("the demand must be positive and finite, the utilisation target in 0..1")


@dataclass(frozen=True)
class Mix:
    """Replicas by unit, or as far as they go.

    gap: certified relative optimality gap of the cost, 0..1; 1 for an infeasible mix, where nothing is certified.
    shortfalls: which constraints fail and by how much, in sentences; empty when feasible.
    """

    replicas: Mapping[str, int]
    cost_usd_per_h: float
    gap: float
    shortfalls: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        return not self.shortfalls


def cheapest_mix(candidates: Sequence[Candidate], requirement: Requirement) -> Mix:
    """The mix with the least cost. Slots of an instance that is paid for anyway are filled.

    An infeasible mix has every pool at its maximum. Raises HoldfastError when the solver fails.
    """
    shortfalls = find_shortfalls(candidates, requirement)
    if shortfalls:
        largest = {candidate.unit: candidate.max_replicas for candidate in candidates}
        return Mix(largest, total_cost(candidates, largest), 1.0, shortfalls)
    needed, gap = _solve(candidates, requirement)
    replicas = {candidate.unit: _filled(candidate, needed[candidate.unit]) for candidate in candidates}
    return Mix(replicas, total_cost(candidates, replicas), gap)


def total_cost(candidates: Sequence[Candidate], replicas: Mapping[str, int]) -> float:
    """US dollars per hour of the instances that hold the replicas."""
    return math.fsum(candidate.cost_usd_per_h(replicas[candidate.unit]) for candidate in candidates)


def find_shortfalls(candidates: Sequence[Candidate], requirement: Requirement) -> tuple[str, ...]:
    """Why no mix can meet the requirement, in sentences; empty when one can."""
    if not candidates:
        return ("No unit has a limit to plan with, so nothing carries the demand.",)
    whole = _short_of_target(candidates, requirement)
    losses = [_short_after_loss(candidates, lost, requirement) for lost in candidates]
    return tuple(sentence for sentence in (whole, *losses) if sentence)


def _short_of_target(candidates: Sequence[Candidate], requirement: Requirement) -> str:
    target = requirement.utilization_target
    carried = target * math.fsum(c.limit_per_s * c.max_replicas for c in candidates)
    if carried >= requirement.demand_per_s * (1 - TOLERANCE):
        return ""
    short = requirement.demand_per_s - carried
    return (
        f"All pools at maxReplicas, filled to {target:.0%} of their limits, carry {carried:.4g}/s of "
        f"{requirement.demand_per_s:.4g}/s: short by {short:.3g}/s; {_raise(candidates, short / target)}."
    )


def _short_after_loss(candidates: Sequence[Candidate], lost: Candidate, requirement: Requirement) -> str:
    if not requirement.survive_one_pool:
        return ""
    rest = [candidate for candidate in candidates if candidate is not lost]
    if not rest:
        return (
            f"If {lost.unit} goes, no other pool is left to carry {requirement.demand_per_s:.4g}/s: "
            f"short by {requirement.demand_per_s:.3g}/s; add a second unit, or set capacity.survive to none."
        )
    carried = math.fsum(candidate.limit_per_s * candidate.max_replicas for candidate in rest)
    if carried >= requirement.demand_per_s * (1 - TOLERANCE):
        return ""
    short = requirement.demand_per_s - carried
    return (
        f"If {lost.unit} goes, the other pools at maxReplicas, filled to their limits, carry {carried:.4g}/s of "
        f"{requirement.demand_per_s:.4g}/s: short by {short:.3g}/s; {_raise(rest, short)}."
    )


def _raise(candidates: Sequence[Candidate], missing_limit_per_s: float) -> str:
    cheapest = min(candidates, key=lambda c: (c.usd_per_request_per_s, c.unit))
    more = math.ceil(missing_limit_per_s / cheapest.limit_per_s * (1 - TOLERANCE))
    return f"raise maxReplicas of {cheapest.unit} from {cheapest.max_replicas} to {cheapest.max_replicas + more}"


def _filled(candidate: Candidate, replicas: int) -> int:
    return min(candidate.max_replicas, candidate.instances(replicas) * candidate.replicas_per_instance)


def _solve(candidates: Sequence[Candidate], requirement: Requirement) -> tuple[dict[str, int], float]:
    solver = _quiet_solver()
    integer = highspy.HighsVarType.kInteger
    replicas = [solver.addVariable(lb=c.min_replicas, ub=c.max_replicas, type=integer) for c in candidates]
    instances = [
        solver.addVariable(lb=0, ub=c.instances(c.max_replicas), obj=c.instance_usd_per_h, type=integer)
        for c in candidates
    ]
    for candidate, n, m in zip(candidates, replicas, instances, strict=True):
        solver.addConstr(n - candidate.replicas_per_instance * m <= 0)
    # Shares of the demand, not requests/s: the solver's tolerances are absolute.
    shares = [candidate.limit_per_s / requirement.demand_per_s for candidate in candidates]
    terms = [share * n for share, n in zip(shares, replicas, strict=True)]
    solver.addConstr(solver.qsum(terms) >= 1 / requirement.utilization_target)
    if requirement.survive_one_pool:
        for lost in range(len(candidates)):
            solver.addConstr(solver.qsum(terms[:lost] + terms[lost + 1 :]) >= 1)
    solver.minimize()
    info = solver.getInfo()
    if info.primal_solution_status != int(highspy.SolutionStatus.kSolutionStatusFeasible):
        status = solver.modelStatusToString(solver.getModelStatus())
        raise HoldfastError(f"HiGHS found no mix in {_TIME_LIMIT_S:g} s although one exists (status: {status}).")
    values = solver.vals(replicas)
    counts = {candidate.unit: round(value) for candidate, value in zip(candidates, values, strict=True)}
    return counts, min(1.0, max(0.0, info.mip_gap))


def _quiet_solver() -> highspy.Highs:
    solver = highspy.Highs()  # type: ignore[no-untyped-call]
    solver.silent()
    for option, value in {
        # One thread and a fixed seed: the same fleet gives the same plan, and nothing outlives the call.
        "threads": 1,
        "random_seed": 0,
        "time_limit": _TIME_LIMIT_S,
        "mip_rel_gap": 0.0,
        "mip_feasibility_tolerance": TOLERANCE,
        "primal_feasibility_tolerance": TOLERANCE,
    }.items():
        solver.setOptionValue(option, value)
    return solver

"""What simulations found: one fleet through one scenario under several policies, side by side; simulation.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from holdfast.model.codec import OrNaN
from holdfast.model.fleet import InferenceFleet

VERSION = 2
"""Of simulation.json."""


@dataclass(frozen=True)
class Score:
    """One run of one policy, in figures.

    offered = served + failed + refused + unfinished.
    good:       served within the SLO's bound of its highest percentile (or of the mean, where alone); late: the others.
    latency_*_s: of the served; NaN where none was.
    slo_minutes_lost: minutes in which the fleet broke its SLO. switches: changes of the routing mode.
    events:     that took capacity, or shortages. restored_s: the longest that it took from one of them until the load
                was served again, however late; recovery_s: until within the SLO. None without an event, or when that
                was not so by the end.
    usd:        by pool.
    objective:  good requests less lambda times cost, in requests.
    share_of_optimum: of the clairvoyant's objective; None where that is not above 0.
    violations: decisions that broke an invariant that the policy promises, and were refused.
    """

    policy: str
    seed: int
    cost_usd: float
    offered: int
    served: int
    failed: int
    refused: int
    late: int
    unfinished: int
    latency_p50_s: OrNaN
    latency_p95_s: OrNaN
    slo_minutes_lost: int
    switches: int
    weight_changes: int
    events: int
    restored_s: float | None
    recovery_s: float | None
    usd: Mapping[str, float]
    objective: float
    share_of_optimum: float | None
    violations: tuple[str, ...]

    @property
    def good(self) -> int:
        return self.served - self.late

    @property
    def recovered(self) -> bool:
        """Whether the fleet recovered from everything that befell it."""
        return self.recovery_s is not None or not self.events


@dataclass(frozen=True)
class Best:
    """The clairvoyant optimum of a seed: the most of the objective that any policy could have had.

    value: of the objective, in requests. usd: by pool.
    """

    seed: int
    value: float
    served: float
    cost_usd: float
    usd: Mapping[str, float]


@dataclass(frozen=True)
class Spread:
    """A figure over seeds: its mean, and its 95 % interval by Student's t; None where fewer than two seeds have it."""

    mean: OrNaN
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PolicyResult:
    """A policy over all seeds. spreads: of each figure of the runs that is a number, by its name in `Score`.

    A recovery counts only where every seed recovered: a mean over the others would flatter.
    """

    policy: str
    runs: tuple[Score, ...]
    spreads: Mapping[str, Spread]

    def mean(self, figure: str) -> float:
        return self.spreads[figure].mean


@dataclass(frozen=True)
class Simulation:
    """One fleet through one scenario.

    scenario:         its name. text: the document, as it was given. setting: what had another value, by key.
    requests_per_usd: lambda of the objective. lambda_reason: where it is from, in a sentence.
    caveats:          what the figures do not say, each a sentence. assumptions: that they rest on, likewise.
    """

    scenario: str
    text: str
    setting: Mapping[str, str]
    fleet: InferenceFleet
    pools: tuple[str, ...]
    duration_s: float
    seeds: tuple[int, ...]
    requests_per_usd: float
    lambda_reason: str
    policies: tuple[PolicyResult, ...]
    best: tuple[Best, ...]
    best_spreads: Mapping[str, Spread]
    caveats: tuple[str, ...]
    assumptions: tuple[str, ...]

    @property
    def violations(self) -> int:
        return sum(len(run.violations) for policy in self.policies for run in policy.runs)


@dataclass(frozen=True)
class Study:
    """Everything that one command simulated; simulation.json."""

    version: int
    simulations: tuple[Simulation, ...]

    @property
    def varied(self) -> bool:
        """Whether fields of the scenarios or of the fleet had several values."""
        return any(found.setting for found in self.simulations)

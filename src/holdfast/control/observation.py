"""What is known of a fleet at a moment: all that a decision may depend on, and all of it held by the cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.model.errors import InputError
from holdfast.model.pools import CapacityPool, RoutingMode

POOLS_STALE_S = 30.0
"""Age in seconds from which the pools are unknown: a few looks at the API went unanswered."""

RATE_STALE_S = 90.0
"""Age in seconds from which the rate is unknown: three scrapes at the usual 30 s were missed."""

MAX_WEIGHT = 999
"""Highest weight of an ALB target group, and the highest that the AWS controller takes from a Gateway route."""


@dataclass(frozen=True)
class Applied:
    """The routing in force, as the data plane and its annotations hold it.

    weights:      integers 0..999 by pool; other sums than TOTAL_WEIGHT are read as proportions.
    mode_since_s: when `mode` was entered; last_shift_s: when a weight last changed. Same clock as `now_s`.
    """

    weights: Mapping[str, int]
    mode: RoutingMode
    mode_since_s: float
    last_shift_s: float

    def __post_init__(self) -> None:
        for name, weight in self.weights.items():
            if not 0 <= weight <= MAX_WEIGHT:
                raise InputError(
                    f"the weight {weight} is not within 0..{MAX_WEIGHT}",
                    where=f"applied weights, pool {name}",
                    mend="set the weights anew from the plan",
                )

    def routes_by(self, weights: Mapping[str, int]) -> bool:
        """Whether these weights route as the applied ones do: a pool that is not named has 0."""
        names = self.weights.keys() | weights.keys()
        return all(self.weights.get(name, 0) == weights.get(name, 0) for name in names)


@dataclass(frozen=True)
class Observation:
    """One look at the fleet.

    rate_per_s:   requests/s that clients offer now; None when no reading exists. rate_age_s: its age.
    pools_age_s:  age of `pools`.
    plan_weights: the plan's weights by pool, which the `static` policy keeps; when empty, the capacity of
                  the planned replicas stands for them.
    """

    pools: tuple[CapacityPool, ...]
    rate_per_s: float | None
    rate_age_s: float
    pools_age_s: float
    applied: Applied
    plan_weights: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names: set[str] = set()
        for pool in self.pools:
            if pool.name in names:
                raise InputError(f"two pools are named {pool.name!r}", where="observation", mend="name each unit once")
            names.add(pool.name)
            if not 0 < pool.limit_per_s < math.inf:
                raise InputError(
                    f"the limit of a replica is {pool.limit_per_s} requests/s",
                    where=f"pool {pool.name}",
                    mend="measure it with `holdfast limit`",
                )
            if not 0 <= pool.draining <= pool.ready:
                raise InputError(
                    f"{pool.draining} replicas are draining of {pool.ready} that are ready",
                    where=f"pool {pool.name}",
                    mend="count only ready replicas that have an interruption notice",
                )
        if self.rate_per_s is not None and not 0 <= self.rate_per_s < math.inf:
            raise InputError(
                f"the rate is {self.rate_per_s} requests/s", where="observation", mend="give None when it is unknown"
            )

    @property
    def pools_known(self) -> bool:
        return bool(self.pools) and self.pools_age_s <= POOLS_STALE_S

    @property
    def rate_known(self) -> bool:
        return self.rate_per_s is not None and self.rate_age_s <= RATE_STALE_S

"""Weighted targets: which Service gets which share of the traffic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.manifests.placement import Placement
from holdfast.model.errors import InputError

MOST_TARGETS = 5
"""Target groups of one ALB forward action; a quota that AWS does not raise. Holds for Gateway API on ALB too."""

MOST_WEIGHT = 999
"""Weight of one target group, 0..999; the load balancer controller rejects more in an HTTPRoute as well."""


@dataclass(frozen=True)
class Target:
    """A Service and its weight."""

    service: str
    weight: int


def targets(placements: Sequence[Placement]) -> tuple[Target, ...]:
    """A target per pool, also for those of weight 0: failover must be able to shift traffic to them.

    Raises InputError for more pools than one action can hold, or a weight out of range.
    """
    if len(placements) > MOST_TARGETS:
        raise InputError(
            f"the plan has {len(placements)} pools, and an ALB action forwards to {MOST_TARGETS} target groups at most",
            mend=f"set capacity.maxPools: {MOST_TARGETS} in the fleet and plan anew",
        )
    for placement in placements:
        if not 0 <= placement.pool.weight <= MOST_WEIGHT:
            raise InputError(
                f"pool {placement.unit.name} has the weight {placement.pool.weight}, outside 0..{MOST_WEIGHT}",
                mend="plan anew",
            )
    return tuple(Target(placement.name, placement.pool.weight) for placement in placements)

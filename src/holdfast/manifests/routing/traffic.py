"""Weighted targets: which Service gets which share of the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import grouping
from holdfast.manifests.serving import service
from holdfast.model.errors import InputError

TOTAL = 100
"""Weight of the only target there is."""

MOST_WEIGHT = 999
"""Weight of one target group, 0..999; the load balancer controller rejects more in an HTTPRoute as well."""


@dataclass(frozen=True)
class Target:
    """A Service, its port, and its weight."""

    service: str
    port: int
    weight: int


def targets(placements: Sequence[Placement], weights: Mapping[str, int] | None = None) -> tuple[Target, ...]:
    """A target per pool or group of pools, also for those of weight 0: failover must be able to shift traffic to them.

    weights: by unit name, 0 for one that is not named; the plan's where none are given.

    Raises InputError for more groups than one action can hold, or a weight out of range.
    """
    if weights is None:
        weights = {placement.unit.name: placement.pool.weight for placement in placements}
    found = [
        Target(grouping.service(members), service.PORT, sum(weights.get(member.unit.name, 0) for member in members))
        for members in grouping.groups(placements)
    ]
    for target in found:
        if not 0 <= target.weight <= MOST_WEIGHT:
            raise InputError(
                f"Service {target.service} has the weight {target.weight}, outside 0..{MOST_WEIGHT}", mend="plan anew"
            )
    return tuple(sorted(found, key=lambda target: target.service))

"""Pools that share a target group, where a plan has more pools than one action of a load balancer forwards to.

Pools may share where they serve in the same way: the same health check, and one pod to a replica. Then the pair is
joined whose costs per request differ least, and so on until there are few enough: the less their costs differ, the less
it matters that one weight stands for both. Within a group the load balancer prefers the replica with the fewest
requests in flight, which a slower accelerator answers to by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from holdfast.manifests import names
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import engine
from holdfast.model.errors import InputError

MOST_TARGETS = 5
"""Target groups of one ALB forward action, for Ingress and Gateway API; a quota that AWS does not raise."""

Group = tuple[Placement, ...]
"""Pools behind one Service, in merit order; mostly one."""


def groups(placements: Sequence[Placement]) -> tuple[Group, ...]:
    """At most five groups of the pools. Raises InputError where too few of them may share."""
    found: list[Group] = [(placement,) for placement in sorted(placements, key=_merit)]
    while len(found) > MOST_TARGETS:
        pairs = [pair for kind in _kinds(found) for pair in pairwise(kind)]
        if not pairs:
            raise InputError(
                f"the plan has {len(placements)} pools in {len(found)} groups that differ in how they serve, and an "
                f"ALB action forwards to {MOST_TARGETS} target groups at most",
                mend=f"set capacity.maxPools: {MOST_TARGETS} in the fleet and plan anew",
            )
        one, other = min(pairs, key=_difference_usd)
        found = [group for group in found if group not in (one, other)] + [one + other]
        found.sort(key=lambda group: _merit(group[0]))
    return tuple(found)


def service(group: Group) -> str:
    """The name of the Service of a group; that of a group of several is of its cheapest pool."""
    first = group[0]
    return first.name if len(group) == 1 else names.label(first.fleet.metadata.name, "shared", first.unit.name)


def shared(placements: Sequence[Placement]) -> dict[str, str]:
    """The name of the Service that a pool shares with others, by unit name; without pools that share none."""
    several = [group for group in groups(placements) if len(group) > 1]
    return {member.unit.name: service(group) for group in several for member in group}


def _kinds(found: Sequence[Group]) -> tuple[tuple[Group, ...], ...]:
    """The groups that may share, each list in merit order."""
    paths = sorted({engine.readiness_path(group[0].unit) for group in found})
    return tuple(
        tuple(group for group in found if _may_share(group[0]) and engine.readiness_path(group[0].unit) == path)
        for path in paths
    )


def _may_share(placement: Placement) -> bool:
    """Whether each pod of the pool answers requests: not where a replica has several, of which only one does."""
    return (
        placement.unit.disaggregated is None and placement.unit.devices_per_server <= placement.instance.resource_count
    )


def _difference_usd(pair: tuple[Group, Group]) -> float:
    one, other = pair
    return other[0].pool.usd_per_million_requests - one[-1].pool.usd_per_million_requests


def _merit(placement: Placement) -> tuple[float, str]:
    return placement.pool.usd_per_million_requests, placement.unit.name

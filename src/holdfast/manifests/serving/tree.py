"""The files of what answers requests."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.serving import (
    claims,
    deployment,
    disruption_budget,
    leader_worker_set,
    network_policy,
    refusals,
    service,
    service_account,
)
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """What all pools share, and the replicas of each. Raises InputError for a unit that cannot be served as stated."""
    return service_account.manifest(plan), *(file for placement in placed for file in _replicas(placement))


def _replicas(placement: Placement) -> tuple[File, ...]:
    refusals.check(placement)
    return (
        *(_servers(placement, target) for target in placement.scale_targets),
        *([claims.manifest(placement)] if placement.unit.dra else []),
        service.manifest(placement),
        network_policy.manifest(placement),
        disruption_budget.manifest(placement),
    )


def _servers(placement: Placement, target: ScaleTarget) -> File:
    if placement.spans_nodes:
        return leader_worker_set.manifest(placement, target)
    return deployment.manifest(placement, target)

"""The files of what answers requests."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import deployment, disruption_budget, service, service_account
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """What all pools share, and the replicas of each."""
    return service_account.manifest(plan), *(file for placement in placed for file in _replicas(placement))


def _replicas(placement: Placement) -> tuple[File, ...]:
    return deployment.manifest(placement), service.manifest(placement), disruption_budget.manifest(placement)

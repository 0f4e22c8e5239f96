"""The files of what adds and removes replicas."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.placement import Placement
from holdfast.manifests.scaling import scaled_object
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """A scaler for each pool, and where prefill and decode are apart for each of the two."""
    return tuple(
        scaled_object.manifest(placement, target) for placement in placed for target in placement.scale_targets
    )

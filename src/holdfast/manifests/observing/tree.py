"""The files of what is watched."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import File
from holdfast.manifests.observing import pod_monitor
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan


def files(plan: Plan, placed: Sequence[Placement]) -> tuple[File, ...]:
    """What Prometheus reads."""
    return tuple(pod_monitor.manifest(placement) for placement in placed)

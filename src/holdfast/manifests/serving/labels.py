"""Labels of pods, and the selectors that find them."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.placement import Placement, Role

POOL = "holdfast.dev/pool"
"""Of the pods that llm-d's endpoint picker chooses from: the fleet's name."""

ROLE = "llm-d.ai/role"
_RANK = "leaderworkerset.sigs.k8s.io/worker-index"
"""LeaderWorkerSet's own label of each pod in a group; the leader is 0."""


def of_pod(placement: Placement, role: Role | None, *, leads: bool = True) -> dict[str, str]:
    """The labels of a server's pod. Only pods that listen to requests can be picked."""
    found = metadata.pool_labels(placement) | _of_role(role)
    if leads and placement.fleet.spec.cluster.kv_aware_routing:
        found[POOL] = placement.fleet.metadata.name
    return found


def of_servers(placement: Placement, role: Role | None) -> dict[str, str]:
    """Selects the pods of one of the pool's workloads."""
    return metadata.selector(placement) | _of_role(role)


def of_targets(placement: Placement) -> dict[str, str]:
    """Selects the pods that requests go to: of the servers that answer, those that listen."""
    found = of_servers(placement, placement.scale_target.role)
    return found | {_RANK: "0"} if placement.spans_nodes else found


def _of_role(role: Role | None) -> dict[str, str]:
    return {} if role is None else {ROLE: role.value}

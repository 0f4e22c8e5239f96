"""The replicas of a pool, counted from its pods and from what its workloads are asked for.

A replica is made of servers: one, or where prefill and decode are apart some of each, and then it needs all of them.
A server is a pod of a Deployment, or a group of a LeaderWorkerSet: that is ready when its leader is, and has its
capacity when all of its pods are bound to nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from holdfast.control.operator.seeing import capacity, interruptions, stamps
from holdfast.control.operator.seeing.seen import Seen
from holdfast.kube.kinds import Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.serving import labels

_GROUP = "leaderworkerset.sigs.k8s.io/group-index"
_RANK = "leaderworkerset.sigs.k8s.io/worker-index"
_SIZE = "leaderworkerset.sigs.k8s.io/size"
"""LeaderWorkerSet's labels of a pod, and its annotation of the group's size (api/leaderworkerset/v1)."""


@dataclass(frozen=True)
class Server:
    """bound_s: since when all of it has nodes; None where some has none. gone_at_s: None without a notice."""

    ready: bool
    bound_s: float | None
    gone_at_s: float | None


@dataclass(frozen=True)
class Replicas:
    """The counts of a pool, as `model.pools.CapacityPool` has them."""

    ready: int
    pending: int
    draining: int
    gone_at_s: float
    starting: int
    obtained_s: float | None


def count(placement: Placement, seen: Seen, notices: Mapping[str, float]) -> Replicas:
    """The replicas of the pool; notices: when nodes with a notice are gone, by node name."""
    pods = list(capacity.of_pool(placement, seen.pods))
    parts = [(target, servers(placement, target, pods, notices)) for target in placement.scale_targets]

    def whole(numbers: Iterable[int]) -> int:
        each = zip(numbers, placement.scale_targets, strict=True)
        return min(number // target.servers_per_replica for number, target in each)

    ready = whole(sum(server.ready for server in found) for _, found in parts)
    lasting = whole(sum(server.ready and server.gone_at_s is None for server in found) for _, found in parts)
    held = whole(sum(server.ready or server.bound_s is not None for server in found) for _, found in parts)
    pending = max(0, whole(_asked(target, seen, len(found)) for target, found in parts) - ready)
    gone = [server.gone_at_s for _, found in parts for server in found if server.ready and server.gone_at_s is not None]
    return Replicas(
        ready=ready,
        pending=pending,
        draining=ready - lasting,
        gone_at_s=min(gone) if ready > lasting else 0.0,
        starting=min(pending, held - ready),
        obtained_s=_obtained_s(parts),
    )


def servers(
    placement: Placement, target: ScaleTarget, pods: Sequence[Object], notices: Mapping[str, float]
) -> list[Server]:
    """The servers that are there of what is scaled."""
    role = None if target.role is None else target.role.value
    mine = [pod for pod in pods if stamps.labels_of(pod).get(labels.ROLE) == role]
    if not placement.spans_nodes:
        return [_server([pod], [pod], 1, notices) for pod in mine]
    groups: dict[str, list[Object]] = {}
    for pod in mine:
        groups.setdefault(stamps.labels_of(pod).get(_GROUP, ""), []).append(pod)
    return [_group(members, placement, notices) for members in groups.values()]


def _group(members: Sequence[Object], placement: Placement, notices: Mapping[str, float]) -> Server:
    leaders = [pod for pod in members if stamps.labels_of(pod).get(_RANK) == "0"]
    sizes = (int(stamps.annotations_of(pod).get(_SIZE, placement.nodes_per_server)) for pod in members)
    return _server(members, leaders, max(sizes), notices)


def _server(members: Sequence[Object], leaders: Sequence[Object], size: int, notices: Mapping[str, float]) -> Server:
    """leaders: the pod that answers, where it is there. size: pods of the whole."""
    bound = [moment for pod in members if (moment := _bound_s(pod)) is not None]
    gone = [moment for pod in members if (moment := _gone_at_s(pod, notices)) is not None]
    return Server(
        ready=any(stamps.condition(pod, "Ready").get("status") == "True" for pod in leaders),
        bound_s=max(bound) if len(bound) >= size else None,
        gone_at_s=min(gone, default=None),
    )


def _bound_s(pod: Object) -> float | None:
    """Since when the pod has a node; it may have one without a condition that says since when."""
    said = stamps.condition(pod, "PodScheduled")
    if said.get("status") != "True" and not (pod.get("spec") or {}).get("nodeName"):
        return None
    since_s = stamps.known_s(said.get("lastTransitionTime")) if said.get("status") == "True" else None
    return since_s if since_s is not None else stamps.created_s(pod) or 0.0


def _gone_at_s(pod: Object, notices: Mapping[str, float]) -> float | None:
    node = (pod.get("spec") or {}).get("nodeName")
    if interruptions.is_targeted(pod):
        return interruptions.ANY_MOMENT_S
    return notices.get(node) if node else None


def _asked(target: ScaleTarget, seen: Seen, there: int) -> int:
    """The servers that the workload is asked for; of one that is not there, those that still are."""
    workload = seen.managed.get((target.kind, target.name))
    if workload is None:
        return there
    asked = (workload.get("spec") or {}).get("replicas")
    # The API server fills in 1 where nobody says.
    return 1 if asked is None else int(asked)


def _obtained_s(parts: Sequence[tuple[ScaleTarget, Sequence[Server]]]) -> float | None:
    """When the last whole replica had all of its capacity."""
    moments = [sorted(server.bound_s for server in found if server.bound_s is not None) for _, found in parts]
    sizes = [target.servers_per_replica for target, _ in parts]
    whole = min(len(each) // size for each, size in zip(moments, sizes, strict=True))
    if not whole:
        return None
    return max(each[whole * size - 1] for each, size in zip(moments, sizes, strict=True))

"""Shortages: which pools could not get capacity, by what the cluster tells.

- Karpenter, which EKS Auto Mode runs too, asks EC2 for an instance of every offering that fits. Where none can be had
  (InsufficientInstanceCapacity, a quota, a full reservation) it writes an Event `InsufficientCapacityError` on the
  NodeClaim and deletes that (karpenter, pkg/controllers/nodeclaim/lifecycle/launch.go, read 2026-11-21). So the Event
  is often all that is left; the claim's name is the node pool's, and five characters.
- The Cluster Autoscaler, for managed node groups, writes `NotTriggerScaleUp` on pods that no group can grow for, with
  the groups' reasons, and on its status ConfigMap that a group failed to grow (its FAQ, "What events are emitted"; the
  texts in core/scaleup/orchestrator/skippedreasons.go and clusterstate/clusterstate.go).
- Pods that no node takes for UNSCHEDULABLE_S are short of capacity, whoever brings the nodes and whatever it says.
  Those of hybrid pools are at once: nobody brings a machine.

Events are kept for an hour (kube-apiserver, --event-ttl), longer than a shortage is remembered: one who starts anew
finds the same facts. So do those of a pod that waited and was deleted, as an autoscaler does with what it asks for no
more: the scheduler's Event `FailedScheduling` says since when no node took it, and `SuccessfulDelete` until when. (The
scheduler's own says when that last happened, but is brought up to date after minutes only.)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from holdfast.control import shortages
from holdfast.control.operator.seeing import stamps
from holdfast.control.operator.seeing.seen import Seen
from holdfast.kube.kinds import Object
from holdfast.manifests.compute import nodes
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.model.cluster import Nodes
from holdfast.model.pools import Shortage

UNSCHEDULABLE_S = 300.0
"""From when a pod that no node takes is a shortage: Karpenter gives up a NodeClaim that was not launched within five
minutes (pkg/controllers/nodeclaim/lifecycle/liveness.go, LaunchTimeout); usually it takes one or two."""

JOINING_S = 900.0
"""How long a launched instance may take to join as a node: Karpenter gives it up then (liveness.go)."""

_REFUSED = "InsufficientCapacityError"
_NOT_GROWN = "NotTriggerScaleUp"
_GROUP_FAILED = ("FailedToScaleUpGroup", "ScaleUpTimedOut", "ScaleUpFailed")
_SHORT = (_REFUSED, _NOT_GROWN, *_GROUP_FAILED)
_WAITS, _HAS_NODE, _GONE = "FailedScheduling", "Scheduled", "SuccessfulDelete"
REASONS = (*_SHORT, _WAITS, _HAS_NODE, _GONE)
"""Of the Events that are read."""

_NO_ROOM = ("in backoff after failed scale-up", "max node group size reached")
"""What the autoscaler says of a group that could take the pod and does not grow; other reasons are of other groups."""

_DELETED = re.compile(r"(?:Deleted pod:|delete Pod) (\S+)")

RANDOM = 5
_LONGEST_STEM = 58
"""Characters that the API server appends to a generateName, and to how many it first cuts that down
(k8s.io/apiserver, pkg/storage/names/generate.go)."""

_MOST_TEXT = 240


def short(placed: Sequence[Placement], seen: Seen, now_s: float) -> dict[str, tuple[Shortage, ...]]:
    """The shortages that still bear on a decision at `now_s`, Unix seconds, by the name of the pool's unit."""
    found = shortages.merge(
        (fact for event in seen.events for fact in _of_event(placed, event)),
        (fact for placement in placed for fact in _of_pods(placement, seen, now_s)),
        (fact for placement in placed for fact in _of_lost_pods(placement, seen)),
    )
    facts: dict[str, tuple[Shortage, ...]] = {placement.unit.name: () for placement in placed}
    for fact in shortages.remembered(found, now_s):
        facts[fact.pool] = (fact,)
    return facts


def unschedulable_since_s(pod: Object) -> float | None:
    """Since when no node takes the pod; None for one that has a node, or that the scheduler has not looked at."""
    said = stamps.condition(pod, "PodScheduled")
    if said.get("status") != "False" or said.get("reason") != "Unschedulable":
        return None
    since_s = stamps.known_s(said.get("lastTransitionTime"))
    return since_s if since_s is not None else stamps.created_s(pod)


def _of_event(placed: Sequence[Placement], event: Object) -> Iterator[Shortage]:
    if event.get("reason") not in _SHORT:
        return
    for placement in placed:
        if _is_about(event, placement) and (at_s := stamps.happened_s(event)) is not None:
            yield _told(event, placement, at_s)


def _told(event: Object, placement: Placement, at_s: float) -> Shortage:
    said = f"{event['reason']}: {event.get('note') or ''}"[:_MOST_TEXT].rstrip(": ")
    return Shortage(placement.unit.name, at_s, at_s + shortages.HOLD_S, said)


def _is_about(event: Object, placement: Placement) -> bool:
    regarding, reason, note = event.get("regarding") or {}, event.get("reason"), event.get("note") or ""
    kind, name = regarding.get("kind"), regarding.get("name") or ""
    if reason == _REFUSED:
        return kind == "NodeClaim" and _claimed_by(placement.node_pool, name)
    if reason == _NOT_GROWN:
        return _is_of_pod(event, placement) and any(text in note for text in _NO_ROOM)
    return _is_only_group(placement, note)


def _claimed_by(node_pool: str, claim: str) -> bool:
    """Whether a NodeClaim of that name is of the node pool, there or not."""
    return claim[:-RANDOM] == stem(node_pool) and len(claim) > RANDOM


def stem(node_pool: str) -> str:
    """What the names of the node pool's NodeClaims begin with; RANDOM characters follow."""
    return f"{node_pool}-"[:_LONGEST_STEM]


def _is_only_group(placement: Placement, note: str) -> bool:
    """Whether a message names the pool's one Auto Scaling group; where it has others, those may grow instead.

    EKS names it eks-<node group>-<uuid>, and the node group of the first way of buying is named as a node pool is.
    """
    group = rf"\beks-{re.escape(placement.node_pool)}-[0-9a-f]{{8}}-"
    return len(placement.unit.ways) == 1 and re.search(group, note) is not None


def _is_of_pod(event: Object, placement: Placement) -> bool:
    """Whether an Event is about a pod of the pool: there or not, a Deployment's or a LeaderWorkerSet's."""
    regarding = event.get("regarding") or {}
    if regarding.get("kind") != "Pod" or regarding.get("namespace") != placement.fleet.metadata.namespace:
        return False
    name = regarding.get("name") or ""
    return any(re.fullmatch(_pods_of(target, placement), name) for target in placement.scale_targets)


def _pods_of(target: ScaleTarget, placement: Placement) -> str:
    suffix = r"-[0-9]+(-[0-9]+)?" if placement.spans_nodes else r"-[a-z0-9]+-[a-z0-9]{5}"
    return re.escape(target.name) + suffix


def _of_pods(placement: Placement, seen: Seen, now_s: float) -> Iterator[Shortage]:
    """A shortage of the pool's pods, as of the last whole hold since it began: while they wait it does not expire."""
    waiting = sorted(since_s for pod in of_pool(placement, seen.pods) if (since_s := unschedulable_since_s(pod)))
    hybrid = nodes.kind(placement) is Nodes.HYBRID
    # Each instance that is launched and has not joined yet will take at least one of them: those that wait longest.
    waiting = waiting[_joining(placement, seen, now_s) :]
    if not waiting:
        return
    began_s = waiting[0] + (0.0 if hybrid else UNSCHEDULABLE_S)
    if now_s < began_s:
        return
    why = "no machine of the pool is free" if hybrid else f"no node took a pod for {UNSCHEDULABLE_S:g} s"
    at_s = began_s + (now_s - began_s) // shortages.HOLD_S * shortages.HOLD_S
    yield from shortages.record((), placement.unit.name, at_s, f"Unschedulable: {why}")


def _of_lost_pods(placement: Placement, seen: Seen) -> Iterator[Shortage]:
    """Shortages of the pool's pods that are gone without ever having had a node."""
    known = {(pod.get("metadata") or {}).get("name") for pod in seen.pods}
    known |= {(event.get("regarding") or {}).get("name") for event in seen.events if event.get("reason") == _HAS_NODE}
    deleted = _deleted(seen)
    for event in seen.events:
        if event.get("reason") != _WAITS or not _is_of_pod(event, placement):
            continue
        name, since_s = event["regarding"]["name"], stamps.began_s(event)
        at_s = max(stamps.happened_s(event) or 0.0, deleted.get(name, 0.0))
        if name not in known and since_s is not None and at_s >= since_s + UNSCHEDULABLE_S:
            yield _told(event, placement, at_s)


def _deleted(seen: Seen) -> dict[str, float]:
    """When controllers deleted pods, by the pod's name: told of the ReplicaSet, or of a group's StatefulSet."""
    found: dict[str, float] = {}
    for event in seen.events:
        if event.get("reason") == _GONE:
            name, at_s = _DELETED.match(event.get("note") or ""), stamps.happened_s(event)
            if name is not None and at_s is not None:
                found[name[1]] = max(at_s, found.get(name[1], 0.0))
    return found


def of_pool(placement: Placement, pods: Iterable[Object]) -> Iterator[Object]:
    """The pool's pods that are neither over nor being deleted."""
    for pod in pods:
        over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        mine = stamps.labels_of(pod).get("app.kubernetes.io/instance") == placement.name
        if mine and not over and not stamps.is_going(pod):
            yield pod


def _joining(placement: Placement, seen: Seen, now_s: float) -> int:
    """Instances of the pool that Karpenter has launched and that are no nodes yet."""
    return sum(
        _is_joining(claim, now_s)
        for name, claim in seen.node_claims.items()
        if stamps.labels_of(claim).get("karpenter.sh/nodepool") == placement.node_pool
        or _claimed_by(placement.node_pool, name)
    )


def _is_joining(claim: Object, now_s: float) -> bool:
    launched, initialized = (stamps.condition(claim, name) for name in ("Launched", "Initialized"))
    since_s = stamps.known_s(launched.get("lastTransitionTime"))
    there = launched.get("status") == "True" and initialized.get("status") != "True"
    return there and since_s is not None and now_s < since_s + JOINING_S and not stamps.is_going(claim)

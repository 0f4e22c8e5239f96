"""Nodes that will be gone, and when: what their pods serve until then is not to be counted on.

Who gives notice, as read in the sources on 2026-11-21:

- EC2 tells a spot instance 120 s ahead (Amazon EC2 User Guide, "Spot Instance interruption notices"), and as long an
  instance of a capacity reservation that is interrupted.
- Karpenter passes that on as Events of the NodeClaim and the Node, deletes the NodeClaim, and taints the node
  `karpenter.sh/disrupted` (karpenter-provider-aws v1.14.1, pkg/controllers/interruption; Auto Mode is the same).
- Where Karpenter disrupts nodes of its own accord it taints them, sets the condition DisruptionReason on the NodeClaim,
  and deletes that only when the replacements have initialised; where they do not it takes taint and condition back
  (karpenter, pkg/controllers/disruption/queue.go).
- aws-node-termination-handler taints (pkg/node/node.go), and writes Events where it is told to.
- The Cluster Autoscaler taints a node that it takes away `ToBeDeletedByClusterAutoscaler`.

A rebalance recommendation is no notice: EC2 may never follow it up. Nor is a node that somebody cordoned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from holdfast.control.operator.seeing import stamps
from holdfast.control.operator.seeing.seen import Seen
from holdfast.kube.kinds import Object

SPOT_NOTICE_S = 120.0
"""Between EC2's notice and its taking the instance away."""

REPLACING_S = 120.0
"""How long Karpenter's replacements take at least to initialise, an estimate: instances with accelerators take minutes
to boot."""

ANY_MOMENT_S = 0.0
"""For a node that nobody says a time of: as `CapacityPool.gone_at_s` has it."""

TAINTS: Mapping[str, float | None] = {
    "karpenter.sh/disrupted": None,
    "aws-node-termination-handler/spot-itn": SPOT_NOTICE_S,
    "aws-node-termination-handler/asg-lifecycle-termination": None,
    "aws-node-termination-handler/scheduled-maintenance": None,
    "node.kubernetes.io/out-of-service": None,
    "node.cloudprovider.kubernetes.io/shutdown": None,
    "ToBeDeletedByClusterAutoscaler": None,
}
"""Taints of nodes that will be gone, and how long after; None where nobody says."""

EVENTS: Mapping[str, float | None] = {
    "SpotInterrupted": SPOT_NOTICE_S,
    "CapacityReservationInstanceInterrupted": SPOT_NOTICE_S,
    "InstanceStopping": None,
    "InstanceTerminating": None,
    "InstanceUnhealthy": None,
    "TerminatingOnInterruption": None,
    "SpotInterruption": SPOT_NOTICE_S,
    "ASGLifecycle": None,
}
"""Reasons of Events that say so: Karpenter's six, and two of aws-node-termination-handler."""

_DEADLINE = "karpenter.sh/nodeclaim-termination-timestamp"
"""Annotation of a NodeClaim that is being deleted: when Karpenter stops waiting for its pods."""


@dataclass(frozen=True)
class _Notice:
    """A node will be gone: at a moment in Unix seconds, or None where nobody says when."""

    node: str
    gone_at_s: float | None


def notices(seen: Seen) -> dict[str, float]:
    """When nodes with a notice are gone, by node name: the earliest moment that somebody says, or ANY_MOMENT_S."""
    found: dict[str, list[float]] = {}
    for notice in _all(seen):
        found.setdefault(notice.node, []).extend(() if notice.gone_at_s is None else (notice.gone_at_s,))
    return {node: min(moments, default=ANY_MOMENT_S) for node, moments in found.items()}


def is_targeted(pod: Object) -> bool:
    """Whether the pod itself is about to be deleted, by eviction, preemption or its node's taint (DisruptionTarget)."""
    return stamps.condition(pod, "DisruptionTarget").get("status") == "True"


def _all(seen: Seen) -> Iterator[_Notice]:
    for name, node in seen.nodes.items():
        yield from _of_node(name, node)
    for claim in seen.node_claims.values():
        yield from _of_claim(claim)
    yield from _of_events(seen)


def _of_node(name: str, node: Object) -> Iterator[_Notice]:
    if stamps.is_going(node):
        yield _Notice(name, None)
    for taint in (node.get("spec") or {}).get("taints") or ():
        if taint.get("key") in TAINTS:
            after_s, since_s = TAINTS[taint["key"]], stamps.known_s(taint.get("timeAdded"))
            yield _Notice(name, None if after_s is None or since_s is None else since_s + after_s)


def _of_claim(claim: Object) -> Iterator[_Notice]:
    node = (claim.get("status") or {}).get("nodeName")
    reason = stamps.condition(claim, "DisruptionReason")
    if node and stamps.is_going(claim):
        yield _Notice(node, stamps.known_s(stamps.annotations_of(claim).get(_DEADLINE)))
    elif node and reason.get("status") == "True":
        since_s = stamps.known_s(reason.get("lastTransitionTime"))
        yield _Notice(node, None if since_s is None else since_s + REPLACING_S)


def _of_events(seen: Seen) -> Iterator[_Notice]:
    for event in seen.events:
        if event.get("reason") not in EVENTS:
            continue
        node, at_s = _node_of(event, seen), stamps.happened_s(event)
        # The name of a node is its address, which another may get within the hour that Events are kept.
        if node in seen.nodes and at_s is not None and at_s >= (stamps.created_s(seen.nodes[node]) or 0.0):
            after_s = EVENTS[event["reason"]]
            yield _Notice(node, None if after_s is None else at_s + after_s)


def _node_of(event: Object, seen: Seen) -> str:
    """The name of the node that an Event of it or of its NodeClaim is about; empty where there is none."""
    regarding = event.get("regarding") or {}
    name = regarding.get("name") or ""
    if regarding.get("kind") == "NodeClaim":
        return (seen.node_claims.get(name, {}).get("status") or {}).get("nodeName") or ""
    return name if regarding.get("kind") == "Node" else ""

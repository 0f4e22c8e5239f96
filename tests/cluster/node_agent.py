"""The kubelets of all nodes."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from cluster.view import REST_S, View, leaving, micro_stamp, name, namespace, serves, stamp
from holdfast.kube.errors import NotFoundError
from holdfast.kube.kinds import NODE, POD, Object

HEARTBEAT_S = 10.0
"""Between renewals of a node's lease, as a kubelet does."""

NODE_LEASES = "kube-node-lease"


@dataclass
class NodeAgent:
    """Marks a bound pod Running and Ready some seconds after it was bound, and lets one that is deleted go.

    Like a kubelet it writes the whole of a pod's status, keeps the lease of each node, and ends a terminating pod with
    a grace period of 0. Unlike one it starts no container, asks no probe, knows no phase between, and takes its nodes'
    existence from whoever makes Node objects.

    ready_after_s: from binding to Ready; gone_after_s: from deletion to gone. jitter: share of both that chance adds.
    heartbeat: keep leases, without which a node controller would evict from the nodes after 40 s.
    """

    view: View
    ready_after_s: float = 5.0
    gone_after_s: float = 1.0
    jitter: float = 0.2
    seed: int = 0
    heartbeat: bool = False
    _due_s: dict[str, float] = field(default_factory=dict)
    _beat_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view.watch(POD, NODE)
        self._chance = random.Random(self.seed)

    async def run(self) -> None:
        await self.view.follow((POD, NODE), self.step)

    async def step(self, now_s: float) -> float:
        nodes = {name(node) for node in self.view.all(NODE)}
        bound = [pod for pod in self.view.all(POD) if pod["spec"].get("nodeName") in nodes]
        due = [await self._tend(pod, now_s) for pod in bound]
        if self.heartbeat:
            due += [await self._beat(node, now_s) for node in sorted(nodes)]
        return max(0.0, min(due, default=now_s + REST_S) - now_s)

    async def _tend(self, pod: Object, now_s: float) -> float:
        """Does what is due for the pod; returns when something will be."""
        if serves(pod):
            return now_s + REST_S
        going = leaving(pod)
        takes_s = self.gone_after_s if going else self.ready_after_s
        key = f"{pod['metadata']['uid']} {'goes' if going else 'comes'}"
        due_s = self._due_s.setdefault(key, now_s + takes_s * (1 + self.jitter * self._chance.random()))
        if now_s < due_s:
            return due_s
        if going:
            await end(self.view, pod)
        else:
            await self.view.connection.merge(POD, name(pod), namespace(pod), running(pod, now_s), subresource="status")
        return now_s + REST_S

    async def _beat(self, node: str, now_s: float) -> float:
        if now_s >= self._beat_s.get(node, 0.0) + HEARTBEAT_S:
            self._beat_s[node] = now_s
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": node, "namespace": NODE_LEASES},
                "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": micro_stamp(now_s)},
            }
            await self.view.connection.apply(lease, manager="node-agent")
        return self._beat_s[node] + HEARTBEAT_S


async def end(view: View, pod: Object) -> None:
    """The pod is gone at once, as when its kubelet has seen its containers end, or its node is no more."""
    uid = pod["metadata"]["uid"]
    try:
        await view.connection.delete(POD, name(pod), namespace(pod), uid=uid, grace_s=0)
    except NotFoundError:
        return


def running(pod: Object, now_s: float) -> Object:
    """The status of a pod all of whose containers run and are ready since now."""
    at = stamp(now_s)
    bound = next(
        (one for one in pod.get("status", {}).get("conditions", []) if one["type"] == "PodScheduled"),
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": at},
    )
    now_true = [
        {"type": kind, "status": "True", "lastTransitionTime": at}
        for kind in ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")
    ]
    containers = [
        {
            "name": container["name"],
            "ready": True,
            "started": True,
            "restartCount": 0,
            "image": container["image"],
            "imageID": container["image"],
            "state": {"running": {"startedAt": at}},
        }
        for container in pod["spec"]["containers"]
    ]
    conditions = [bound, *now_true]
    status = {"phase": "Running", "startTime": at, "conditions": conditions, "containerStatuses": containers}
    return {"status": status}

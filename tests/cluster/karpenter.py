"""Karpenter and EC2: nodes for pods that have none, as far as there is capacity."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from cluster.node_agent import end
from cluster.view import REST_S, View, labels, leaving, name, stamp
from holdfast.catalog import instances
from holdfast.kube.errors import NotFoundError
from holdfast.kube.kinds import NODE, NODE_CLAIM, NODE_POOL, POD, Kind, Object
from holdfast.model.hardware import InstanceType

POOL = "karpenter.sh/nodepool"
MADE_HERE = "holdfast.dev/stand-in"
"""Label of the nodes that no machine stands behind."""

PLENTY = 1000
CORE_EVENT = Kind("", "v1", "Event", "events")
DISRUPTED: Object = {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}


@dataclass
class KarpenterStandIn:
    """Brings a node for each pod that is unschedulable for want of one in its NodePool, while EC2 has one.

    As Karpenter it claims first (NodeClaim `<pool>-<5 characters>`), and where there is no capacity says
    `InsufficientCapacityError` on the claim, deletes it, and does not ask for that offering again for 3 minutes. A
    spot interruption is an Event on Node and NodeClaim and the taint `karpenter.sh/disrupted`; its pods are evicted,
    and after the notice the node goes. Empty nodes go after `empty_s`. Unlike Karpenter: one offering per NodePool, no
    batching window, no finalizers, limits or budgets, no packing beyond devices; evictions ask no disruption budget.

    nodes_of_ec2: how many nodes of a NodePool there are to be had, PLENTY where not said.
    launch_s: from claim to node; notice_s: from interruption to the end; unavailable_s: how long it does not ask again.
    """

    view: View
    nodes_of_ec2: dict[str, int] = field(default_factory=dict)
    launch_s: float = 10.0
    notice_s: float = 120.0
    unavailable_s: float = 180.0
    empty_s: float = 300.0
    seed: int = 0
    _unavailable_until_s: dict[str, float] = field(default_factory=dict)
    _up_s: dict[str, float] = field(default_factory=dict)
    _going_s: dict[str, float] = field(default_factory=dict)
    _empty_since_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view.watch(POD, NODE, NODE_CLAIM, NODE_POOL)
        self._chance = random.Random(f"{self.seed} {self.view.clock()}")
        self._serial = itertools.count(1)
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        await self.view.follow((POD, NODE, NODE_CLAIM, NODE_POOL), self.step)

    async def step(self, now_s: float) -> float:
        """One round of provisioning, launching and removing; returns for how long nothing is due."""
        async with self._turn:
            due = [await self._end_interrupted(now_s), await self._launch(now_s), await self._remove_empty(now_s)]
            due += [await self._provision(pool, now_s) for pool in self.view.all(NODE_POOL)]
        return max(0.0, min(due) - now_s)

    async def withdraw(self, pool: str, left: int = 0) -> None:
        """EC2 takes the pool's nodes without notice but for `left` of them, and has no others."""
        async with self._turn:
            now_s = self.view.clock()
            self.nodes_of_ec2[pool] = left
            self._unavailable_until_s.pop(pool, None)
            nodes = self._nodes(pool)
            up = {name(node) for node in nodes}
            for claim in self._claims(pool):
                if name(claim) not in up:
                    await self._refuse(claim, now_s)
            for node in nodes[left:]:
                await self._take(name(node))

    def restore(self, pool: str, nodes: int = PLENTY) -> None:
        """EC2 has so many nodes of the pool again. Nobody is told: it shows when it is asked."""
        self.nodes_of_ec2[pool] = nodes

    async def interrupt(self, pool: str, count: int) -> None:
        """A spot interruption notice for that many of the pool's nodes, of which EC2 has so many fewer then."""
        async with self._turn:
            await self._interrupt(pool, count)

    async def _interrupt(self, pool: str, count: int) -> None:
        nodes = [node for node in self._nodes(pool) if DISRUPTED not in node["spec"].get("taints", [])]
        now_s = self.view.clock()
        self.nodes_of_ec2[pool] = len(nodes) - count
        for node in nodes[:count]:
            self._going_s[name(node)] = now_s + self.notice_s
            claim = self.view.get(NODE_CLAIM, name(node))
            for told, kind in ((node, NODE), (claim, NODE_CLAIM)):
                if told is not None:
                    text = "Spot interruption warning was triggered"
                    await self._say(told, kind, "SpotInterrupted", text, now_s)
            taints = [*node["spec"].get("taints", []), DISRUPTED]
            await self.view.connection.merge(NODE, name(node), None, {"spec": {"taints": taints}})
            for pod in self._pods_on(name(node)):
                await self.view.connection.delete(POD, name(pod), pod["metadata"]["namespace"])

    async def _provision(self, pool: Object, now_s: float) -> float:
        needed = self._nodes_needed(pool)
        until_s = self._unavailable_until_s.get(name(pool), 0.0)
        if needed and now_s < until_s:
            return until_s
        for _ in range(needed):
            claims = [claim for claim in self._claims(name(pool)) if not leaving(claim)]
            claim = await self._claim(pool, now_s)
            if len(claims) >= self.nodes_of_ec2.get(name(pool), PLENTY):
                await self._refuse(claim, now_s)
                self._unavailable_until_s[name(pool)] = now_s + self.unavailable_s
                return now_s + self.unavailable_s
            await self.view.until(NODE_CLAIM, partial(self._there, NODE_CLAIM, name(claim)))
        return now_s + (self.launch_s if needed else REST_S)

    def _nodes_needed(self, pool: Object) -> int:
        """Nodes for the pods that wait, beyond those that are coming or have room."""
        waiting = [
            pod
            for pod in self.view.all(POD)
            if pod["spec"].get("nodeSelector", {}).get(POOL) == name(pool)
            and "nodeName" not in pod["spec"]
            and not leaving(pod)
        ]
        if not waiting:
            return 0
        per_node = _pods_per_node(pool, waiting[0])
        nodes = self._nodes(name(pool))
        coming = len(self._claims(name(pool))) - len(nodes)
        room = sum(max(0, per_node - len(self._pods_on(name(node)))) for node in nodes if _takes_pods(node))
        return max(0, math.ceil((len(waiting) - room) / per_node) - max(0, coming))

    async def _claim(self, pool: Object, now_s: float) -> Object:
        template = pool["spec"]["template"]
        claim = {
            "apiVersion": NODE_CLAIM.api_version,
            "kind": NODE_CLAIM.kind,
            "metadata": {
                "name": f"{name(pool)}-{self._suffix()}",
                "labels": template["metadata"].get("labels", {}) | {POOL: name(pool)},
            },
            "spec": {key: template["spec"][key] for key in ("nodeClassRef", "requirements", "taints", "expireAfter")},
        }
        return await self.view.connection.create(NODE_CLAIM, claim)

    async def _refuse(self, claim: Object, now_s: float) -> None:
        text = (
            f"NodeClaim {name(claim)} event: creating instance, insufficient capacity, with fleet error(s), "
            "InsufficientInstanceCapacity: We currently do not have sufficient capacity in the Availability Zone "
            "you requested"
        )
        await self._say(claim, NODE_CLAIM, "InsufficientCapacityError", text, now_s)
        await self.view.connection.delete(NODE_CLAIM, name(claim))

    async def _launch(self, now_s: float) -> float:
        """Nodes for the claims whose instance is up; returns when the next will be."""
        next_s = now_s + REST_S
        for claim in self.view.all(NODE_CLAIM):
            if self.view.get(NODE, name(claim)) is not None or leaving(claim):
                continue
            due_s = self._up_s.setdefault(name(claim), now_s + self.launch_s)
            if now_s < due_s:
                next_s = min(next_s, due_s)
                continue
            pool = self.view.get(NODE_POOL, labels(claim)[POOL])
            if pool is not None:
                await self._join(claim, pool, now_s)
        return next_s

    async def _join(self, claim: Object, pool: Object, now_s: float) -> None:
        connection = self.view.connection
        node = node_of(claim, pool)
        await connection.create(NODE, node)
        at = stamp(now_s)
        ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastTransitionTime": at}]
        ready[0]["lastHeartbeatTime"] = at
        room = _room(pool)
        status = {"capacity": room, "allocatable": room, "conditions": ready}
        await connection.merge(NODE, name(node), None, {"status": status}, subresource="status")
        conditions = [
            {"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": at}
            for kind in ("Launched", "Registered", "Initialized", "Ready")
        ]
        joined = {"nodeName": name(node), "providerID": node["spec"]["providerID"], "conditions": conditions}
        await connection.merge(NODE_CLAIM, name(claim), None, {"status": joined}, subresource="status")
        await self.view.until(NODE, partial(self._there, NODE, name(node)))

    async def _end_interrupted(self, now_s: float) -> float:
        for node, gone_s in list(self._going_s.items()):
            if now_s >= gone_s:
                del self._going_s[node]
                await self._take(node)
        return min(self._going_s.values(), default=now_s + REST_S)

    async def _remove_empty(self, now_s: float) -> float:
        """Consolidation of empty nodes."""
        since_s = {
            name(node): self._empty_since_s.get(name(node), now_s)
            for node in self.view.all(NODE)
            if MADE_HERE in labels(node) and not self._pods_on(name(node))
        }
        for node in [node for node, empty_s in since_s.items() if now_s >= empty_s + self.empty_s]:
            del since_s[node]
            await self._take(node)
        self._empty_since_s = since_s
        return min(since_s.values(), default=now_s + REST_S) + self.empty_s

    async def _take(self, node: str) -> None:
        """The claim, its node and the pods on it are gone: in this order, so that neither comes back meanwhile."""
        for kind in (NODE_CLAIM, NODE):
            with suppress(NotFoundError):
                await self.view.connection.delete(kind, node)
            await self.view.until(kind, partial(self._gone, kind, node))
        for pod in self._pods_on(node):
            await end(self.view, pod)

    async def _say(self, about: Object, kind: Kind, reason: str, text: str, now_s: float) -> None:
        """A warning as client-go's recorder of core/v1 writes it, times in whole seconds."""
        at = stamp(now_s)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name(about)}.{next(self._serial):x}.{self._suffix()}", "namespace": "default"},
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "name": name(about),
                "uid": about["metadata"]["uid"],
            },
            "type": "Warning",
            "reason": reason,
            "message": text,
            "count": 1,
            "firstTimestamp": at,
            "lastTimestamp": at,
            "source": {"component": "karpenter"},
        }
        await self.view.connection.create(CORE_EVENT, event, "default")

    def _there(self, kind: Kind, name: str) -> bool:
        return self.view.get(kind, name) is not None

    def _gone(self, kind: Kind, name: str) -> bool:
        return not self._there(kind, name)

    def _nodes(self, pool: str) -> list[Object]:
        return [node for node in self.view.all(NODE) if labels(node).get(POOL) == pool]

    def _claims(self, pool: str) -> list[Object]:
        return [claim for claim in self.view.all(NODE_CLAIM) if labels(claim).get(POOL) == pool]

    def _pods_on(self, node: str) -> list[Object]:
        return [pod for pod in self.view.all(POD) if pod["spec"].get("nodeName") == node]

    def _suffix(self) -> str:
        return "".join(self._chance.choices("bcdfghjklmnpqrstvwxz2456789", k=5))


def node_of(claim: Object, pool: Object) -> Object:
    """The Node that an instance of the claim joins as."""
    told = {one["key"]: one["values"][0] for one in claim["spec"]["requirements"] if one["operator"] == "In"}
    zone = told.get("topology.kubernetes.io/zone", "us-west-2a")
    described = labels(claim) | told | {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name(claim)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name(claim), "labels": described | {MADE_HERE: "true"}},
        "spec": {
            "providerID": f"aws:///{zone}/{name(claim)}",
            "taints": pool["spec"]["template"]["spec"].get("taints", []),
        },
    }


def _room(pool: Object) -> dict[str, str]:
    """What a node of the pool has for pods: its instance type's."""
    instance = _instance(pool)
    return {
        "cpu": str(instance.vcpus),
        "memory": f"{instance.memory_gib:.0f}Gi",
        "ephemeral-storage": "500Gi",
        "pods": "58",
        _device(pool): str(instance.resource_count),
    }


def _pods_per_node(pool: Object, pod: Object) -> int:
    asked = pod["spec"]["containers"][0]["resources"]["limits"]
    return _instance(pool).resource_count // int(asked[_device(pool)])


def _instance(pool: Object) -> InstanceType:
    requirements: list[Object] = pool["spec"]["template"]["spec"]["requirements"]
    return instances.instance_type(
        next(one["values"][0] for one in requirements if one["key"] == "node.kubernetes.io/instance-type")
    )


def _device(pool: Object) -> str:
    """The resource that the pool's nodes are tainted by, for what uses none of it."""
    return str(pool["spec"]["template"]["spec"]["taints"][0]["key"])


def _takes_pods(node: Object) -> bool:
    return DISRUPTED not in node["spec"].get("taints", [])

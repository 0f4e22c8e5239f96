"""What a control plane has and the tests' API server lacks: Deployments make pods, a scheduler binds them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from cluster.view import REST_S, View, condition, is_true, labels, leaving, name, namespace, serves, stamp
from holdfast.kube.kinds import DEPLOYMENT, NODE, POD, Object

TEMPLATE_HASH = "pod-template-hash"


@dataclass
class DeploymentController:
    """Makes the pods of Deployments, replaces them one by one where the template changed, and tells their status.

    As the real one: no more than one pod beyond the replicas, none less; where there are too many, those go first that
    are not bound, then those not Ready, then the youngest. Unlike it: no ReplicaSets and so no history or rollback, the
    strategy is RollingUpdate with maxSurge 1 and maxUnavailable 0 whatever is asked, no progress deadline.
    """

    view: View

    def __post_init__(self) -> None:
        self.view.watch(DEPLOYMENT, POD)

    async def run(self) -> None:
        await self.view.follow((DEPLOYMENT, POD), self.step)

    async def step(self, now_s: float) -> float:
        owned: dict[str, list[Object]] = {}
        for pod in self.view.all(POD):
            for owner in pod["metadata"].get("ownerReferences", []):
                owned.setdefault(owner["uid"], []).append(pod)
        for deployment in self.view.all(DEPLOYMENT):
            if not leaving(deployment):
                await self._keep(deployment, owned.get(deployment["metadata"]["uid"], []), now_s)
        return REST_S

    async def _keep(self, deployment: Object, pods: list[Object], now_s: float) -> None:
        wanted = deployment["spec"].get("replicas", 1)
        revision = template_hash(deployment)
        staying = [pod for pod in pods if not leaving(pod)]
        new = [pod for pod in staying if labels(pod).get(TEMPLATE_HASH) == revision]
        old = [pod for pod in staying if labels(pod).get(TEMPLATE_HASH) != revision]
        makes = min(wanted - len(new), wanted + (1 if old else 0) - len(staying))
        made = [await self._make(deployment, revision) for _ in range(makes)]
        spare = max(0, sum(serves(pod) for pod in staying) - wanted)
        going = [pod for pod in old if not serves(pod)] + sorted(filter(serves, old), key=_first_to_go)[:spare]
        if not old:
            going = sorted(new, key=_first_to_go)[: max(0, len(new) - wanted)]
        for pod in going:
            await self.view.connection.delete(POD, name(pod), namespace(pod))
        gone = {pod["metadata"]["uid"] for pod in going}
        await self._tell(deployment, [pod for pod in staying if pod["metadata"]["uid"] not in gone], revision, now_s)
        await self.view.until(POD, lambda: all(self.view.get(POD, name(pod), namespace(pod)) for pod in made))
        await self.view.until(POD, lambda: not any(self._stays(pod) for pod in going))

    def _stays(self, pod: Object) -> bool:
        found = self.view.get(POD, name(pod), namespace(pod))
        return found is not None and not leaving(found)

    async def _make(self, deployment: Object, revision: str) -> Object:
        template = deployment["spec"]["template"]
        metadata = deployment["metadata"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{name(deployment)}-{revision}-",
                "labels": template["metadata"]["labels"] | {TEMPLATE_HASH: revision},
                "annotations": template["metadata"].get("annotations", {}),
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "Deployment",
                        "name": name(deployment),
                        "uid": metadata["uid"],
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": template["spec"],
        }
        return await self.view.connection.create(POD, pod, namespace(deployment))

    async def _tell(self, deployment: Object, pods: list[Object], revision: str, now_s: float) -> None:
        ready = sum(serves(pod) for pod in pods)
        wanted = deployment["spec"].get("replicas", 1)
        before = condition(deployment, "Available")
        available = "True" if ready >= wanted else "False"
        since = before["lastTransitionTime"] if before and before["status"] == available else stamp(now_s)
        status = {
            "observedGeneration": deployment["metadata"].get("generation", 1),
            "replicas": len(pods),
            "updatedReplicas": sum(labels(pod).get(TEMPLATE_HASH) == revision for pod in pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [{"type": "Available", "status": available, "lastTransitionTime": since}],
        }
        if deployment.get("status") != status:
            patch = {"status": status}
            await self.view.connection.merge(
                DEPLOYMENT, name(deployment), namespace(deployment), patch, subresource="status"
            )


@dataclass
class Scheduler:
    """Binds each pod to a node that its selector names, whose taints it tolerates, with devices left for it.

    Unlike the real one it knows no CPU or memory, no affinity, spreading, priority or preemption, and takes the first
    node by name; and it binds by a patch of the pod, which a real API server refuses.
    """

    view: View

    def __post_init__(self) -> None:
        self.view.watch(POD, NODE)

    async def run(self) -> None:
        await self.view.follow((POD, NODE), self.step)

    async def step(self, now_s: float) -> float:
        pods, nodes = self.view.all(POD), self.view.all(NODE)
        free = {name(node): dict(node.get("status", {}).get("allocatable", {})) for node in nodes}
        for pod in pods:
            if pod["spec"].get("nodeName") in free:
                _subtract(free[pod["spec"]["nodeName"]], pod)
        for pod in pods:
            if "nodeName" in pod["spec"] or leaving(pod):
                continue
            fits = (node for node in nodes if _fits(pod, node, free[name(node)]))
            node = next(fits, None)
            if node is not None:
                _subtract(free[name(node)], pod)
                await self._bind(pod, name(node), now_s)
            elif condition(pod, "PodScheduled") is None:
                await self._say(pod, "False", "Unschedulable", now_s)
        return REST_S

    async def _bind(self, pod: Object, node: str, now_s: float) -> None:
        patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "spec": {"nodeName": node}}
        await self.view.connection.merge(POD, name(pod), namespace(pod), patch)
        await self._say(pod, "True", None, now_s)
        await self.view.until(POD, lambda: self._bound(pod))

    def _bound(self, pod: Object) -> bool:
        found = self.view.get(POD, name(pod), namespace(pod))
        return found is None or is_true(found, "PodScheduled")

    async def _say(self, pod: Object, status: str, reason: str | None, now_s: float) -> None:
        said = {"type": "PodScheduled", "status": status, "lastTransitionTime": stamp(now_s)}
        if reason is not None:
            said |= {"reason": reason, "message": "0 nodes are available"}
        patch = {"status": {"phase": "Pending", "conditions": [said]}}
        await self.view.connection.merge(POD, name(pod), namespace(pod), patch, subresource="status")


def template_hash(deployment: Object) -> str:
    """A name for what the Deployment's pods are made from."""
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _first_to_go(pod: Object) -> tuple[bool, bool, str, str]:
    bound = "nodeName" in pod["spec"]
    young = "".join(chr(255 - ord(letter)) for letter in pod["metadata"].get("creationTimestamp", ""))
    return bound, is_true(pod, "Ready"), young, name(pod)


def _devices(pod: Object) -> dict[str, int]:
    asked: dict[str, int] = {}
    for container in pod["spec"]["containers"]:
        for resource, amount in container.get("resources", {}).get("limits", {}).items():
            if "/" in resource:
                asked[resource] = asked.get(resource, 0) + int(amount)
    return asked


def _subtract(free: dict[str, str], pod: Object) -> None:
    for resource, amount in _devices(pod).items():
        free[resource] = str(int(free.get(resource, "0")) - amount)


def _fits(pod: Object, node: Object, free: dict[str, str]) -> bool:
    selector = pod["spec"].get("nodeSelector", {})
    if any(labels(node).get(key) != value for key, value in selector.items()):
        return False
    tolerated = {(one.get("key"), one.get("effect")) for one in pod["spec"].get("tolerations", [])}
    taints = node["spec"].get("taints", [])
    if any((taint["key"], taint["effect"]) not in tolerated for taint in taints if taint["effect"] == "NoSchedule"):
        return False
    return all(int(free.get(resource, "0")) >= amount for resource, amount in _devices(pod).items())

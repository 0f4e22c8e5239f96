"""What the API server last told, sorted by fleet, so that a change costs the same however many fleets there are.

object                                  is a fleet's when
InferenceFleet                          it is the fleet
what holdfast manages, and pods         `app.kubernetes.io/part-of` names it
ConfigMap of a plan, of measurements    `holdfast.dev/fleet` names it
HorizontalPodAutoscaler                 it scales one of the fleet's workloads (KEDA makes them)
NodeClaim                               it is of a node pool of one of the fleet's units
Node                                    a pod of the fleet is on it
Event                                   it regards one of those NodeClaims, NodePools or Nodes, the group of nodes of
                                        such a pool, or a pod of one of the fleet's workloads, there or not
"""

from __future__ import annotations

from collections import defaultdict
from typing import TypeVar

from holdfast.control.operator.seeing.events import Events, Subject, of_pool
from holdfast.control.operator.seeing.seen import Key, Seen
from holdfast.kube import kinds
from holdfast.kube.kinds import Kind, Object
from holdfast.manifests import metadata, names
from holdfast.manifests.fleet import plan_map
from holdfast.model.cluster import Nodes

K = TypeVar("K")
V = TypeVar("V")

FleetKey = tuple[str, str]
"""Namespace and name of a fleet."""

MANAGED_BY = "app.kubernetes.io/managed-by=holdfast"
NODE_POOL_LABEL = "karpenter.sh/nodepool"

_WORKLOADS = (kinds.DEPLOYMENT.kind, kinds.LEADER_WORKER_SET.kind)


class Sight:
    """All that is seen. Objects are kept as they were told; nobody changes them."""

    def __init__(self) -> None:
        self.fleets: dict[FleetKey, Object] = {}
        self._managed: defaultdict[FleetKey, dict[Key, Object]] = defaultdict(dict)
        self._config: defaultdict[FleetKey, dict[str, Object]] = defaultdict(dict)
        self._pods: defaultdict[FleetKey, dict[str, Object]] = defaultdict(dict)
        self._autoscalers: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._nodes: dict[str, Object] = {}
        self._guests: defaultdict[str, dict[FleetKey, int]] = defaultdict(dict)
        self._node_pools: dict[str, Object] = {}
        self._owners: dict[Subject, FleetKey] = {}
        self._claims: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._events = Events()

    def seen(self, fleet: FleetKey, age_s: float) -> Seen:
        """What concerns one fleet. Raises KeyError when there is none of that key."""
        declared, managed, pods = self.fleets[fleet], self._managed[fleet], self._pods[fleet]
        nodes = {name for pod in pods.values() if (name := _on(pod))}
        pools = node_pools(declared)
        subjects = [
            *(of_pool(pool) for pool in pools),
            *(("Node", name) for name in nodes),
            *((fleet[0], name) for kind, name in managed if kind in _WORKLOADS),
        ]
        events = self._events.about(subjects)
        return Seen(
            fleet=declared,
            managed=dict(managed),
            config=dict(self._config[fleet]),
            autoscalers={
                name: found for name, found in self._autoscalers[fleet[0]].items() if _scaled(found) in managed
            },
            pods=tuple(pods.values()),
            nodes={name: self._nodes[name] for name in nodes if name in self._nodes},
            node_claims={name: claim for pool in pools for name, claim in self._claims.get(pool, {}).items()},
            node_pools=frozenset(self._node_pools),
            events=events,
            told={uid: self._events.told[uid] for uid in (str(event["metadata"]["uid"]) for event in events)},
            age_s=age_s,
        )

    def told(self, kind: Kind, found: Object, deleted: bool, now_s: float) -> tuple[FleetKey, ...]:
        """Takes in what was told of an object at `now_s`, and says which fleets it concerns."""
        sort = {
            kinds.FLEET: self._fleet,
            kinds.POD: self._pod,
            kinds.CONFIG_MAP: self._config_map,
            kinds.AUTOSCALER: self._autoscaler,
            kinds.NODE: self._node,
            kinds.NODE_POOL: self._node_pool,
            kinds.NODE_CLAIM: self._node_claim,
        }
        if kind == kinds.EVENT:
            return self._event(found, deleted, now_s)
        return sort[kind](found, deleted) if kind in sort else self._manage(found, deleted)

    def forget(self, namespace: str) -> None:
        """All that is in the namespace, which is no longer watched."""
        for key in [key for key in self._pods if key[0] == namespace]:
            for pod in list(self._pods[key].values()):
                self._pod(pod, True)
        for shelf in (self._pods, self._managed, self._config):
            for key in [key for key in shelf if key[0] == namespace]:
                del shelf[key]
        self._autoscalers.pop(namespace, None)
        self._events.forget(namespace)

    def _fleet(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        key = _namespace(found), _name(found)
        for pool in node_pools(self.fleets.get(key, found)):
            self._owners.pop(of_pool(pool), None)
        _keep(self.fleets, key, found, deleted)
        if not deleted:
            self._owners |= dict.fromkeys(map(of_pool, node_pools(found)), key)
        return (key,)

    def _pod(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        key, name = _owner(found, metadata.PART_OF), _name(found)
        before = _on(self._pods[key].get(name))
        after = None if deleted else _on(found)
        _keep(self._pods[key], name, found, deleted)
        if before != after:
            self._leave(before, key)
            self._enter(after, key)
        return (key,)

    def _enter(self, node: str | None, key: FleetKey) -> None:
        if node is not None:
            self._guests[node][key] = self._guests[node].get(key, 0) + 1

    def _leave(self, node: str | None, key: FleetKey) -> None:
        if node is None:
            return
        self._guests[node][key] -= 1
        if not self._guests[node][key]:
            del self._guests[node][key]
        if not self._guests[node]:
            del self._guests[node]

    def _config_map(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        if plan_map.FLEET_LABEL not in _labels(found):
            return self._manage(found, deleted)
        key = _owner(found, plan_map.FLEET_LABEL)
        _keep(self._config[key], _name(found), found, deleted)
        return (key,)

    def _autoscaler(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        namespace = _namespace(found)
        _keep(self._autoscalers[namespace], _name(found), found, deleted)
        if not any(owner["kind"] == kinds.SCALED_OBJECT.kind for owner in found["metadata"].get("ownerReferences", ())):
            return self._manage(found, deleted) if metadata.PART_OF in _labels(found) else ()
        scaled = _scaled(found)
        return tuple(key for key in self.fleets if key[0] == namespace and scaled in self._managed.get(key, {}))

    def _node(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        _keep(self._nodes, _name(found), found, deleted)
        return tuple(self._guests.get(_name(found), ()))

    def _node_pool(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        _keep(self._node_pools, _name(found), found, deleted)
        return self._concerned(of_pool(_name(found)))

    def _node_claim(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        pool = _labels(found).get(NODE_POOL_LABEL, "")
        _keep(self._claims[pool], _name(found), found, deleted)
        return self._concerned(of_pool(pool))

    def _event(self, found: Object, deleted: bool, now_s: float) -> tuple[FleetKey, ...]:
        about = self._events.take(found, deleted, now_s)
        return tuple(dict.fromkeys(key for subject in about for key in self._concerned(subject)))

    def _concerned(self, subject: Subject) -> tuple[FleetKey, ...]:
        sort, name = subject
        if sort == "Node":
            return tuple(self._guests.get(name, ()))
        if sort == "NodePool":
            return (self._owners[subject],) if subject in self._owners else ()
        return tuple(
            key
            for key in self.fleets
            if key[0] == sort and any((kind, name) in self._managed.get(key, {}) for kind in _WORKLOADS)
        )

    def _manage(self, found: Object, deleted: bool) -> tuple[FleetKey, ...]:
        key = _owner(found, metadata.PART_OF)
        _keep(self._managed[key], (found["kind"], _name(found)), found, deleted)
        return (key,)


def node_pools(fleet: Object) -> tuple[str, ...]:
    """The names of the node pools of a fleet's units."""
    described = fleet["metadata"]
    units = fleet.get("spec", {}).get("units", ())
    return tuple(names.label(described["namespace"], described["name"], unit["name"]) for unit in units)


def has_node_groups(fleet: Object) -> bool:
    """Whether nodes of one of its units come from managed node groups, which the Cluster Autoscaler grows."""
    spec = fleet.get("spec", {})
    usual = spec.get("cluster", {}).get("nodes")
    return any((unit.get("nodes") or usual) == Nodes.NODE_GROUPS.value for unit in spec.get("units", ()))


def _keep(shelf: dict[K, V], key: K, found: V, deleted: bool) -> None:
    if deleted:
        shelf.pop(key, None)
    else:
        shelf[key] = found


def _name(found: Object) -> str:
    return str(found["metadata"]["name"])


def _namespace(found: Object) -> str:
    return str(found["metadata"].get("namespace", ""))


def _labels(found: Object) -> dict[str, str]:
    return found["metadata"].get("labels") or {}


def _owner(found: Object, label: str) -> FleetKey:
    return _namespace(found), _labels(found).get(label, "")


def _on(pod: Object | None) -> str | None:
    """The node that the pod is on."""
    return None if pod is None else pod.get("spec", {}).get("nodeName")


def _scaled(autoscaler: Object) -> Key:
    """What a HorizontalPodAutoscaler scales."""
    target = autoscaler["spec"]["scaleTargetRef"]
    return target["kind"], target["name"]

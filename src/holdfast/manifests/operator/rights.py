"""What the operator may do, and nothing else: no Secrets, no pods of its own making, no nodes.

    in the cluster              sees InferenceFleets, nodes, NodePools, NodeClaims; writes the status of InferenceFleets
    in its own namespace        the Lease that elects its leader
    in namespace `default`      sees Events: those of NodeClaims, which have no namespace, are there
    in the fleet's namespace    applies what a fleet is made of; sees its pods; sees and says events
    in namespace `kube-system`  sees Events, where a fleet has node groups: the Cluster Autoscaler says there which it
                                could not grow

The last two come with a fleet. There is a Role for each namespace with one: where there is none, the operator sees
fleets and cannot act. It is the same for every fleet, as a fleet may change, and several may share the namespace.
Whoever may change a Deployment may run any image there with any of the namespace's service accounts: that is much, and
why it is not granted in the whole cluster. It may make service accounts, which have no rights until people bind some to
them, and no tokens of any. What grants rights is for people to apply: the Role of llm-d's picker.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.operator import resource_definition, surroundings
from holdfast.model.cluster import Nodes
from holdfast.model.plan import Plan

LEASE = "holdfast-operator"

_EVENTS_OF_NODES = "default"
"""Namespace of the events of what has none (client-go, tools/events: an event has its object's, or this)."""

_EVENTS_OF_GROUPS = "kube-system"
"""Namespace of the Cluster Autoscaler, as `addons` installs it."""

_SEE = ["get", "list", "watch"]
_APPLY = [*_SEE, "create", "patch", "delete"]
"""Server-side apply is a patch, and a create where there is nothing yet. A pool that a plan gives up is deleted; of a
fleet that is deleted, the garbage collector takes everything."""

_APPLIED = {
    "": ["configmaps", "serviceaccounts", "services"],
    "agentgateway.dev": ["agentgatewayparameters"],
    "apps": ["daemonsets", "deployments"],
    "autoscaling": ["horizontalpodautoscalers"],
    "gateway.k8s.aws": ["listenerruleconfigurations", "loadbalancerconfigurations", "targetgroupconfigurations"],
    "gateway.networking.k8s.io": ["gateways", "httproutes"],
    "inference.networking.k8s.io": ["inferencepools"],
    "keda.sh": ["scaledobjects", "triggerauthentications"],
    "leaderworkerset.x-k8s.io": ["leaderworkersets"],
    "monitoring.coreos.com": ["podmonitors", "prometheusrules"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "policy": ["poddisruptionbudgets"],
    "resource.k8s.io": ["resourceclaimtemplates"],
}
"""What fleets are made of, by API group; configmaps are also plans, proposals and measurements."""

_FLEETS = resource_definition.PLURAL


def manifests() -> tuple[Manifest, ...]:
    """What the operator may do whichever fleets there are."""
    return (
        *_granted("cluster", None, _in_the_cluster()),
        *_granted("leader", surroundings.NAMESPACE, _leading()),
        *_granted("node-events", _EVENTS_OF_NODES, [_rule("events.k8s.io", ["events"], _SEE)]),
    )


def of_fleet(plan: Plan, folder: str) -> tuple[Manifest, ...]:
    """What it may do for this fleet, and all others there. It is applied with the fleet, which brings the namespace."""
    fleet = plan.fleet
    namespace = fleet.metadata.namespace
    own = _granted(f"fleets-{namespace}", namespace, _in_a_namespace(), f"{folder}/rights")
    if all((unit.nodes or fleet.spec.cluster.nodes) is not Nodes.NODE_GROUPS for unit in fleet.spec.units):
        return own
    seeing = [_rule("events.k8s.io", ["events"], _SEE)]
    return *own, *_granted("group-events", _EVENTS_OF_GROUPS, seeing, f"{folder}/rights/group-events")


def _in_the_cluster() -> list[Object]:
    return [
        _rule(resource_definition.GROUP, [_FLEETS], _SEE),
        _rule(resource_definition.GROUP, [f"{_FLEETS}/status"], ["get", "patch"]),
        # For owner references that keep an owner until what it owns is gone.
        _rule(resource_definition.GROUP, [f"{_FLEETS}/finalizers"], ["update"]),
        _rule("", ["nodes"], _SEE),
        _rule("karpenter.sh", ["nodeclaims", "nodepools"], _SEE),
    ]


def _leading() -> list[Object]:
    lease = ["leases"]
    return [
        # A request to create names nothing that could be compared.
        _rule("coordination.k8s.io", lease, ["create"]),
        _rule("coordination.k8s.io", lease, ["get", "update", "patch"]) | {"resourceNames": [LEASE]},
    ]


def _in_a_namespace() -> list[Object]:
    return [
        *(_rule(group, resources, _APPLY) for group, resources in _APPLIED.items()),
        _rule("", ["pods"], _SEE),
        _rule("events.k8s.io", ["events"], [*_SEE, "create", "patch"]),
    ]


def _rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> Object:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def _granted(what: str, namespace: str | None, rules: Sequence[Object], folder: str = "") -> tuple[Manifest, Manifest]:
    """A role and its binding, in a namespace or in the whole cluster; in a folder of their own unless one is given."""
    kind = "ClusterRole" if namespace is None else "Role"
    described = surroundings.described(f"{surroundings.NAME}-{what}", namespace)
    if namespace == _EVENTS_OF_NODES:
        why = {"CKV_K8S_21": "Events of NodeClaims, which have no namespace, are in this one"}
        described["annotations"] = described["annotations"] | metadata.explained(why)
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": described,
        "rules": list(rules),
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": f"{kind}Binding",
        "metadata": described,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": described["name"]},
        "subjects": [
            {"kind": "ServiceAccount", "name": surroundings.NAME, "namespace": surroundings.NAMESPACE},
        ],
    }
    folder = folder or f"{surroundings.FOLDER}/rights/{what}"
    return Manifest(f"{folder}/role.yaml", role), Manifest(f"{folder}/role-binding.yaml", binding)

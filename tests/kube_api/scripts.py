"""What is asked of a real API server and of ours: each script begins in an empty namespace, `transcript`.

A text such as `${made.metadata.resourceVersion}` stands for what the step `made` was answered.
"""

from __future__ import annotations

from typing import Any

from kube_api.requests import Object

NAMESPACE = "transcript"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
SERVICES = f"/api/v1/namespaces/{NAMESPACE}/services"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
SHELVES = f"/apis/tests.holdfast.dev/v1/namespaces/{NAMESPACE}/shelves"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
OLD_EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
EVENTS = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events"
AUTOSCALERS = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
INGRESSES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/ingresses"
BUDGETS = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"
POLICIES = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies"
NODES = "/api/v1/nodes"

JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
STRATEGIC = "application/strategic-merge-patch+json"

DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "shelves.tests.holdfast.dev"},
    "spec": {
        "group": "tests.holdfast.dev",
        "scope": "Namespaced",
        "names": {"kind": "Shelf", "listKind": "ShelfList", "plural": "shelves", "singular": "shelf"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {
                    "status": {},
                    "scale": {"specReplicasPath": ".spec.boards", "statusReplicasPath": ".status.boards"},
                },
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["wood"],
                                "properties": {
                                    "wood": {"type": "string", "enum": ["oak", "pine"]},
                                    "boards": {"type": "integer", "minimum": 0, "maximum": 9, "default": 2},
                                    "label": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 8},
                                    "load": {"x-kubernetes-int-or-string": True},
                                    "note": {"type": "string", "nullable": True},
                                    "paint": {
                                        "type": "object",
                                        "properties": {
                                            "colour": {"type": "string", "default": "white"},
                                            "coats": {"type": "integer"},
                                        },
                                    },
                                    "items": {
                                        "type": "array",
                                        "maxItems": 3,
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["name"],
                                        "items": {
                                            "type": "object",
                                            "required": ["name"],
                                            "properties": {
                                                "name": {"type": "string"},
                                                "count": {"type": "integer", "default": 1},
                                            },
                                        },
                                    },
                                    "tags": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "set",
                                        "items": {"type": "string"},
                                    },
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "sizes": {"type": "object", "additionalProperties": {"type": "integer"}},
                                },
                            },
                            "status": {
                                "type": "object",
                                "properties": {
                                    "boards": {"type": "integer"},
                                    "conditions": {
                                        "type": "array",
                                        "x-kubernetes-list-type": "map",
                                        "x-kubernetes-list-map-keys": ["type"],
                                        "items": {
                                            "type": "object",
                                            "required": ["type", "status"],
                                            "properties": {"type": {"type": "string"}, "status": {"type": "string"}},
                                        },
                                    },
                                },
                            },
                        },
                    }
                },
            }
        ],
    },
}


def step(method: str, path: str, body: Any = None, *, name: str = "", content: str = JSON, **query: Any) -> Object:
    return {"name": name, "method": method, "path": path, "query": query, "content": content, "body": body}


def get(path: str, **query: Any) -> Object:
    return step("GET", path, **query)


def post(path: str, body: Any, **query: Any) -> Object:
    return step("POST", path, body, **query)


def put(path: str, body: Any, **query: Any) -> Object:
    return step("PUT", path, body, **query)


def merge(path: str, body: Any, **query: Any) -> Object:
    return step("PATCH", path, body, content=MERGE, **{"fieldManager": "merger", **query})


def apply(path: str, body: Any, manager: str = "first", **query: Any) -> Object:
    return step("PATCH", path, body, content=APPLY, fieldManager=manager, **query)


def delete(path: str, body: Any = None, **query: Any) -> Object:
    return step("DELETE", path, body, **query)


def watch(path: str, **query: Any) -> Object:
    """All that one stream of a second tells."""
    return step("GET", path, watch="1", timeoutSeconds="1", **query)


def gone(path: str) -> Object:
    """Waits until the object is gone: controllers take their time."""
    return step("GONE", path)


COMPACT = step("COMPACT", "")
"""The real server was started anew just before the recording, so that it knows no older versions."""


def config(name: str, data: Any = None, **metadata: Any) -> Object:
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}
    return found | ({} if data is None else {"data": data})


def deployment(name: str, containers: Any = None, *, labels: Any = None, **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **({"labels": labels} if labels else {})},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": containers or [{"name": "web", "image": "web:1"}]},
            },
            **spec,
        },
    }


def shelf(name: str, status: Any = None, **spec: Any) -> Object:
    found = {"apiVersion": "tests.holdfast.dev/v1", "kind": "Shelf", "metadata": {"name": name}, "spec": spec}
    return found | ({} if status is None else {"status": status})


def lease(name: str, holder: str, **metadata: Any) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, **metadata},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 6,
            "leaseTransitions": 1,
            "renewTime": "2026-11-21T20:00:00.000000Z",
        },
    }


OBJECTS = [
    post(MAPS, config("a", {"x": "1"}), name="made", fieldManager="maker"),
    post(MAPS, config("a")),
    get(f"{MAPS}/a"),
    get(f"{MAPS}/none"),
    post("/api/v1/namespaces/nowhere/configmaps", config("a")),
    post(MAPS, config("b", namespace="default")),
    post(MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}),
    post(MAPS, config("Not_A_Name")),
    post(MAPS, config("b", resourceVersion="5")),
    post(MAPS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}}),
    post(MAPS, config("b", {"x": "1"}, labels={}, annotations=None), dryRun="All", fieldManager="maker"),
    get(f"{MAPS}/b"),
    put(f"{MAPS}/a", config("a", {"x": "2"}, resourceVersion="${made.metadata.resourceVersion}"), fieldManager="maker"),
    put(f"{MAPS}/a", config("a", {"x": "3"}, resourceVersion="${made.metadata.resourceVersion}")),
    put(f"{MAPS}/a", config("a", {"x": "4"}), fieldManager="other"),
    put(f"{MAPS}/a", config("a", {"x": "4"}), fieldManager="other"),
    put(f"{MAPS}/none", config("none")),
    put(f"{MAPS}/a", config("b")),
    put(f"{MAPS}/a", config("a", uid="00000000-1111-2222-3333-444444444444")),
    merge(f"{MAPS}/a", {"data": {"x": "5", "y": "1"}}, name="merged"),
    merge(f"{MAPS}/a", {"data": {"x": None}}),
    merge(f"{MAPS}/a", {"data": {"x": None}}),
    merge(f"{MAPS}/a", {"metadata": {"resourceVersion": "${merged.metadata.resourceVersion}"}, "data": {"z": "1"}}),
    merge(f"{MAPS}/a", {"metadata": {"labels": {"one": "1"}, "annotations": {"two": "2"}}}, name="labelled"),
    merge(f"{MAPS}/a", {"metadata": {"resourceVersion": "${labelled.metadata.resourceVersion}"}, "data": {"z": "1"}}),
    merge(f"{MAPS}/a", {"data": {"z": "2"}}, dryRun="All"),
    merge(f"{MAPS}/none", {"data": {"z": "2"}}),
    merge(f"{MAPS}/a", {"data": None}),
    merge(f"{MAPS}/a", {"nonsense": 1}),
    merge(f"{MAPS}/a", {"nonsense": 1}, fieldValidation="Strict"),
    step("PATCH", f"{MAPS}/a", {"data": {"s": "1"}}, content=STRATEGIC, fieldManager="merger"),
    step("PATCH", f"{MAPS}/a", {"data": {"s": "1"}}, content="text/plain"),
    step("POST", f"{MAPS}/a", config("a")),
    get("/apis/nothing.example.com/v1/things"),
    get(f"/api/v1/namespaces/{NAMESPACE}/nothing"),
    get(f"{MAPS}/a/status"),
    delete(f"{MAPS}/a", {"preconditions": {"uid": "00000000-1111-2222-3333-444444444444"}}),
    delete(f"{MAPS}/a", {"preconditions": {"resourceVersion": "${made.metadata.resourceVersion}"}}),
    delete(f"{MAPS}/a", dryRun="All"),
    delete(f"{MAPS}/a", {"preconditions": {"uid": "${made.metadata.uid}"}}),
    delete(f"{MAPS}/a"),
    post(MAPS, config("kept", finalizers=["tests.holdfast.dev/keep"]), fieldManager="maker"),
    delete(f"{MAPS}/kept"),
    delete(f"{MAPS}/kept"),
    merge(f"{MAPS}/kept", {"metadata": {"finalizers": None}}),
    get(f"{MAPS}/kept"),
]

LISTS = [
    *(
        post(MAPS, config(f"m{n}", labels={"even": str(n % 2 == 0).lower(), **({"first": "yes"} if n == 0 else {})}))
        for n in range(5)
    ),
    get(MAPS),
    get(MAPS, labelSelector="even=true"),
    get(MAPS, labelSelector="even==true,first"),
    get(MAPS, labelSelector="even!=true"),
    get(MAPS, labelSelector="even in (true, false),!first"),
    get(MAPS, labelSelector="first notin (yes)"),
    get(MAPS, labelSelector="= ="),
    get(MAPS, fieldSelector="metadata.name=m3"),
    get(MAPS, fieldSelector="metadata.name!=m3", labelSelector="even=false"),
    get(MAPS, fieldSelector="data.x=1"),
    get("/api/v1/configmaps", labelSelector="first=yes"),
    get(MAPS, limit="2", name="page"),
    post(MAPS, config("m00")),
    get(MAPS, limit="2", **{"continue": "${page.metadata.continue}"}, name="next"),
    get(MAPS, limit="2", **{"continue": "${next.metadata.continue}"}),
    get(SHELVES),
    post(SHELVES, shelf("s1", wood="oak")),
    get(SHELVES),
    get(PODS, fieldSelector="spec.nodeName=here"),
    delete(MAPS, labelSelector="even=true"),
    get(MAPS),
]

APPLYING = [
    apply(f"{MAPS}/a", config("a", {"x": "1", "y": "1"}, labels={"l": "1"})),
    apply(f"{MAPS}/a", config("a", {"x": "1", "y": "1"}, labels={"l": "1"})),
    apply(f"{MAPS}/a", config("a", {"x": "1"})),
    apply(f"{MAPS}/a", config("a", {"x": "2"}), "second"),
    apply(f"{MAPS}/a", config("a", {"x": "1", "z": "1"}), "second"),
    apply(f"{MAPS}/a", config("a", {"z": "1"})),
    apply(f"{MAPS}/a", config("a", {"x": "2", "z": "2"}), "third"),
    apply(f"{MAPS}/a", config("a", {"x": "2", "z": "2"}), "third", force="true"),
    merge(f"{MAPS}/a", {"data": {"x": "9", "m": "9"}}, name="merged"),
    apply(f"{MAPS}/a", config("a", {"x": "3"}), "third"),
    apply(f"{MAPS}/a", config("a", {"x": "9"}), "third"),
    apply(f"{MAPS}/a", config("a", {"x": "9"}, resourceVersion="${merged.metadata.resourceVersion}"), "third"),
    apply(f"{MAPS}/a", config("a", {}), "third"),
    apply(f"{MAPS}/a", config("a"), "second"),
    apply(f"{MAPS}/new", config("new", {"x": "1"}, resourceVersion="5")),
    apply(f"{MAPS}/new", config("new", {"x": "1"}), dryRun="All"),
    apply(f"{MAPS}/new", config("other", {"x": "1"})),
    step("PATCH", f"{MAPS}/new", config("new", {"x": "1"}), content=APPLY),
    apply(f"{MAPS}/new", {**config("new"), "nonsense": 1}),
    apply(f"{MAPS}/new", {**config("new"), "nonsense": 1}, fieldValidation="Strict"),
    apply(
        f"{MAPS}/owned", config("owned", ownerReferences=[{"apiVersion": "v1", "kind": "A", "name": "a", "uid": "1"}])
    ),
    apply(
        f"{MAPS}/owned",
        config("owned", ownerReferences=[{"apiVersion": "v1", "kind": "B", "name": "b", "uid": "2"}]),
        "second",
    ),
    apply(f"{MAPS}/owned", config("owned")),
    apply(f"{MAPS}/owned", config("owned", finalizers=["tests.holdfast.dev/keep"])),
    apply(f"{MAPS}/owned", config("owned", finalizers=["tests.holdfast.dev/more"]), "second"),
    merge(f"{MAPS}/owned", {"metadata": {"finalizers": None}}),
]

WEB = {"name": "web", "image": "web:1"}
WORKLOADS = [
    apply(
        f"{DEPLOYMENTS}/d",
        deployment(
            "d",
            [
                {
                    **WEB,
                    "ports": [{"containerPort": 80}],
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1Gi"}},
                }
            ],
            replicas=2,
        ),
    ),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [{**WEB, "env": [{"name": "B", "value": "3"}]}], replicas=2)),
    apply(
        f"{DEPLOYMENTS}/d",
        deployment("d", [{"name": "side", "image": "side"}, {"name": "web", "ports": [{"containerPort": 81}]}]),
        "second",
    ),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [WEB])),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [{**WEB, "image": "web:2"}], replicas=3), "second"),
    merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": 5}}, fieldManager="scaler"),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [WEB], replicas=4)),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [WEB], replicas=4), force="true"),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [WEB])),
    get(f"{DEPLOYMENTS}/d/scale"),
    put(
        f"{DEPLOYMENTS}/d/scale",
        {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 7}},
        fieldManager="scaler",
    ),
    get(f"{DEPLOYMENTS}/d"),
    merge(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 6}}, fieldManager="scaler"),
    apply(
        f"{DEPLOYMENTS}/d",
        deployment(
            "d", [{**WEB, "livenessProbe": {"httpGet": {"port": 80}}, "securityContext": {"privileged": False}}]
        ),
    ),
    apply(f"{DEPLOYMENTS}/d", deployment("d", [WEB])),
    merge(f"{DEPLOYMENTS}/d/status", {"status": {"replicas": 6, "readyReplicas": 5}, "spec": {"replicas": 1}}),
    merge(f"{DEPLOYMENTS}/d", {"status": {"replicas": 1}}),
    merge(f"{DEPLOYMENTS}/d", {"metadata": {"annotations": {"a": "1"}}}),
    merge(f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"a": "1"}}}),
    merge(f"{DEPLOYMENTS}/d", {"spec": {"template": {"spec": {"nodeSelector": {"zone": "a"}, "tolerations": []}}}}),
    merge(f"{DEPLOYMENTS}/d", {"spec": {"selector": {"matchLabels": {"app": "e"}}}}),
    merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": -1}}),
    merge(f"{DEPLOYMENTS}/d", {"spec": {"replicas": "many"}}),
    step(
        "PATCH",
        f"{DEPLOYMENTS}/d",
        {
            "spec": {
                "template": {
                    "spec": {"containers": [{"name": "web", "image": "web:9"}, {"name": "side", "$patch": "delete"}]}
                }
            }
        },
        content=STRATEGIC,
        fieldManager="merger",
    ),
    post(DEPLOYMENTS, deployment("e", labels={"x": "1"}, status={}), fieldManager="maker"),
    post(DEPLOYMENTS, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "bad"}, "spec": {}}),
    post(DEPLOYMENTS, deployment("bad", strange=1), fieldValidation="Strict"),
    post(DEPLOYMENTS, deployment("warned", strange=1), fieldManager="maker"),
    delete(f"{DEPLOYMENTS}/e"),
    delete(f"{DEPLOYMENTS}/d", {"propagationPolicy": "Foreground"}),
]

CUSTOM = [
    post(SHELVES, shelf("s", {"boards": 1}, wood="oak", strange=1, paint={}), name="made", fieldManager="maker"),
    post(SHELVES, shelf("t", wood="oak", strange=1), fieldValidation="Strict"),
    post(SHELVES, shelf("t", wood="iron", boards=12, label="Long-label", load=True, items=[{"count": 1}])),
    post(SHELVES, shelf("t", boards="two", tags=["a", "a"], free=[])),
    post(SHELVES, shelf("t", wood="oak", items=[{"name": "a"}, {"name": "a"}])),
    post(SHELVES, shelf("t", wood="oak", items=[{"name": n} for n in "abcd"], note=None, boards=None, label=None)),
    post(SHELVES, shelf("t", wood="oak", note=None, boards=None, load="5", free={"any": {"thing": [1]}, "n": None})),
    put(f"{SHELVES}/s", shelf("s", wood="pine")),
    put(
        f"{SHELVES}/s",
        shelf("s", {"boards": 3}, wood="pine")
        | {"metadata": {"name": "s", "resourceVersion": "${made.metadata.resourceVersion}"}},
        fieldManager="maker",
    ),
    merge(f"{SHELVES}/s", {"status": {"boards": 3}}),
    merge(
        f"{SHELVES}/s/status", {"status": {"boards": 3}, "spec": {"wood": "oak"}, "metadata": {"labels": {"a": "1"}}}
    ),
    merge(f"{SHELVES}/s/status", {"status": {"boards": "x"}}),
    apply(
        f"{SHELVES}/s/status",
        {**shelf("s", {"conditions": [{"type": "Ready", "status": "True"}]}), "spec": {"wood": "oak"}},
    ),
    apply(f"{SHELVES}/s/status", shelf("s", {"conditions": [{"type": "Full", "status": "False"}]}), "second"),
    apply(f"{SHELVES}/s/status", shelf("s", {"conditions": [{"type": "Ready", "status": "False"}]}), "second"),
    apply(f"{SHELVES}/s/status", shelf("s", {"conditions": []})),
    merge(f"{SHELVES}/s", {"metadata": {"annotations": {"a": "1"}}}),
    merge(f"{SHELVES}/s", {"spec": {"sizes": {"x": 1, "y": 2}, "tags": ["a", "b"]}}),
    apply(
        f"{SHELVES}/s",
        shelf("s", tags=["b", "c"], sizes={"z": 3}, items=[{"name": "vase"}, {"name": "book", "count": 7}]),
    ),
    apply(
        f"{SHELVES}/s",
        shelf("s", tags=["c"], items=[{"name": "book", "count": 8}, {"name": "clock"}], paint={"coats": 2}),
    ),
    apply(f"{SHELVES}/s", shelf("s", items=[{"name": "cup"}]), "second"),
    apply(f"{SHELVES}/s", shelf("s", free={"deep": {"a": 1, "list": [1, 2]}})),
    apply(f"{SHELVES}/s", shelf("s", free={"deep": {"b": 1}})),
    apply(f"{SHELVES}/s", shelf("s", unheard="of")),
    apply(f"{SHELVES}/s", shelf("s", boards=20)),
    apply(f"{SHELVES}/v", shelf("v", wood="oak", tags=[], items=[], sizes={}, paint={"colour": "red"})),
    apply(f"{SHELVES}/v", shelf("v", wood="oak")),
    get(f"{SHELVES}/v/scale"),
    merge(f"{SHELVES}/v/scale", {"spec": {"replicas": 4}}),
    get(f"{SHELVES}/v"),
    apply(f"{SHELVES}/w/status", shelf("w", {"boards": 1})),
    apply(f"{SHELVES}/w", {**shelf("w", {"boards": 1}, wood="oak"), "strange": 1}),
    delete(f"{SHELVES}/v"),
]

WATCHES = [
    post(MAPS, config("a", {"x": "1"}, labels={"on": "yes"}), name="made"),
    merge(f"{MAPS}/a", {"data": {"x": "2"}}),
    post(MAPS, config("b", labels={"on": "no"})),
    merge(f"{MAPS}/a", {"metadata": {"labels": {"on": "no"}}}),
    merge(f"{MAPS}/a", {"metadata": {"labels": {"on": "yes"}}}),
    merge(f"{MAPS}/a", {"data": {"x": "3"}}, name="changed"),
    delete(f"{MAPS}/a"),
    watch(MAPS, resourceVersion="${made.metadata.resourceVersion}"),
    watch(MAPS, resourceVersion="${made.metadata.resourceVersion}", labelSelector="on=yes"),
    watch(MAPS, resourceVersion="${made.metadata.resourceVersion}", fieldSelector="metadata.name=b"),
    watch(MAPS, resourceVersion="${changed.metadata.resourceVersion}"),
    watch(MAPS),
    watch(MAPS, resourceVersion="0"),
    watch(
        MAPS,
        sendInitialEvents="true",
        resourceVersionMatch="NotOlderThan",
        allowWatchBookmarks="true",
        resourceVersion="${changed.metadata.resourceVersion}",
    ),
    watch(MAPS, resourceVersion="nonsense"),
    COMPACT,
    watch(MAPS, resourceVersion="1"),
    get(MAPS, **{"continue": "bm9uc2Vuc2U"}),
]

ELECTION = [
    post(LEASES, lease("l", "one"), name="made", fieldManager="one"),
    put(
        f"{LEASES}/l",
        lease("l", "two", resourceVersion="${made.metadata.resourceVersion}"),
        name="taken",
        fieldManager="two",
    ),
    put(f"{LEASES}/l", lease("l", "one", resourceVersion="${made.metadata.resourceVersion}"), fieldManager="one"),
    put(f"{LEASES}/l", lease("l", "one")),
    merge(
        f"{LEASES}/l",
        {"metadata": {"resourceVersion": "${made.metadata.resourceVersion}"}, "spec": {"holderIdentity": ""}},
    ),
    merge(
        f"{LEASES}/l",
        {"metadata": {"resourceVersion": "${taken.metadata.resourceVersion}"}, "spec": {"holderIdentity": ""}},
    ),
    apply(f"{LEASES}/l", lease("l", "three", resourceVersion="${made.metadata.resourceVersion}"), force="true"),
    put(f"{LEASES}/made-by-put", lease("made-by-put", "one"), fieldManager="one"),
    post(LEASES, lease("l", "two")),
]

HAPPENED = "2026-11-21T20:00:00.000000Z"
SAID = [
    post(
        EVENTS,
        {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "shift.1"},
            "eventTime": HAPPENED,
            "reportingController": "holdfast.dev/operator",
            "reportingInstance": "one",
            "action": "Shift",
            "reason": "WeightsShifted",
            "type": "Normal",
            "note": "weights changed",
            "regarding": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "namespace": NAMESPACE},
        },
        fieldManager="one",
    ),
    merge(f"{EVENTS}/shift.1", {"series": {"count": 2, "lastObservedTime": HAPPENED}}),
    merge(f"{EVENTS}/shift.1", {"note": "changed"}),
    get(f"{OLD_EVENTS}/shift.1"),
    post(
        OLD_EVENTS,
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "short.1"},
            "involvedObject": {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "namespace": NAMESPACE},
            "reason": "InsufficientCapacityError",
            "message": "no capacity",
            "type": "Warning",
            "source": {"component": "karpenter"},
            "firstTimestamp": "2026-11-21T20:00:00Z",
            "lastTimestamp": "2026-11-21T20:00:01Z",
            "count": 2,
        },
        name="short",
        fieldManager="karpenter",
    ),
    get(f"{EVENTS}/short.1"),
    get(EVENTS),
    get(OLD_EVENTS, fieldSelector="involvedObject.name=b"),
    get(EVENTS, fieldSelector="regarding.name=b"),
    get(EVENTS, fieldSelector="reason=WeightsShifted"),
    watch(EVENTS),
]

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "transcript-node", "labels": {"zone": "a"}},
    "status": {"capacity": {"cpu": "4000m"}, "conditions": [{"type": "Ready", "status": "True"}]},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"app": "p"}},
    "spec": {"containers": [{"name": "web", "image": "web"}]},
}
DEFAULTS = [
    post(NODES, NODE, fieldManager="karpenter"),
    merge(
        f"{NODES}/transcript-node",
        {
            "spec": {"taints": [{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]},
            "status": {"capacity": {"cpu": "5"}},
        },
    ),
    merge(f"{NODES}/transcript-node/status", {"status": {"capacity": {"cpu": "6"}}}),
    post(PODS, POD, fieldManager="maker"),
    post(
        f"{PODS}/p/binding",
        {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": "p"},
            "target": {"kind": "Node", "name": "transcript-node"},
        },
    ),
    get(f"{PODS}/p"),
    merge(f"{PODS}/p/status", {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}),
    get(PODS, fieldSelector="spec.nodeName=transcript-node,status.phase=Running"),
    delete(f"{PODS}/p"),
    delete(f"{PODS}/p", gracePeriodSeconds="0"),
    get(f"{PODS}/p"),
    post(PODS, POD),
    delete(f"{PODS}/p"),
    get(f"{PODS}/p"),
    apply(
        f"{SERVICES}/s",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s"},
            "spec": {
                "selector": {"app": "d"},
                "ports": [{"name": "http", "port": 80, "targetPort": "web"}, {"name": "metrics", "port": 81}],
            },
        },
    ),
    apply(
        f"{SERVICES}/h",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "h"},
            "spec": {"clusterIP": "None", "selector": {"app": "d"}},
        },
    ),
    delete(f"{SERVICES}/h"),
    apply(
        f"{INGRESSES}/i",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "i", "annotations": {"weights": "{}"}},
            "spec": {
                "rules": [
                    {
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "s", "port": {"name": "use-annotation"}}},
                                }
                            ]
                        }
                    }
                ]
            },
        },
    ),
    merge(f"{INGRESSES}/i", {"metadata": {"annotations": {"weights": "1"}}}),
    merge(f"{INGRESSES}/i", {"spec": {"ingressClassName": "alb"}}),
    apply(
        f"{AUTOSCALERS}/h",
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "h"},
            "spec": {
                "maxReplicas": 5,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                "metrics": [
                    {
                        "type": "Pods",
                        "pods": {
                            "metric": {"name": "running"},
                            "target": {"type": "AverageValue", "averageValue": "4"},
                        },
                    }
                ],
                "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
            },
        },
    ),
    merge(f"{AUTOSCALERS}/h", {"spec": {"minReplicas": 2}}),
    apply(
        f"{BUDGETS}/b",
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "b"},
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "d"}}},
        },
    ),
    apply(
        f"{POLICIES}/n",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "n"},
            "spec": {"podSelector": {"matchLabels": {"app": "d"}}, "ingress": [{"ports": [{"port": 80}]}]},
        },
    ),
    delete(f"{NODES}/transcript-node"),
]

OWNED = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "${owner.metadata.uid}"}
COLLECTING = [
    post(MAPS, config("owner"), name="owner"),
    post(MAPS, config("child", ownerReferences=[OWNED]), name="child"),
    post(
        MAPS,
        config("grandchild", ownerReferences=[{**OWNED, "name": "child", "uid": "${child.metadata.uid}"}]),
    ),
    post(MAPS, config("stray", ownerReferences=[{**OWNED, "uid": "00000000-1111-2222-3333-444444444444"}])),
    gone(f"{MAPS}/stray"),
    delete(f"{MAPS}/owner"),
    gone(f"{MAPS}/grandchild"),
    gone(f"{MAPS}/child"),
    post(MAPS, config("owner"), name="owner"),
    post(MAPS, config("child", ownerReferences=[{**OWNED, "blockOwnerDeletion": True, "controller": True}])),
    delete(f"{MAPS}/owner", {"propagationPolicy": "Foreground"}),
    gone(f"{MAPS}/owner"),
    get(f"{MAPS}/child"),
    post(MAPS, config("owner"), name="owner"),
    post(MAPS, config("child", ownerReferences=[OWNED])),
    delete(f"{MAPS}/owner", {"propagationPolicy": "Orphan"}),
    gone(f"{MAPS}/owner"),
    get(f"{MAPS}/child"),
    post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "transcript-brief"}}),
    post("/api/v1/namespaces/transcript-brief/configmaps", config("inside")),
    delete("/api/v1/namespaces/transcript-brief"),
    gone("/api/v1/namespaces/transcript-brief"),
    get("/api/v1/namespaces/transcript-brief/configmaps/inside"),
]

QUIET = {
    "objects": OBJECTS,
    "lists": LISTS,
    "applying": APPLYING,
    "workloads": WORKLOADS,
    "custom": CUSTOM,
    "watches": WATCHES,
    "election": ELECTION,
    "events": SAID,
    "defaults": DEFAULTS,
}
"""Recorded without a controller manager and a scheduler, which would write to the same objects."""
CONTROLLED = {"collecting": COLLECTING}
"""Recorded with a controller manager."""
SCRIPTS = QUIET | CONTROLLED

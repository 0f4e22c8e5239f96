"""The resources that the server serves: built-in ones, and those that CustomResourceDefinitions bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kube_api import defaults, events, shapes
from kube_api.requests import Object, copied
from kube_api.shapes import Shape


def _same(found: Object) -> Object:
    return found


@dataclass(frozen=True)
class Resource:
    """One kind in one version.

    counts: `metadata.generation` rises with the spec. typed: built into the server, so that what is not declared is not
    kept, and nulls are not. stored: under which name its objects are kept; events of two groups are the same ones.
    """

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    counts: bool = False
    typed: bool = True
    deleted_object_returned: bool = False
    schema: Shape | None = None
    stored: str = ""
    shown: Callable[[Object], Object] = _same
    taken: Callable[[Object], Object] = _same
    """From what a client sends to what is stored; `shown` is the way back."""
    scale_paths: tuple[str, str, str] = ("spec.replicas", "status.replicas", "")
    selectable: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def storage(self) -> str:
        return self.stored or f"{self.plural}.{self.group}"

    @property
    def shape(self) -> Shape:
        return self.schema or shapes.built_in(self.group, self.version, self.kind)

    @property
    def status_apart(self) -> bool:
        return "status" in self.subresources

    def default(self, found: Object) -> None:
        """Fills in, in place, what a new or changed object does not say."""
        if self.typed:
            defaults.fill(self.kind, found)
        elif self.schema is not None:
            defaults.of_schema(found, self.schema)


STATUS = ("status",)
SCALED = ("scale", "status")
BUILT_IN = (
    Resource("", "v1", "Namespace", "namespaces", False, ("ns",), STATUS),
    Resource("", "v1", "Node", "nodes", False, ("no",), STATUS, selectable=("spec.unschedulable",)),
    Resource(
        "",
        "v1",
        "Pod",
        "pods",
        True,
        ("po",),
        ("binding", "status"),
        counts=True,
        deleted_object_returned=True,
        selectable=("spec.nodeName", "status.phase", "spec.schedulerName", "spec.serviceAccountName"),
    ),
    Resource("", "v1", "Service", "services", True, ("svc",), STATUS, deleted_object_returned=True),
    Resource("", "v1", "ServiceAccount", "serviceaccounts", True, ("sa",), deleted_object_returned=True),
    Resource("", "v1", "ConfigMap", "configmaps", True, ("cm",)),
    Resource("", "v1", "Secret", "secrets", selectable=("type",)),
    Resource("", "v1", "Endpoints", "endpoints", True, ("ep",)),
    Resource(
        "",
        "v1",
        "Event",
        "events",
        True,
        ("ev",),
        stored="events",
        taken=events.as_core,
        selectable=("involvedObject.kind", "involvedObject.name", "involvedObject.namespace", "reason", "type"),
    ),
    Resource(
        "events.k8s.io",
        "v1",
        "Event",
        "events",
        True,
        ("ev",),
        stored="events",
        shown=events.as_new,
        taken=events.as_core,
        selectable=("regarding.kind", "regarding.name", "regarding.namespace", "reason", "type"),
    ),
    Resource("apps", "v1", "Deployment", "deployments", True, ("deploy",), SCALED, True),
    Resource("apps", "v1", "ReplicaSet", "replicasets", True, ("rs",), SCALED, True),
    Resource("apps", "v1", "StatefulSet", "statefulsets", True, ("sts",), SCALED, True),
    Resource("apps", "v1", "DaemonSet", "daemonsets", True, ("ds",), STATUS, True),
    Resource("batch", "v1", "Job", "jobs", True, (), STATUS, True),
    Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True, ("pdb",), STATUS, True),
    Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True, ("netpol",), (), True),
    Resource("networking.k8s.io", "v1", "Ingress", "ingresses", True, ("ing",), STATUS, True),
    Resource("networking.k8s.io", "v1", "IngressClass", "ingressclasses", False, (), (), True),
    Resource("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True, ("hpa",), STATUS),
    Resource("coordination.k8s.io", "v1", "Lease", "leases"),
    Resource("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False),
    Resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        False,
        ("crd", "crds"),
        STATUS,
        True,
    ),
)


def of_definition(definition: Object) -> list[Resource]:
    """What a CustomResourceDefinition brings: a resource per served version."""
    spec = definition["spec"]
    names = spec["names"]
    found = []
    for version in spec["versions"]:
        if not version.get("served", True):
            continue
        schema = copied(version.get("schema", {}).get("openAPIV3Schema", {"type": "object"}))
        subresources = version.get("subresources") or {}
        scale = subresources.get("scale") or {}
        found.append(
            Resource(
                spec["group"],
                version["name"],
                names["kind"],
                names["plural"],
                spec["scope"] == "Namespaced",
                tuple(names.get("shortNames", ())),
                tuple(sorted(subresources)),
                counts=True,
                typed=False,
                schema=shapes.custom(schema),
                scale_paths=(
                    scale.get("specReplicasPath", "").lstrip("."),
                    scale.get("statusReplicasPath", "").lstrip("."),
                    scale.get("labelSelectorPath", "").lstrip("."),
                ),
                selectable=tuple(f["jsonPath"].lstrip(".") for f in version.get("selectableFields", ())),
            )
        )
    return found

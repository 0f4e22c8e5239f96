"""What the server serves, for clients that ask first (kubectl); and the Scale of an object."""

from __future__ import annotations

from kube_api import selectors
from kube_api.requests import Answer, Object, encoded
from kube_api.resources import Resource

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0", "platform": "linux/amd64"}


def answer(parts: list[str], served: list[Resource]) -> Answer | None:
    """None where the path is none of discovery."""
    match parts:
        case ["healthz" | "readyz" | "livez"]:
            return Answer(200, b"ok", {"content-type": "text/plain"})
        case ["version"]:
            return Answer(200, encoded(VERSION))
        case ["api"]:
            return Answer(200, encoded({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}))
        case ["apis"]:
            return Answer(200, encoded({"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups(served)}))
        case ["api", version]:
            return _resources("", version, served)
        case ["apis", group]:
            found = [entry for entry in _groups(served) if entry["name"] == group]
            return Answer(200, encoded({"kind": "APIGroup", "apiVersion": "v1", **found[0]})) if found else None
        case ["apis", group, version]:
            return _resources(group, version, served)
    return None


def _groups(served: list[Resource]) -> list[Object]:
    found: dict[str, list[Object]] = {}
    for resource in served:
        if resource.group:
            entry = {"groupVersion": resource.api_version, "version": resource.version}
            versions = found.setdefault(resource.group, [])
            if entry not in versions:
                versions.append(entry)
    return [{"name": name, "versions": entries, "preferredVersion": entries[0]} for name, entries in found.items()]


def _resources(group: str, version: str, served: list[Resource]) -> Answer | None:
    listed = []
    for resource in served:
        if (resource.group, resource.version) != (group, version):
            continue
        entry = {
            "name": resource.plural,
            "singularName": resource.kind.lower(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": VERBS,
            **({"shortNames": list(resource.short)} if resource.short else {}),
        }
        listed.append(entry)
        for name in resource.subresources:
            below = {"name": f"{resource.plural}/{name}", "singularName": "", "verbs": ["get", "patch", "update"]}
            kind = (
                {"group": "autoscaling", "version": "v1", "kind": "Scale"}
                if name == "scale"
                else {"kind": resource.kind}
            )
            listed.append({**below, "namespaced": resource.namespaced, **kind})
    if not listed:
        return None
    name = f"{group}/{version}" if group else version
    return Answer(
        200, encoded({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed})
    )


def scale_of(resource: Resource, found: Object) -> Object:
    wanted, there, selector = resource.scale_paths
    metadata = {
        name: found["metadata"][name]
        for name in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if name in found["metadata"]
    }
    status: Object = {"replicas": selectors.at(found, there) or 0}
    if resource.typed:
        labels = selectors.at(found, "spec.selector.matchLabels") or {}
        status["selector"] = ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
    elif selector and selectors.at(found, selector):
        status["selector"] = selectors.at(found, selector)
    replicas = selectors.at(found, wanted)
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}

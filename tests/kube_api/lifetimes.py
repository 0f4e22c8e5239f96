"""Of objects over time: how they begin, what of a change counts, and how they end."""

from __future__ import annotations

from kube_api import ownership
from kube_api.calls import Call, rfc3339
from kube_api.requests import Object, copied
from kube_api.resources import Resource
from kube_api.shapes import Shape
from kube_api.store import Stored

STRUCTS = ("metadata", "spec", "status", "source", "deprecatedSource", "template", "strategy", "updateStrategy")


def newborn(resource: Resource) -> Object:
    """What is there before a create: a struct of Go has its fields, a custom resource nothing."""
    return _skeleton(resource.shape) if resource.typed else {"metadata": {}}


def _skeleton(shape: Shape) -> Object:
    found: Object = {name: _skeleton(shape.child(name)) for name in STRUCTS if name in shape.declared}
    empty = {"containers": [], "reportingComponent": "", "reportingInstance": ""}
    return found | {name: value for name, value in empty.items() if name in shape.declared}


def heeded(call: Call, config: Object) -> Object:
    """Without what this (sub)resource ignores of an apply."""
    if call.subresource == "status":
        named = {name: config["metadata"][name] for name in ("name", "namespace") if name in config["metadata"]}
        return {**{name: value for name, value in config.items() if name != "spec"}, "metadata": named}
    if call.resource.status_apart:
        return {name: value for name, value in config.items() if name != "status"}
    return config


def dying(call: Call, before: Stored, grace_s: int, finalizers: list[str]) -> Object:
    dying: Object = copied(before.object)
    metadata = dying["metadata"]
    if "deletionTimestamp" not in metadata and "generation" in metadata:
        metadata["generation"] += 1
    metadata["deletionTimestamp"] = rfc3339(call.now_s + grace_s)
    if call.resource.kind == "Namespace":
        dying["status"]["phase"] = "Terminating"
    else:
        metadata["deletionGracePeriodSeconds"] = grace_s
    if finalizers:
        metadata["finalizers"] = finalizers
    return dying


def has_no_reason_to_stay(found: Object) -> bool:
    """It is being deleted, and neither a finalizer nor a grace period nor what is in it keeps it."""
    metadata = found["metadata"]
    kept = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds") or found["kind"] == "Namespace"
    return "deletionTimestamp" in metadata and not kept


def substance(found: Object) -> Object:
    """Without what the server itself writes."""
    metadata = {
        name: value
        for name, value in found["metadata"].items()
        if name not in ("managedFields", "resourceVersion", "generation")
    }
    return {**found, "metadata": metadata}


def but_for_times(found: Object) -> Object:
    entries = [{**entry, "time": ""} for entry in found["metadata"].get("managedFields", ())]
    return {**substance(found), "managedFields": entries, "generation": found["metadata"].get("generation")}


def counted(resource: Resource, old: Object, new: Object) -> bool:
    """Whether the change raises the generation."""
    if not resource.counts:
        return False
    if resource.typed:
        annotated = resource.kind == "Deployment"
        return old.get("spec") != new.get("spec") or (
            annotated and old["metadata"].get("annotations") != new["metadata"].get("annotations")
        )
    uncounted = {"metadata", "status"} if resource.status_apart else {"metadata"}
    return any(old.get(name) != new.get(name) for name in {*old, *new} - uncounted)


def tracked(call: Call, owners: ownership.Owners) -> bool:
    """Updates are noted where somebody owned something already; those of a scale, where that was the replicas."""
    if call.subresource != "scale":
        return bool(owners)
    path = tuple(f"f:{part}" for part in call.resource.scale_paths[0].split("."))
    return any(path in entry.fields for entry in owners.values())


def own(found: Object, owners: ownership.Owners) -> None:
    found["metadata"].pop("managedFields", None)
    if entries := ownership.written(owners):
        found["metadata"]["managedFields"] = entries

"""CustomResourceDefinition of InferenceFleet, made of the model: the document that people write is the resource."""

from __future__ import annotations

from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.operator import rules
from holdfast.manifests.operator.structural import Schema
from holdfast.model import document
from holdfast.model.status import FleetStatus

GROUP = "holdfast.dev"
VERSION = "v1alpha1"
KIND = "InferenceFleet"
PLURAL = "inferencefleets"

_COLUMNS = (
    ("Mode", "string", ".status.mode", "What the traffic weights are optimised for"),
    ("Pools", "string", ".status.poolsReady", "Pools with a ready replica, of all"),
    ("Weights", "string", ".status.weights", "Of the pools, in their order"),
    ("Short", "integer", ".status.shortages", "Pools that get no capacity"),
    ("Cost/h", "string", ".status.costPerHour", "Of the replicas that are there"),
    ("Age", "date", ".metadata.creationTimestamp", ""),
)


def manifest(path: str) -> Manifest:
    """The definition. It belongs to no plan, and so names no reason of one."""
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{PLURAL}.{GROUP}",
            "labels": {"app.kubernetes.io/name": "holdfast", "app.kubernetes.io/managed-by": "holdfast"},
            "annotations": {"holdfast.dev/reason": "what the operator keeps standing is declared as this resource"},
        },
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["fleet", "fleets"],
                "categories": ["all"],
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema()},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                }
            ],
        },
    }
    return Manifest(path, definition)


def schema() -> Object:
    """The structural schema of the resource, spec and status."""
    fleet = document.json_schema()
    known = Schema({**fleet["$defs"], **_status_definitions()}, rules.RULES, rules.LISTS)
    return {
        "type": "object",
        "description": "A model, how it may be served, what a good answer is, and how many requests come.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": known.of("FleetSpec"),
            "status": known.of("FleetStatus"),
        },
        "x-kubernetes-validations": [rules.NAMED.object],
    }


def _status_definitions() -> Object:
    found = FleetStatus.model_json_schema(by_alias=True)
    return {**found.pop("$defs"), "FleetStatus": found}


def _column(name: str, kind: str, path: str, text: str) -> Object:
    return {"name": name, "type": kind, "jsonPath": path} | ({"description": text} if text else {})

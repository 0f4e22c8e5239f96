"""Events have two spellings, core/v1 and events.k8s.io/v1, of the same stored objects."""

from __future__ import annotations

from kube_api.requests import Object

NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
"""core/v1 -> events.k8s.io/v1."""
BACK = {new: old for old, new in NAMES.items()}


def as_new(event: Object) -> Object:
    return {NAMES.get(name, name): value for name, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}


def as_core(event: Object) -> Object:
    return {BACK.get(name, name): value for name, value in event.items()} | {"apiVersion": "v1"}

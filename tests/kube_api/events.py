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
    """Without the empty fields that this spelling leaves out."""
    event = {name: value for name, value in event.items() if value != "" or name == "eventTime"}
    return {NAMES.get(name, name): value for name, value in event.items()} | {"apiVersion": "events.k8s.io/v1"}


def as_core(event: Object) -> Object:
    """With the fields that are always there."""
    found = {BACK.get(name, name): value for name, value in event.items()} | {"apiVersion": "v1"}
    times = dict.fromkeys(("eventTime", "firstTimestamp", "lastTimestamp"))
    return {**times, "source": {}, "reportingComponent": "", "reportingInstance": "", **found}

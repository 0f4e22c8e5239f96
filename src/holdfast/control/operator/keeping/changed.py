"""What a write changes of an object that is there, in a clause for people who read the log.

Of what steers it is the figures: the weights of a route, the bounds of a scaler. Of the rest a diff would be needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.control.operator.keeping import routing_record
from holdfast.control.operator.keeping.drift import Difference, Drift
from holdfast.control.operator.keeping.routing_record import Record
from holdfast.kube.kinds import Object

BOUNDS = {
    "ScaledObject": ("minReplicaCount", "maxReplicaCount"),
    "HorizontalPodAutoscaler": ("minReplicas", "maxReplicas"),
}
"""Fields of the least and the most servers, of each kind of scaler."""


def text(wanted: Object, live: Object | None, drift: Drift) -> str:
    """Why the object is written. What somebody else has changed, or nobody steers, is as `drift` says."""
    if live is None or drift.difference is not Difference.OUTDATED:
        return drift.text
    return ", ".join([*_bounds(wanted, live), *_routing(wanted, live)]) or drift.text


def _bounds(wanted: Object, live: Object) -> Iterator[str]:
    for field in BOUNDS.get(wanted["kind"], ()):
        old, new = (found["spec"].get(field) for found in (live, wanted))
        if old != new:
            yield f"{field} {old} -> {new}"


def _routing(wanted: Object, live: Object) -> Iterator[str]:
    old, new = routing_record.read(live), routing_record.read(wanted)
    if old is None or new is None:
        return
    if old.applied.weights != new.applied.weights:
        units = dict.fromkeys((*old.applied.weights, *new.applied.weights))
        yield f"weights of {'/'.join(units)} {_weights(old, units)} -> {_weights(new, units)}"
    if old.applied.mode is not new.applied.mode:
        yield f"mode {old.applied.mode.value} -> {new.applied.mode.value}"
    if old.term != new.term:
        yield f"term of the leader {old.term} -> {new.term}"
    if old.stood != new.stood:
        yield "the fleet has stood" if new.stood else "the fleet has to come up anew"


def _weights(record: Record, units: dict[str, None]) -> str:
    return "/".join(str(record.applied.weights.get(unit, 0)) for unit in units)

"""Failover by hand: an annotation on the fleet, and the routing policy that it stands for."""

from __future__ import annotations

import enum

from holdfast.kube.kinds import Object
from holdfast.model.fleet import RoutingPolicy

ANNOTATION = "holdfast.dev/failover"


class Override(enum.Enum):
    """What a person asks of the routing; the values are those of the annotation.

    AUTO:     nothing: the fleet's own policy decides. Stands for an annotation that is not there.
    CAPACITY: every ready replica gets the same share, whatever it costs. Replicas are left as they are asked for.
    COST:     back to the cheapest pools at once, as far as they have ready replicas: no dwell time, and one step that
              waits for none before it.
    """

    AUTO = "auto"
    CAPACITY = "capacity"
    COST = "cost"


def written(fleet: Object) -> str:
    """The annotation's text on that InferenceFleet; `auto` where there is none."""
    return str(fleet["metadata"].get("annotations", {}).get(ANNOTATION, Override.AUTO.value))


def override(fleet: Object) -> Override:
    """What is asked by hand. A text that means nothing asks nothing; `understood` tells."""
    return Override(written(fleet)) if understood(fleet) else Override.AUTO


def understood(fleet: Object) -> bool:
    """Whether the annotation is one of Override's values, or absent."""
    return written(fleet) in {known.value for known in Override}


def mark(asked: Override) -> str:
    """What the condition FailedOver has in its message while something is asked by hand."""
    return f"(annotation {ANNOTATION}: {asked.value})"


def shown(message: str) -> Override:
    """What was asked when the operator wrote that message of the condition FailedOver."""
    return next((one for one in (Override.CAPACITY, Override.COST) if mark(one) in message), Override.AUTO)


def policy(routing: RoutingPolicy, asked: Override) -> RoutingPolicy:
    """The policy to decide by. Only merit order has a dwell time and a ramp that COST could set aside."""
    if asked is Override.CAPACITY:
        return routing.model_copy(update={"policy": "round-robin"})
    if asked is Override.COST and routing.policy == "merit-order":
        ramp = routing.ramp.model_copy(update={"step": 1.0, "every_s": 0.0})
        return routing.model_copy(update={"dwell_s": 0.0, "ramp": ramp})
    return routing

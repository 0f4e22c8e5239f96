"""The status of an InferenceFleet in a cluster: what its operator last saw and did."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
from pydantic import Field

from holdfast.model.declaration import Document
from holdfast.model.pools import RoutingMode

_Time = Annotated[str, pydantic.WithJsonSchema({"type": "string", "format": "date-time"})]


class Condition(Document):
    """One thing that is so, is not so, or is not known, as all Kubernetes conditions say it.

    type:                 Ready, Degraded, FailedOver or Stale.
    status:               whether it is so.
    reason:               one word for machines.
    message:              sentences for people, with the command to run.
    last_transition_time: when status last changed, RFC 3339.
    observed_generation:  of the resource that this was said about.
    """

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    message: Annotated[str, Field(max_length=32768)]
    last_transition_time: _Time
    observed_generation: Annotated[int, Field(ge=0)]


class PoolStatus(Document):
    """One pool.

    unit:     the name of its unit.
    weight:   as it was applied.
    ready_replicas: that take traffic.
    desired_replicas: that are asked for.
    lasting_replicas: those that take traffic and have no interruption notice.
    stable_since: when the lasting replicas last fell, or first rose from 0.
    shortage: whether it is believed to get no capacity.
    reason:   of its weight, a sentence.
    """

    unit: str
    weight: Annotated[int, Field(ge=0, le=999)]
    ready_replicas: Annotated[int, Field(ge=0)]
    desired_replicas: Annotated[int, Field(ge=0)]
    lasting_replicas: Annotated[int, Field(ge=0)]
    stable_since: _Time
    shortage: bool
    reason: str


class Proposal(Document):
    """A new plan that waits for a person.

    id:         the annotation `holdfast.dev/approved` with this value on the fleet lets it through.
    reason:     what moved.
    difference: from the plan that runs, in sentences.
    """

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]
    reason: Annotated[str, Field(max_length=1024)]
    difference: Annotated[str, Field(max_length=4096)]


class FleetStatus(Document):
    """What the operator last saw and did.

    observed_generation: of the resource that it acted on.
    mode:                what the weights are optimised for.
    pools:               each of the plan, in its order.
    conditions:          Ready, Degraded, FailedOver, Stale.
    pools_ready:         pools with a ready replica, of all, as `kubectl get` prints it, e.g. `4/5`.
    weights:             of the pools in their order, e.g. `60/40`.
    shortages:           pools that are believed to get no capacity.
    cost_per_hour:       of the replicas that are there, e.g. `$10.59`.
    proposal:            a new plan that waits for a person; absent without one.
    """

    observed_generation: Annotated[int, Field(ge=0)]
    mode: RoutingMode
    pools: tuple[PoolStatus, ...]
    pools_ready: str
    weights: str
    shortages: Annotated[int, Field(ge=0)]
    cost_per_hour: str
    proposal: Proposal | None = None
    conditions: tuple[Condition, ...]

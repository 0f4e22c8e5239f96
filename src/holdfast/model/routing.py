"""How traffic moves when capacity does, and what carries it."""

from __future__ import annotations

import enum
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from holdfast.model.declaration import Document
from holdfast.model.fields import Duration, Share


class Ramp(Document):
    """Failback goes by steps: `step` of the total weight every `every`.

    step:    share of all traffic.
    every_s: between two steps.
    """

    step: Share = 0.25
    every_s: Annotated[Duration, Field(alias="every")] = 30.0

    @pydantic.model_validator(mode="after")
    def _moves(self) -> Self:
        if self.step <= 0:
            raise ValueError("a ramp step of 0% never fails back")
        return self


class WeightPolicy(enum.Enum):
    """How the plan shares traffic out among pools; planning.weights says what each is."""

    MERIT_ORDER = "merit-order"
    INVERSE_COST = "inverse-cost"
    CAPACITY_OPTIMIZED = "capacity-optimized"


class RoutingPolicy(Document):
    """How traffic moves when capacity does.

    policy:    `merit-order` fails over pool by pool; `two-mode`, `round-robin` and `static` are there to compare with
        (control/policies.py says what each does and promises).
    weights:   how the plan shares traffic out.
    min_share: share that every ready pool keeps so that it stays warm and measured.
    by_size:   whether whoever routes knows the size of a request (workload.sizes) and sends each where the plan says.
        Weights know nothing of it: without, every pool gets all sizes in the same mixture.
    dwell_s:   least time between a mode change and the failback from it.
    """

    policy: Literal["merit-order", "two-mode", "round-robin", "static"] = "merit-order"
    weights: WeightPolicy = WeightPolicy.MERIT_ORDER
    min_share: Share = 0.01
    by_size: Annotated[bool, Field(strict=True)] = False
    dwell_s: Annotated[Duration, Field(alias="dwell")] = 120.0
    ramp: Ramp = Ramp()


class DataPlane(enum.Enum):
    """What carries the traffic: an ALB Ingress, a Gateway API route, or Envoy on this machine."""

    ALB = "alb"
    GATEWAY_API = "gateway-api"
    LOCAL = "local"

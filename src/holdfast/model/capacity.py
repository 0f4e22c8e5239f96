"""How far units are filled, which loss must be survived, and what bounds a plan."""

from __future__ import annotations

import enum
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from holdfast.model.declaration import Document
from holdfast.model.fields import Share, Vcpus


class Loss(enum.Enum):
    """What may go at once: a zone, every device of one accelerator, a spot pool (the spot instances of one type in one
    zone), or the replicas of one unit."""

    ZONE = "zone"
    ACCELERATOR = "accelerator"
    SPOT = "spot"
    POOL = "pool"


Quota = Literal["G", "P", "Inf", "Trn", "DL", "G spot", "P spot", "Inf spot", "Trn spot", "DL spot"]
"""EC2's classes of vCPU quotas for instances with accelerators, on demand and as spot."""

_SHORT = {"none": (), "one-pool": (Loss.POOL,)}


def _losses(value: object) -> object:
    """The short forms of `survive` as lists."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, str) or value not in _SHORT:
        kinds = ", ".join(kind.value for kind in Loss)
        raise ValueError(f"{value!r} is neither none nor one-pool, nor a list of {kinds}")
    return _SHORT[value]


def _short_losses(value: tuple[Loss, ...]) -> str | list[str]:
    return next((short for short, losses in _SHORT.items() if value == losses), [kind.value for kind in value])


Losses = Annotated[
    tuple[Loss, ...],
    pydantic.BeforeValidator(_losses),
    pydantic.PlainSerializer(_short_losses),
    pydantic.WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(_SHORT)},
                {"type": "array", "items": {"enum": [kind.value for kind in Loss]}, "uniqueItems": True},
            ]
        }
    ),
]


class CapacityPolicy(Document):
    """How full a unit is planned, which loss the plan must survive, and what bounds it.

    utilization_target: share of a unit's breaking point that it is planned to carry, 0..1.
    headroom: share of the demand that is planned for on top of it.
    survive:  kinds of loss (`zone`, `accelerator`, `spot`, `pool`), `one-pool` for [pool], or `none`. Any one loss of
        these kinds may strike: the rest, filled to their breaking points, still carry the planned demand.
    max_pools: most units with replicas; a plan for an ALB needs 5 or fewer. Any number when absent.
    quotas:   vCPUs by class of EC2 quota (`G`, `P`, `Inf`, `Trn`, `DL`; `G spot` and so on for spot); unbounded when
        absent. EC2 counts spot of the P class by generation: give the quota of the generation that the units use.
    """

    utilization_target: Share = 0.8
    headroom: Share = 0.0
    survive: Losses = (Loss.POOL,)
    max_pools: Annotated[int | None, Field(strict=True, ge=1, le=1000)] = None
    quotas: dict[Quota, Vcpus] = Field(default={})

    @pydantic.model_validator(mode="after")
    def _target_is_positive(self) -> Self:
        if self.utilization_target <= 0:
            raise ValueError("a utilizationTarget of 0% leaves no capacity to plan with")
        if len(set(self.survive)) < len(self.survive):
            raise ValueError("survive names a kind of loss twice")
        return self

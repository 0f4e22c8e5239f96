"""What befalls a fleet in a scenario. Each event is one key of a list: `- limit: {unit: inf2, replicas: 0, ...}`."""

from __future__ import annotations

import enum
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from holdfast.model.fields import Duration, Share
from holdfast.model.fleet import CapacityType, Document, Zone
from holdfast.simulation.moments import Moment


class Scope(Document):
    """Which replicas an event is about: those to which all that is given applies; all of them when nothing is."""

    unit: str | None = None
    accelerator: str | None = None
    zone: Zone | None = None
    capacity_type: CapacityType | None = None

    def __str__(self) -> str:
        bought = self.capacity_type.value if self.capacity_type else None
        parts = [self.unit, self.accelerator, bought, self.zone and f"zone {self.zone}"]
        return " ".join(part for part in parts if part) or "all pools"


class Span(Document):
    """From one moment to another; to the end where the second is not given."""

    from_s: Annotated[Moment, Field(alias="from")]
    to_s: Annotated[Moment | None, Field(alias="to")] = None

    @pydantic.model_validator(mode="after")
    def _ends_later(self) -> Self:
        if self.to_s is not None and self.to_s <= self.from_s:
            raise ValueError("it ends before it begins; make `to` later than `from`")
        return self

    def holds(self, t_s: float) -> bool:
        return self.from_s <= t_s and (self.to_s is None or t_s < self.to_s)


class Beyond(enum.Enum):
    """What becomes of the replicas beyond a limit when it begins."""

    KEEP = "keep"
    """They stay: capacity is insufficient for new ones only, as EC2's InsufficientInstanceCapacity is."""
    DRAIN = "drain"
    """They are drained: what they are serving is finished."""
    LOSE = "lose"
    """They die at once, unannounced."""
    RECLAIM = "reclaim"
    """They get notice and die when it is over, as spot instances do."""


NOTICE_S = 120.0
"""Of EC2 before it takes a spot instance back (Amazon EC2 User Guide, "Spot Instance interruption notices")."""


class Limit(Scope, Span):
    """No more than `replicas` together, or than a share of those that stand when it begins, can be had in the scope.

    A request for another is answered with insufficient capacity.
    """

    replicas: Annotated[int | None, Field(strict=True, ge=0, le=1_000_000)] = None
    share: Share | None = None
    beyond: Beyond = Beyond.KEEP

    @pydantic.model_validator(mode="after")
    def _limits_one_thing(self) -> Self:
        if (self.replicas is None) == (self.share is None):
            raise ValueError("a limit is a number of replicas or a share of those that stand; give one of the two")
        return self


class Loss(Scope):
    """A share of the replicas in the scope, drawn at random, dies at once and unannounced."""

    at_s: Annotated[Moment, Field(alias="at")]
    share: Share = 1.0


class Reclaim(Scope):
    """A share of the replicas in the scope, drawn at random, is given notice and dies when it is over."""

    at_s: Annotated[Moment, Field(alias="at")]
    share: Share = 1.0
    notice_s: Annotated[Duration, Field(alias="notice")] = NOTICE_S


class Outage(Span):
    """What the controller cannot read: `metrics` (the rate; the autoscalers are blind too) or `api` (the pools, and
    nothing can be applied)."""

    of: Literal["metrics", "api"]


class Crash(Document):
    """The controller dies and is back after `for`: what it remembered is gone, what the cluster holds is not."""

    at_s: Annotated[Moment, Field(alias="at")]
    for_s: Annotated[Duration, Field(alias="for")] = 30.0


class PriceChange(Scope):
    """From now on an instance in the scope costs so many times as much."""

    at_s: Annotated[Moment, Field(alias="at")]
    factor: Annotated[float, Field(gt=0, le=1000)]


class Surge(Span):
    """The load is multiplied by `factor`; it rises to that and falls from it in a straight line over `over`."""

    factor: Annotated[float, Field(ge=0, le=1000)]
    over_s: Annotated[Duration, Field(alias="over")] = 60.0


class Event(Document):
    """One event: exactly one of its keys."""

    limit: Limit | None = None
    loss: Loss | None = None
    reclaim: Reclaim | None = None
    outage: Outage | None = None
    crash: Crash | None = None
    price: PriceChange | None = None
    surge: Surge | None = None

    @pydantic.model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"an event has exactly one of the keys {known}")
        return self

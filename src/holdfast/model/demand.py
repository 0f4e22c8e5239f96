"""How many requests come, all day or hour by hour."""

from __future__ import annotations

from typing import Annotated, Self

import pydantic
from pydantic import Field

from holdfast.model.declaration import Document
from holdfast.model.fields import Rate


class Demand(Document):
    """Requests per second that the fleet must serve: usual rate, and what is planned for.

    rate_per_s: the usual rate.
    peak_per_s: the highest rate, which replicas are planned for all day.
    day_per_s:  instead of a peak, the rate of each of the 24 hours; replicas are planned hour by hour.
    """

    rate_per_s: Annotated[Rate, Field(alias="rate")]
    peak_per_s: Annotated[Rate | None, Field(alias="peak")] = None
    day_per_s: Annotated[tuple[Rate, ...], Field(alias="day")] = ()

    @pydantic.model_validator(mode="after")
    def _day_is_whole(self) -> Self:
        if self.day_per_s and len(self.day_per_s) != 24:
            raise ValueError(f"a day has 24 rates, one for each hour, and {len(self.day_per_s)} are given")
        if self.day_per_s and self.peak_per_s is not None:
            raise ValueError("both peak and day are given; the day says what its peak is, so remove peak")
        if any(rate < 1e-6 for rate in self.day_per_s):
            raise ValueError("an hour of the day has no demand to plan for; give it the least rate that must be served")
        if self.day_per_s and max(self.day_per_s) < self.rate_per_s:
            raise ValueError("every hour of the day is below rate; give the usual rate of the day as rate")
        return self

    @pydantic.model_validator(mode="after")
    def _peak_is_highest(self) -> Self:
        if self.rate_per_s < 1e-6:
            raise ValueError("the demand is below one request in ten days; there is nothing to plan")
        if self.planned_per_s > 1e7:
            raise ValueError("the demand is above ten million requests per second")
        if self.peak_per_s is not None and self.peak_per_s < self.rate_per_s:
            raise ValueError("peak is below rate; give the highest rate as peak")
        return self

    @property
    def planned_per_s(self) -> float:
        """The highest rate that is planned for."""
        return max(self.periods_per_s)

    @property
    def periods_per_s(self) -> tuple[float, ...]:
        """The rates that replicas are planned for, one after the other: of each hour, or the one of all day."""
        if self.day_per_s:
            return self.day_per_s
        return (self.peak_per_s if self.peak_per_s is not None else self.rate_per_s,)

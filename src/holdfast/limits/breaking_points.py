"""How the breaking points of two runs differ."""

from __future__ import annotations

import math

from holdfast.limits import estimates
from holdfast.limits.change import RUN_TO_RUN, Change
from holdfast.limits.estimates import Estimate
from holdfast.model.comparison import LIMIT
from holdfast.model.stages import BreakingPoint, Cause

_FREEDOM = 15.0
"""Of the interval of a limit; see estimate.py."""


def change(before: BreakingPoint, after: BreakingPoint) -> Change:
    """How the breaking points differ, from their own intervals, each read as symmetrical in the logarithm."""
    for point in (before, after):
        if point.rate_per_s <= 0 or point.low_per_s <= 0:
            return Change(LIMIT, before.rate_per_s, after.rate_per_s, why="a run found no rate that holds")
        if point.cause is Cause.NONE or not math.isfinite(point.high_per_s):
            return Change(LIMIT, before.rate_per_s, after.rate_per_s, why="a run did not break its server")
    found = [_limit(point) for point in (before, after)]
    one, two = (math.exp(each.value) for each in found)
    error = math.hypot(*(each.error for each in found))
    relative = Estimate(found[1].value - found[0].value, error, _FREEDOM)
    absolute = math.hypot(one * found[0].error, two * found[1].error)
    difference = Estimate(two - one, absolute, _FREEDOM)
    return Change(LIMIT, before.rate_per_s, after.rate_per_s, relative, difference, found[1])


def _limit(point: BreakingPoint) -> Estimate:
    reach = math.log(point.high_per_s / point.low_per_s) / 2
    certain = min(max(point.confidence, 0.5), 0.99)
    error = max(reach / estimates.student(1 - certain, _FREEDOM), RUN_TO_RUN)
    return Estimate(math.log(point.low_per_s) + reach, error, _FREEDOM)

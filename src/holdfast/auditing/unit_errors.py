"""Which mix-up of units makes a figure wrong by this factor?

A period that was read as another (a CloudWatch Sum per minute, or per five minutes, labelled per second), or
milliseconds labelled seconds: the published benchmarks of this field are full of them, and each has its own factor.
"""

from __future__ import annotations

_RATE_TIMES_LATENCY = {
    60.0: "The rate is per minute and labelled per second.",
    300.0: "The rate is a count per five minutes (CloudWatch's default period) and labelled per second.",
    3600.0: "The rate is per hour and labelled per second.",
    1000.0: "The latency is in milliseconds and labelled seconds.",
    1 / 60: "The rate is per second and labelled per minute, or the latency in minutes and labelled seconds.",
    1 / 1000: "The latency is in seconds and labelled milliseconds, or the rate in thousands.",
}
_NEAR = 1.5
"""A factor within this factor of one in the table is taken for it: levels that were not held blur it."""


def of_rate_and_latency(factor: float) -> str:
    """What made rate x latency too large by `factor`, in a sentence; empty when no mix-up of units would."""
    return next((said for known, said in _RATE_TIMES_LATENCY.items() if 1 / _NEAR < factor / known < _NEAR), "")


def of_rate(factor: float) -> str:
    """What made a rate too large by `factor` or somewhat less, in a sentence; empty when no mix-up would.

    A bound that no system reaches says only that the rate is too large by at least `factor`; the smallest period that
    would bring it below the bound is the likeliest.
    """
    periods = sorted((known, said) for known, said in _RATE_TIMES_LATENCY.items() if known in (60.0, 300.0, 3600.0))
    return next((said for known, said in periods if 4 <= factor <= known), "")

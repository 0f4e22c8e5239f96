"""Asking metrics about a fleet: rate, latency, and the highest rate of the last day, as one Reading.

Two of CloudWatch's habits are dealt with here. A minute is shown up to a minute after it ended (KEDA's scaler leaves
out as much), so its age counts from then: it is what it would be of a source that shows at once. And a minute without
requests has no count: it was 0 where its target groups told in the same minute how many of their targets are healthy,
which they do as long as there are health checks (ELB user guide, "CloudWatch metrics", HealthyHostCount).
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.control.operator.metrics.rates import Queries
from holdfast.control.operator.seeing.seen import Reading
from holdfast.telemetry.cloudwatch import MINUTE_S, CloudWatch
from holdfast.telemetry.errors import NoFigureError
from holdfast.telemetry.prometheus import Prometheus

SHOWN_AFTER_S = 60.0
"""From the end of a minute until CloudWatch shows it."""

_MINUTES_BACK = 5
_DAY_S = 86_400


async def of_prometheus(server: Prometheus, asked: Queries) -> Reading:
    """The rate now, and the latency where requests were completed.

    Raises UnreadError, also where no server shows a rate (NoFigureError).
    """
    rate_per_s = await server.value(asked.rate)
    age_s = await server.age_s(*asked.counted)
    return Reading(rate_per_s, age_s, await _known(server, asked.latency))


async def highest_of_prometheus(server: Prometheus, asked: Queries) -> float | None:
    """The highest offered rate of the last day, requests/s. A query to ask now and then, not at each look."""
    return await _known(server, asked.highest)


async def of_cloudwatch(source: CloudWatch, groups: Sequence[str], now_s: float) -> Reading:
    """The rate of the last minute that is shown, and its latency until a target begins to answer.

    groups: how the fleet's target groups begin.

    Raises UnreadError, also where the last minutes tell nothing (NoFigureError).
    """
    until_s = _shown_until_s(now_s)
    since_s = until_s - _MINUTES_BACK * MINUTE_S
    counts = await source.minutes("RequestCount", "Sum", groups, since_s, until_s)
    healthy = await source.minutes("HealthyHostCount", "Maximum", groups, since_s, until_s)
    if not counts and not healthy:
        raise NoFigureError(
            f"CloudWatch has no RequestCount of {', '.join(groups)} in the last {_MINUTES_BACK} minutes."
        )
    minute_s = max(counts.keys() | healthy.keys())
    age_s = max(0.0, now_s - (minute_s + MINUTE_S + SHOWN_AFTER_S))
    took_s = await source.minutes("TargetResponseTime", "Sum", groups, minute_s, minute_s + MINUTE_S)
    answers = await source.minutes("TargetResponseTime", "SampleCount", groups, minute_s, minute_s + MINUTE_S)
    latency_s = took_s[minute_s] / answers[minute_s] if took_s and answers.get(minute_s) else None
    return Reading(counts.get(minute_s, 0.0) / MINUTE_S, age_s, latency_s)


async def highest_of_cloudwatch(source: CloudWatch, groups: Sequence[str], now_s: float) -> float | None:
    """The highest rate of a minute of the last day, requests/s; None without any count. Raises UnreadError."""
    until_s = _shown_until_s(now_s)
    counts = await source.minutes("RequestCount", "Sum", groups, until_s - _DAY_S, until_s)
    return max(counts.values()) / MINUTE_S if counts else None


def _shown_until_s(now_s: float) -> float:
    return (now_s - SHOWN_AFTER_S) // MINUTE_S * MINUTE_S


async def _known(server: Prometheus, query: str) -> float | None:
    """None where there is nothing to measure, such as the latency of no requests."""
    try:
        return await server.value(query)
    except NoFigureError:
        return None

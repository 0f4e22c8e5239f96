"""What is asked of metrics: the rate that clients offer a fleet, and how long its requests take.

Decisions go by what is offered, and servers count what they are done with. In overload the two differ: completions
level off at the limit just when the offered rate matters most. But requests are conserved. What arrives at a server
within a time is completed in it, or refused, or in hand at its end beyond what was in hand at its beginning:

    arrivals = completions + refusals + (in hand at the end - in hand at the beginning)

So the offered rate is the rate of the two counters and the growth of the two gauges (running, waiting), over the same
minute of the same scrapes. It holds at any load; within the minute after a server dies with requests in hand it reads
low by those. What no server was told of is not in it: requests that the load balancer had no target for, and with
prefill apart those that wait for their prompt's turn.

Where the fleet's scaler reads CloudWatch, nothing else may be there: then it is what the load balancer counts of the
pools' target groups in the last whole minute. That counts requests as it chose a target for them, also in overload.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from holdfast.manifests.observing import series
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import grouping
from holdfast.manifests.scaling import cloudwatch
from holdfast.model import metrics
from holdfast.model.cluster import Scaler
from holdfast.model.fleet import InferenceFleet

WINDOW = "1m"
"""Four scrapes (manifests.observing.pod_monitor): a rate needs two, and one may fail."""

DAY = "1d"

_RUNNING = "vllm:num_requests_running"
_WAITING = "vllm:num_requests_waiting"


@dataclass(frozen=True)
class Queries:
    """PromQL of one fleet.

    rate:     offered requests/s. counted: select the series by whose newest sample its age is told.
    latency:  mean end-to-end latency of what was completed, seconds; not a number where nothing was.
    highest:  highest offered rate of the last day, by minutes. It makes the server evaluate `rate` 1,440 times.
    """

    rate: str
    counted: tuple[str, ...]
    latency: str
    highest: str


def is_counted_by_cloudwatch(fleet: InferenceFleet) -> bool:
    """Whether the fleet's rate is told by its load balancer, as its scaler goes by that too."""
    return fleet.spec.cluster.scaler is Scaler.KEDA_CLOUDWATCH


def queries(placed: Sequence[Placement]) -> Queries:
    """What is asked of Prometheus about the fleet of these pools."""
    in_hand = [series.of_pools(placed, name) for name in (_RUNNING, _WAITING)]
    # A server that never completed or refused a request may have no such counter yet; it always shows what is in hand.
    grown = " + ".join(_growth(selected) for selected in in_hand)
    done = " + ".join(
        f"({series.rate(series.of_pools(placed, name), WINDOW)} or vector(0))"
        for name in (series.COMPLETED, series.REJECTED)
    )
    rate = f"clamp_min({grown} + {done}, 0)"
    total, count = (
        series.rate(series.of_pools(placed, f"{metrics.LATENCY}_{part}"), WINDOW) for part in ("sum", "count")
    )
    return Queries(
        rate, tuple(in_hand[0].split(" or ")), f"{total} / {count}", f"max_over_time(({rate})[{DAY}:{WINDOW}])"
    )


def target_groups(placed: Sequence[Placement]) -> tuple[str, ...]:
    """How the target groups of the pools begin in CloudWatch's dimensions, each once, also where pools share one."""
    shared = grouping.shared(placed)
    knowing = (replace(placement, shared_service=shared.get(placement.unit.name)) for placement in placed)
    return tuple(dict.fromkeys(cloudwatch.target_group_of(placement) for placement in knowing))


def _growth(selected: str) -> str:
    """Of what is in hand, per second: over the same samples, and stretched to the window as `rate` stretches."""
    each = " or ".join(f"delta({one}[{WINDOW}])" for one in selected.split(" or "))
    return f"sum({each}) / 60"

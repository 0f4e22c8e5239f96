"""What the figures of a simulation rest on, in sentences for those who read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.model.quantities import format_duration
from holdfast.simulation import measures
from holdfast.simulation.fleet import Pool
from holdfast.simulation.scenario import Scenario


def sentences(pools: Sequence[Pool], scenario: Scenario) -> tuple[str, ...]:
    """Of a fleet in a scenario."""
    return (*_pools(pools), *_around(scenario), *_reckoning())


def _pools(pools: Sequence[Pool]) -> Iterator[str]:
    for pool in pools:
        slots, start = pool.service.slots, pool.cold_start
        takes = (
            f"goes along the load curve of {pool.curve.source}"
            if pool.curve is not None
            else f"takes {pool.service.seconds[-1]:.3g} s for each, alone or not: that makes its limit of "
            f"{pool.limit_per_s:.3g}/s and, by Little's law, its mean latency there"
        )
        yield (
            f"A replica of {pool.name} serves up to {slots} {'request' if slots == 1 else 'requests'} at once and "
            f"{takes}; {pool.service.queue} more may wait. It is ready {format_duration(start.node_s)} (node) and "
            f"{format_duration(start.starting_s)} (image, model, graph) after it was asked for, ±{start.spread:.0%}."
        )


def _around(scenario: Scenario) -> Iterator[str]:
    plane, scaler, looks = scenario.spec.data_plane, scenario.spec.autoscaler, scenario.spec.looks
    yield (
        f"Weights reach requests {format_duration(plane.delay_s)} after they are decided. A dead replica is sent "
        f"requests for {format_duration(plane.notice_s)} more, and seen to be dead after "
        f"{format_duration(looks.death_s)}. A replica that is given back finishes what it has for up to "
        f"{format_duration(plane.drain_s)}. Within a pool requests are shared out {plane.balance}; "
        f"{plane.retries or 'no'} further attempts are made."
    )
    yield (
        f"The offered rate is seen over {format_duration(looks.rate_window_s)}, "
        f"{format_duration(looks.rate_lag_s)} late. Pools of policies that only route are scaled by an autoscaler as "
        f"KEDA and the HPA are, on a metric {format_duration(scaler.lag_s)} old, up at once and down after "
        f"{format_duration(scaler.stabilization_s)}."
    )


def _reckoning() -> Iterator[str]:
    yield (
        "A replica is paid from the launch of its instance until it is gone, as its part of the instance. Latencies "
        "are end to end, within 1 %; tokens are not simulated. Requests in service at the end are neither served nor "
        "lost."
    )
    yield (
        "An event is recovered from at the first moment from which on, for "
        f"{format_duration(measures.SETTLED_S)}, every {format_duration(measures.WINDOW_S)} kept the SLO's bounds and "
        f"served {measures.SERVED_SHARE:.0%} of what was offered."
    )
    yield (
        "The optimum knows the whole run beforehand, loses nothing to queues, chance or delays, and may have parts of "
        "replicas: no policy can do better, and none can quite reach it."
    )

"""The clairvoyant optimum: the most that any policy could have made of a run, had it known the run beforehand.

Theory
------
The published objective is the integral of throughput less lambda times cost. Let time be cut into periods of D seconds.
In period t, pool i has n_it replicas ready on average, serves x_it requests/s and starts a_it replicas:

    maximise   sum_t D sum_i x_it - lambda sum_it p_it (D n_it + s_i a_it) / 3600

    x_it <= mu_i n_it             mu_i: the most that a replica completes per second, at whatever latency
    sum_i x_it <= d_t             what arrived in the period
    n_it <= m_it                  what supply and maxReplicas let the pool have, on average over the period
    a_it >= n_it - n_i(t-1)       replicas of the first period are there when the run begins, as for every policy

This is a linear program, so it may have parts of replicas. Every run is a feasible point of it, or below one: averages
of n over periods rise no more than n itself, start-up is charged at its shortest and at the lowest price since, and
nothing is lost to queues, chance, delays of the data plane or least numbers of replicas. So its value bounds that of
every policy; what is served over a period's end (a queue's worth) is neglected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holdfast.planning.mix.highs import Program, Status, solve

Floats = npt.NDArray[np.float64]

_TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Resource:
    """What one pool offers over a run.

    rate_per_s:      the most requests/s that a replica completes.
    startup_s:       the shortest time from the start of a replica's payment until it is ready.
    price_usd_per_h: of one replica, by period. most: replicas that it may have, on average over each period.
    """

    pool: str
    rate_per_s: float
    startup_s: float
    price_usd_per_h: Floats
    most: Floats


@dataclass(frozen=True)
class Optimum:
    """The best run; arrays are (pools, periods).

    value:  of the objective, in requests. served: requests. cost_usd: of all pools, starts included.
    starts: replicas that are ready anew as a period begins; 0 in the first.
    """

    value: float
    served: float
    cost_usd: float
    replicas: Floats
    starts: Floats
    served_per_s: Floats


def objective(good: float, cost_usd: float, requests_per_usd: float) -> float:
    """The published objective, in requests: those served within the SLO less lambda (`requests_per_usd`) times cost."""
    return good - requests_per_usd * cost_usd


def worth(prices_per_request_usd: Sequence[float]) -> float:
    """The lambda by default, in requests/USD: a request is worth twice what the dearest pool takes for one.

    So every pool is worth its price while it is at least half full, and cheaper ones are worth more.
    """
    return 1 / (2 * max(prices_per_request_usd))


def optimum(resources: Sequence[Resource], arrived_per_s: Floats, period_s: float, requests_per_usd: float) -> Optimum:
    """The clairvoyant optimum of a run.

    arrived_per_s: requests/s by period. requests_per_usd: lambda, at least 0. Raises RuntimeError when it has not been
    found within a minute.
    """
    periods = len(arrived_per_s)
    replica_usd = np.array([resource.price_usd_per_h * period_s / 3600 for resource in resources])
    start_usd = np.array([_start_usd(resource, period_s) for resource in resources])
    usd = requests_per_usd
    program, shape = Program(), (len(resources), periods)
    ready = program.columns(
        replica_usd.size, cost=usd * replica_usd.ravel(), upper=np.concatenate([r.most for r in resources])
    ).reshape(shape)
    starts = program.columns(start_usd.size, cost=usd * start_usd.ravel(), upper=_later(shape)).reshape(shape)
    served = program.columns(replica_usd.size, cost=-period_s).reshape(shape)
    each = np.arange(ready.size).reshape(shape)
    rates = np.array([[resource.rate_per_s] for resource in resources])
    program.rows(ready.size, (each, served, 1.0), (each, ready, -rates), upper=0.0)
    program.rows(periods, (np.arange(periods), served, 1.0), upper=arrived_per_s)
    if periods > 1:
        rises = np.arange(len(resources) * (periods - 1)).reshape(-1, periods - 1)
        program.rows(
            rises.size,
            (rises, ready[:, 1:], 1.0),
            (rises, ready[:, :-1], -1.0),
            (rises, starts[:, 1:], -1.0),
            upper=0.0,
        )
    found = solve(program, relaxed=True, time_limit_s=_TIME_LIMIT_S)
    if found.status is not Status.SOLVED:
        raise RuntimeError(f"the clairvoyant optimum was not found within {_TIME_LIMIT_S:.0f} s")
    values = found.values
    return Optimum(
        value=-found.objective,
        served=float(values[served].sum() * period_s),
        cost_usd=float((values[ready] * replica_usd + values[starts] * start_usd).sum()),
        replicas=values[ready],
        starts=values[starts],
        served_per_s=values[served],
    )


def _later(shape: tuple[int, int]) -> Floats:
    """Starts without bound, but none in the first period."""
    bounds = np.full(shape, math.inf)
    bounds[:, 0] = 0.0
    return bounds.ravel()


def _start_usd(resource: Resource, period_s: float) -> Floats:
    """What a start costs that is ready as each period begins, at the lowest price that it may have been paid at."""
    lag = math.ceil(resource.startup_s / period_s) + 1
    price = resource.price_usd_per_h
    lowest = np.array([price[max(0, t - lag) : t + 1].min() for t in range(len(price))])
    return np.asarray(lowest * resource.startup_s / 3600)

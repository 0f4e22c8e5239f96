"""How near the breaking-point search comes to limits that are known in closed form, in virtual time.

    python benchmarks/limit_accuracy.py [SEEDS]

Prints, per server and number of requests a level: found / true (median, least, most), the share of searches whose
interval held the truth, the confidence that they stated, and the requests that they took.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from holdfast.limits.search import Options
from holdfast.model.fleet import parse_slo
from holdfast.model.stages import Arrivals
from limits import virtual


@dataclass(frozen=True)
class Server:
    """A server, the bound on its 95th percentile in seconds, and P(latency > bound) as a function of the rate."""

    name: str
    slots: int
    service: virtual.Service
    saturation_per_s: float
    bound_s: float
    late: Callable[[float], float]

    def truth(self) -> float:
        """The rate at which 5 % are late, by bisection."""
        low, high = 0.0, self.saturation_per_s
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.late(middle) <= 0.05 else (low, middle)
        return low


def md1_late(rate: float, service_s: float, bound_s: float) -> float:
    """P(W + s > bound) of M/D/1: A. K. Erlang's waiting time distribution (1909)."""
    wait_s = bound_s - service_s
    terms = (
        (-rate * (wait_s - k * service_s)) ** k / math.factorial(k) * math.exp(rate * (wait_s - k * service_s))
        for k in range(int(wait_s / service_s) + 1)
    )
    return 1 - (1 - rate * service_s) * sum(terms)


def mmc_late(rate: float, slots: int, mean_s: float, bound_s: float) -> float:
    """P(time in system > bound) of M/M/c by Erlang's C: L. Kleinrock, Queueing Systems I, section 3.5."""
    load, mu = rate * mean_s, 1 / mean_s
    tail = load**slots / math.factorial(slots) / (1 - load / slots)
    waits = tail / (sum(load**k / math.factorial(k) for k in range(slots)) + tail)
    spare = slots * mu - rate
    if abs(spare - mu) < 1e-9:
        spare += 1e-6
    served = math.exp(-mu * bound_s)
    return (1 - waits) * served + waits * (spare * served - mu * math.exp(-spare * bound_s)) / (spare - mu)


def exponential(mean_s: float) -> virtual.Service:
    return lambda rng: float(rng.exponential(mean_s))


SERVERS = (
    Server("M/D/1", 1, lambda _: 0.0571, 1 / 0.0571, 0.2, lambda rate: md1_late(rate, 0.0571, 0.2)),
    Server("M/M/1", 1, exponential(0.05), 20.0, 0.5, lambda rate: mmc_late(rate, 1, 0.05, 0.5)),
    Server("M/M/8", 8, exponential(0.2), 40.0, 1.0, lambda rate: mmc_late(rate, 8, 0.2, 1.0)),
)


def main() -> None:
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    print("server  arrivals  requests  true/s  found/true: median   least    most  covered  stated  sent")
    for server in SERVERS:
        truth = server.truth()
        for requests in (400, 1000, 2000):
            show(server, Arrivals.POISSON, requests, truth, seeds)
    even = Server("D/D/1", 1, lambda _: 0.0571, 1 / 0.0571, 0.2, lambda rate: float(rate > 1 / 0.0571))
    show(even, Arrivals.CONSTANT, 100, even.truth(), 1)


def show(server: Server, arrivals: Arrivals, requests: int, truth: float, seeds: int) -> None:
    options = Options(arrivals=arrivals, requests=requests, least_s=1, most_s=1e6)
    slo = parse_slo(f"p95<{server.bound_s}s")
    ratios, covered, stated, sent = [], [], [], []
    for seed in range(seeds):
        point, search = virtual.find(slo, options, server.slots, server.service, seed)
        ratios.append(point.rate_per_s / truth)
        covered.append(point.low_per_s <= truth <= point.high_per_s)
        stated.append(point.confidence)
        sent.append(search.asked * requests)
    print(
        f"{server.name:<7} {arrivals.value:<9} {requests:>8} {truth:>7.2f} {np.median(ratios):>19.3f} "
        f"{min(ratios):>7.3f} {max(ratios):>7.3f} {np.mean(covered):>8.0%} "
        f"{np.mean(stated):>7.0%} {np.mean(sent):>5.0f}"
    )


if __name__ == "__main__":
    main()

"""How near the breaking-point search comes to limits that are known in closed form, in virtual time.

    python benchmarks/limit_accuracy.py [SEEDS [FIRST]]

Prints, per server: found / true (median error, worst, least, most), the share of searches whose interval held the
truth, its width, and the most requests sent, as a share of those of a linear ramp: 25 levels of 5 minutes each, the
last one at the limit. Servers in brackets have a single slot, or a state that cannot be seen from outside: with random
arrivals a search of this length stays unsure there, and its interval says so.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from holdfast.limits.search import Options
from holdfast.model.fleet import parse_slo
from holdfast.model.stages import Arrivals, BreakingPoint
from limits import virtual
from limits.virtual import Batching, Bucket, Server, Slots

RAMP_S = sum(step / 25 for step in range(1, 26)) * 300
"""Seconds of load at the limit that are as many requests as the ramp's."""


@dataclass(frozen=True)
class Case:
    """A server, its SLO, its true limit, and how it is searched for."""

    name: str
    make: Callable[[], Server]
    slo: str
    truth_per_s: float
    arrivals: Arrivals = Arrivals.POISSON


def highest(broken: Callable[[float], float], allowed: float, most: float) -> float:
    """The rate up to `most` at which a share that grows with the rate is `allowed`, by bisection."""
    low, high = 0.0, most
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if broken(middle) <= allowed else (low, middle)
    return low


def md1_waits(rate: float, service_s: float, wait_s: float) -> float:
    """P(W > wait) of M/D/1: A. K. Erlang's waiting time distribution (1909)."""
    if wait_s < 0:
        return 1.0
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


def lost(rate: float, slots: int, mean_s: float) -> float:
    """Share turned away by M/G/c/c: A. K. Erlang's B (1917), by its recursion in the number of slots."""
    share = 1.0
    for n in range(1, slots + 1):
        share = rate * mean_s * share / (n + rate * mean_s * share)
    return share


def batching_waits(rate: float, server: Batching, wait_s: float) -> float:
    """P(wait for a slot > wait): a birth-death process, whose queue is served at the full batch's rate."""
    weights = [1.0]
    for n in range(1, server.slots):
        weights.append(weights[-1] * rate / server.departures_per_s(n))
    full = server.departures_per_s(server.slots)
    queue = weights[-1] * rate / full / (1 - rate / full)
    return queue / (sum(weights) + queue) * math.exp(-(full - rate) * wait_s)


def lomax(scale_s: float, shape: float) -> virtual.Draw:
    """Pareto of the second kind: P(X > x) = (1 + x / scale)^-shape."""
    return lambda rng, n: scale_s * rng.pareto(shape, n)


def heavy_late(rate: float, slots: int, mean_s: float, scale_s: float, shape: float, bound_s: float) -> float:
    """P(T + X > bound): M/M/c's time in system T and a Pareto delay X after it, by the trapezium rule over T."""
    times_s = np.linspace(0, bound_s, 2000)
    beyond = np.array([mmc_late(rate, slots, mean_s, time_s) for time_s in times_s])
    tail = (1 + (bound_s - times_s) / scale_s) ** -shape
    return float(beyond[-1] + (-np.diff(beyond) * (tail[1:] + tail[:-1]) / 2).sum())


BATCH = Batching(slots=32, base_s=0.02, each_s=0.0005, steps=50)
CASES = (
    Case("D/D/4", lambda: Slots(4, virtual.fixed(0.2)), "p95<0.5s", 20.0, Arrivals.CONSTANT),
    Case(
        "M/M/8",
        lambda: Slots(8, virtual.exponential(0.2)),
        "p95<1s",
        highest(lambda r: mmc_late(r, 8, 0.2, 1.0), 0.05, 40),
    ),
    Case("token bucket", lambda: Bucket(20.0, 10, 0.1), "p95<0.5s", 20.0, Arrivals.CONSTANT),
    Case(
        "batching of 32",
        lambda: replace(BATCH),
        "ttft p95<0.5s",
        highest(lambda r: batching_waits(r, BATCH, 0.5), 0.05, BATCH.departures_per_s(32)),
    ),
    Case(
        "cold for a minute",
        lambda: Slots(8, virtual.exponential(0.2), cold_s=60.0, cold=3.0),
        "p95<1s",
        highest(lambda r: mmc_late(r, 8, 0.2, 1.0), 0.05, 40),
    ),
    Case(
        "heavy tail",
        lambda: Slots(8, virtual.exponential(0.2), after=lomax(0.1, 2.2)),
        "p95<1.2s",
        highest(lambda r: heavy_late(r, 8, 0.2, 0.1, 2.2, 1.2), 0.05, 40),
    ),
    Case(
        "429 above 32",
        lambda: Slots(32, virtual.exponential(1.0), most=32),
        "p95<10s, errors<1%",
        highest(lambda r: lost(r, 32, 1.0), 0.01, 32),
    ),
    Case(
        "(random bucket)",
        lambda: Bucket(20.0, 4, 0.1),
        "p95<0.3s",
        highest(lambda r: md1_waits(r, 1 / 20, 0.2 + 3 / 20), 0.05, 20),
    ),
    Case(
        "(M/D/1)",
        lambda: Slots(1, virtual.fixed(0.0571)),
        "p95<0.2s",
        highest(lambda r: md1_waits(r, 0.0571, 0.2 - 0.0571), 0.05, 1 / 0.0571),
    ),
    Case(
        "(M/M/1)",
        lambda: Slots(1, virtual.exponential(0.05)),
        "p95<0.5s",
        highest(lambda r: mmc_late(r, 1, 0.05, 0.5), 0.05, 20),
    ),
)


def main() -> None:
    count, first = (*map(int, sys.argv[1:]), *(20, 0)[len(sys.argv) - 1 :])
    seeds = range(first, first + count)
    print(
        f"{'server':<18}{'true/s':>8}{'median':>8}{'worst':>7}{'least':>7}{'most':>7}{'held':>6}{'width':>7}"
        f"{'of ramp':>8}"
    )
    with ProcessPoolExecutor() as workers:
        figures = [Figures.of(index, seeds, workers) for index in range(len(CASES))]
    asked = [figure for figure in figures if not figure.case.name.startswith("(")]
    errors = [error for figure in asked for error in figure.errors]
    held = float(np.mean([held for figure in asked for held in figure.held]))
    print(f"without brackets: median error {np.median(errors):.1%}, worst {max(errors):.1%}, held {held:.0%}")


@dataclass(frozen=True)
class Figures:
    """What the searches for one server's limit came to, by seed."""

    case: Case
    errors: list[float]
    held: list[bool]

    @classmethod
    def of(cls, index: int, seeds: range, workers: Executor) -> Figures:
        """Searches for the limit of that case, and prints a row."""
        case = CASES[index]
        found = list(workers.map(search, [index] * len(seeds), seeds))
        ratios = [point.rate_per_s / case.truth_per_s for point, _ in found]
        held = [point.low_per_s <= case.truth_per_s <= point.high_per_s for point, _ in found]
        width = np.median([point.high_per_s / max(point.low_per_s, 1e-9) - 1 for point, _ in found])
        sent = max(sent for _, sent in found) / (RAMP_S * case.truth_per_s)
        errors = [abs(ratio - 1) for ratio in ratios]
        print(
            f"{case.name:<18}{case.truth_per_s:>8.2f}{np.median(errors):>8.1%}{max(errors):>7.1%}{min(ratios):>7.3f}"
            f"{max(ratios):>7.3f}{np.mean(held):>6.0%}{width:>7.1%}{sent:>8.1%}",
            flush=True,
        )
        return cls(case, errors, held)


def search(index: int, seed: int) -> tuple[BreakingPoint, int]:
    """One search for the limit of a case, with a tenth of the ramp's requests: what it found and how many it sent."""
    case = CASES[index]
    even = case.arrivals is Arrivals.CONSTANT
    options = Options(
        arrivals=case.arrivals,
        requests=150 if even else 1000,
        least_s=5,
        most_s=45,
        precision=0.03,
        settle_s=60,
        budget_requests=0.095 * RAMP_S * case.truth_per_s,
    )
    point, done = virtual.find(parse_slo(case.slo), options, case.make(), seed)
    return point, done.sent


if __name__ == "__main__":
    main()

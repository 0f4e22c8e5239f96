"""How often two runs of one server are called different, and how often a slower server is found, in virtual time.

    python benchmarks/comparing.py [PAIRS [FIRST]]

Per server, load and length: pairs of runs of the same server, in how many of them each metric was called changed (at
most 5 in 100 should be), or anything at all after Holm's correction; and how many runs of a server that is 5 % or 20 %
slower were found to be changed. `same` sends the same requests at the same moments to both, and each request needs the
same work up to noise of 10 %; `other` draws everything anew. Metrics that cannot be told count as not called changed;
`told` is the share of pairs of which p95 could be.
"""

from __future__ import annotations

import math
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from holdfast.limits import contrasts, estimates, measured
from holdfast.limits.contrasts import Held
from holdfast.model.comparison import LATENCY, THROUGHPUT
from holdfast.model.records import Floats, RequestTable
from holdfast.model.stages import Arrivals, Level
from limits import virtual
from limits.virtual import Batching, Server, Slots

ALPHA = 0.05
SHOWN = (THROUGHPUT, *LATENCY)
NOISE = 0.1


@dataclass(frozen=True)
class Case:
    """A level of `load` (share of the server's capacity, or users of a closed loop from 1 on) and `requests`.

    same: whether both runs send the same requests at the same moments.
    """

    server: str
    load: float
    requests: int
    same: bool

    @property
    def closed(self) -> bool:
        return self.load >= 1


CASES = tuple(
    Case(server, load, requests, same)
    for server in ("M/M/8", "batching")
    for same in (False, True)
    for load, requests in (
        (0.5, 600),
        (0.5, 3000),
        (0.8, 3000),
        (0.8, 9000),
        (0.9, 9000),
        *(() if same else ((16, 2000),)),
    )
)


class Work:
    """Draws from one stream of works that both runs share, each with noise of its own."""

    def __init__(self, mean: float, seed: int, *, shared: bool) -> None:
        self._mean = mean
        self._works = np.random.default_rng(seed) if shared else None

    def __call__(self, rng: np.random.Generator, n: int) -> Floats:
        if self._works is None:
            return rng.exponential(self._mean, n)
        return self._works.exponential(self._mean, n) * rng.uniform(1 - NOISE, 1 + NOISE, n)


def server(case: Case, slower: float, seed: int) -> tuple[Server, float]:
    """The server, and how many requests a second it would complete at most if it were not slower."""
    if case.server == "M/M/8":
        return Slots(8, Work(0.2 * slower, seed, shared=case.same)), 40.0
    made = Batching(32, 0.02 * slower, 0.0005 * slower, 50.0, demand=Work(50.0, seed, shared=case.same))
    return made, made.departures_per_s(32) * slower


def hold(case: Case, slower: float, seed: int, run: int) -> Held:
    """One run of a level; `seed` is that of the pair."""
    made, capacity_per_s = server(case, slower, seed)
    if case.closed:
        level = Level(Arrivals.CLOSED, concurrency=int(case.load), requests=case.requests)
        return _held(virtual.hold(made, level, np.random.default_rng([run, seed])), level)
    rate_per_s = case.load * capacity_per_s
    level = Level(Arrivals.POISSON, rate_per_s=rate_per_s, duration_s=case.requests / rate_per_s)
    moments = np.random.default_rng(seed if case.same else [seed, run])
    arrivals_s = np.sort(moments.uniform(0, level.duration_s, case.requests))
    rows = virtual.table(list(made.serve(iter(arrivals_s.tolist()), np.random.default_rng([run, seed]))))
    return _held(rows, level)


def _held(rows: RequestTable, level: Level) -> Held:
    seen = measured.measure(rows, level, 0)
    return Held(replace(seen.stage, ttft=None), seen.table)


def pair(case: Case, slower: float, seed: int) -> dict[str, float]:
    """How surprising each metric's change is, NaN where it cannot be told."""
    one, two = hold(case, 1.0, seed, 1), hold(case, slower, seed, 2)
    found = contrasts.changes(one, two, paired=case.same)
    told = {change.metric.name: change.estimate for change in found if change.metric in SHOWN}
    return {name: math.nan if estimate is None else estimate.surprise() for name, estimate in told.items()}


def any_of(surprises: dict[str, float]) -> bool:
    known = [value for value in surprises.values() if not math.isnan(value)]
    return any(significant for significant, _ in estimates.holm(known, ALPHA))


def row(case: Case, slower: float, found: list[dict[str, float]]) -> str:
    called = {metric.name: np.mean([each[metric.name] < ALPHA for each in found]) for metric in SHOWN}
    told = np.mean([not math.isnan(each["p95"]) for each in found])
    sent = "same" if case.same else "other"
    shown = "".join(f"{called[metric.name]:>8.1%}" for metric in SHOWN)
    anything = np.mean([any_of(each) for each in found])
    load = f"{case.load} users" if case.closed else f"{case.load:.0%}"
    name = f"{case.server:<10}{load:>9}{case.requests:>7}{sent:>7}{slower - 1:>+6.0%}"
    return f"{name}{told:>6.0%}{shown}{anything:>7.1%}"


def main() -> None:
    pairs, first = (*map(int, sys.argv[1:]), *(200, 0)[len(sys.argv) - 1 :])
    heading = "".join(f"{metric.name[:6]:>8}" for metric in SHOWN)
    print(f"{'server':<10}{'load':>9}{'sent':>7}{'drawn':>7}{'slow':>6}{'told':>6}{heading}{'any':>7}")
    false = list[dict[str, float]]()
    with ProcessPoolExecutor() as workers:
        for case in CASES:
            for slower in (1.0, 1.05, 1.2):
                if not case.closed and case.load * slower >= 1:
                    continue
                seeds = range(first, first + pairs)
                found = list(workers.map(pair, [case] * pairs, [slower] * pairs, seeds, chunksize=8))
                print(row(case, slower, found), flush=True)
                false += found if slower == 1.0 else []
    known = [value for each in false for value in each.values() if not math.isnan(value)]
    print(
        f"same servers: {np.mean(np.array(known) < ALPHA):.1%} of {len(known)} metrics called changed one by one at "
        f"{ALPHA:.0%}, {np.mean(np.array(known) < ALPHA / 10):.2%} at {ALPHA / 10:.1%}; "
        f"{np.mean([any_of(each) for each in false]):.1%} of {len(false)} pairs after Holm"
    )


if __name__ == "__main__":
    main()

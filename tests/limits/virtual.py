"""Servers on virtual time whose limits are known: `slots` FIFO servers with a given service time."""

from __future__ import annotations

import heapq
from collections.abc import Callable

import numpy as np

from holdfast.limits import measured, verdict
from holdfast.limits.search import Options, Search
from holdfast.model.fleet import Slo
from holdfast.model.records import Outcome, RequestRecord, RequestTable
from holdfast.model.stages import Arrivals, BreakingPoint, Level

Service = Callable[[np.random.Generator], float]


def record(intended_s: float, end_s: float, outcome: Outcome = Outcome.OK) -> RequestRecord:
    return RequestRecord(
        0, intended_s, intended_s, end_s, end_s, end_s, float("nan"), 1, -1, -1, 0, 0, 200, outcome
    )  # fmt: skip


def serve(level: Level, slots: int, service: Service, rng: np.random.Generator) -> RequestTable:
    """Runs one level on an empty server."""
    if level.concurrency is not None:
        return _closed(level, slots, service, rng)
    assert level.rate_per_s is not None
    n = int(level.rate_per_s * level.duration_s)
    gaps = rng.exponential(1 / level.rate_per_s, n) if level.arrivals is Arrivals.POISSON else 1 / level.rate_per_s
    arrivals = np.cumsum(np.broadcast_to(gaps, n))
    free = [0.0] * slots
    records = []
    for arrival in arrivals:
        begin = max(float(arrival), heapq.heappop(free))
        end = begin + service(rng)
        heapq.heappush(free, end)
        records.append(record(float(arrival), end))
    return RequestTable.of(records)


def _closed(level: Level, slots: int, service: Service, rng: np.random.Generator) -> RequestTable:
    assert level.concurrency is not None
    free = [0.0] * slots
    users = [0.0] * level.concurrency
    records = []
    for _ in range(level.requests):
        arrival = heapq.heappop(users)
        end = max(arrival, heapq.heappop(free)) + service(rng)
        heapq.heappush(free, end)
        heapq.heappush(users, end)
        records.append(record(arrival, end))
    return RequestTable.of(records)


def find(slo: Slo, options: Options, slots: int, service: Service, seed: int) -> tuple[BreakingPoint, Search]:
    """The search against such a server."""
    rng = np.random.default_rng(seed)
    search = Search(options)
    while (level := search.ask()) is not None:
        seen = measured.measure(serve(level, slots, service, rng), level, 0)
        search.tell(level, seen.stage, verdict.judge(seen, slo))
    return search.result(), search

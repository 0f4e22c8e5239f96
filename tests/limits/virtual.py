"""Servers on virtual time whose limits are known, and the search against them.

A server keeps its state and its clock from level to level, as a real one does; between levels it is left to drain.
"""

from __future__ import annotations

import heapq
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from holdfast.limits import measured, verdict
from holdfast.limits.search import Options, Search
from holdfast.model.fleet import Slo
from holdfast.model.records import Floats, Outcome, RequestRecord, RequestTable
from holdfast.model.stages import Arrivals, BreakingPoint, Level

Draw = Callable[[np.random.Generator, int], Floats]
"""n service times in seconds."""


def fixed(service_s: float) -> Draw:
    return lambda _, n: np.full(n, service_s)


def exponential(mean_s: float) -> Draw:
    return lambda rng, n: rng.exponential(mean_s, n)


@dataclass(frozen=True)
class Answered:
    """One request: when it came, when its first token and its last came, how it ended."""

    arrival_s: float
    first_s: float
    end_s: float
    outcome: Outcome = Outcome.OK


def table(rows: list[Answered]) -> RequestTable:
    n = len(rows)
    arrivals, first, end = (
        np.array([getattr(row, name) for row in rows]) for name in ("arrival_s", "first_s", "end_s")
    )
    none, zero = np.full(n, -1), np.zeros(n, dtype=np.int64)
    outcomes = np.array([row.outcome for row in rows], dtype=np.int64)
    nan = np.full(n, math.nan)
    return RequestTable(
        zero, arrivals, arrivals, first, first, end, nan, np.full(n, 2), none, none, zero, zero, zero + 200, outcomes
    )  # fmt: skip


def record(intended_s: float, end_s: float, outcome: Outcome = Outcome.OK) -> RequestRecord:
    return RequestRecord(
        0, intended_s, intended_s, end_s, end_s, end_s, float("nan"), 1, -1, -1, 0, 0, 200, outcome
    )  # fmt: skip


class Server(ABC):
    """Answers arrivals in their order. `clock_s` is the server's own time at the start of the level."""

    clock_s: float = 0.0

    @abstractmethod
    def serve(self, arrivals_s: Iterator[float], rng: np.random.Generator) -> Iterator[Answered]:
        """The answer to each arrival, as soon as its end is known; a closed loop draws its arrivals from that."""


@dataclass
class Slots(Server):
    """`slots` servers and one queue in order of arrival.

    service: its times. cold_s, cold: until the server is so old, service takes `cold` times as long.
    after: more latency, which takes no slot. most: turned away with 429 when so many are in the system.
    """

    slots: int
    service: Draw
    cold_s: float = 0.0
    cold: float = 1.0
    after: Draw | None = None
    most: float = math.inf

    def serve(self, arrivals_s: Iterator[float], rng: np.random.Generator) -> Iterator[Answered]:
        free = [0.0] * self.slots
        present = list[float]()
        services, afters = stream(self.service, rng), stream(self.after or fixed(0.0), rng)
        for arrival_s in arrivals_s:
            while present and present[0] <= arrival_s:
                heapq.heappop(present)
            if len(present) >= self.most:
                yield Answered(arrival_s, math.nan, arrival_s + 1e-4, Outcome.REJECTED)
                continue
            begin_s = max(arrival_s, free[0])
            slow = self.cold if self.clock_s + begin_s < self.cold_s else 1.0
            end_s = begin_s + next(services) * slow
            heapq.heapreplace(free, end_s)
            heapq.heappush(present, end_s)
            yield Answered(arrival_s, begin_s, end_s + next(afters))


@dataclass
class Bucket(Server):
    """A token bucket: `rate_per_s` tokens, `burst` of them kept; a request waits for one, then takes `service_s`."""

    rate_per_s: float
    burst: float
    service_s: float

    def serve(self, arrivals_s: Iterator[float], rng: np.random.Generator) -> Iterator[Answered]:
        empty_s = 0.0  # when the debt of tokens is paid
        for arrival_s in arrivals_s:
            empty_s = max(empty_s, arrival_s) + 1 / self.rate_per_s
            begin_s = max(arrival_s, empty_s - self.burst / self.rate_per_s)
            yield Answered(arrival_s, begin_s, begin_s + self.service_s)


@dataclass
class Batching(Server):
    """Continuous batching: up to `slots` requests share steps of `base_s + each_s * n` seconds.

    A request takes an exponential number of steps of mean `steps` (or what `demand` draws), and waits for a slot in
    order of arrival. Its first token comes when it gets one.
    """

    slots: int
    base_s: float
    each_s: float
    steps: float
    demand: Draw | None = None
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def departures_per_s(self, n: int) -> float:
        served = min(n, self.slots)
        return served / (self.steps * (self.base_s + self.each_s * served))

    def serve(self, arrivals_s: Iterator[float], rng: np.random.Generator) -> Iterator[Answered]:
        demands = stream(self.demand or exponential(self.steps), rng)
        now_s, progress = 0.0, 0.0
        active = list[tuple[float, int, float, float]]()  # by the progress at which each ends: arrival, start
        waiting = list[float]()
        pending = next(arrivals_s, None)
        while active or pending not in (None, math.inf):
            step_s = self.base_s + self.each_s * len(active)
            ends_s = now_s + (active[0][0] - progress) * step_s if active else math.inf
            if pending is not None and pending <= ends_s:
                progress += (pending - now_s) / step_s if active else 0.0
                now_s = pending
                waiting.append(pending)
                pending = next(arrivals_s, None)
            else:
                progress, now_s = active[0][0], ends_s
                _, _, arrival_s, first_s = heapq.heappop(active)
                yield Answered(arrival_s, first_s, now_s)
                if pending == math.inf:
                    pending = next(arrivals_s, None)  # a user of a closed loop is free again
            while waiting and len(active) < self.slots:
                heapq.heappush(active, (progress + next(demands), next(self._ids), waiting.pop(0), now_s))


def stream(draw: Draw, rng: np.random.Generator) -> Iterator[float]:
    while True:
        yield from draw(rng, 256).tolist()


def hold(server: Server, level: Level, rng: np.random.Generator) -> RequestTable:
    """Holds one level; the server then drains, and its clock is where it has drained."""
    if level.concurrency is not None:
        rows = _closed(server, level.concurrency, level.requests, rng)
    else:
        assert level.rate_per_s is not None
        n = max(1, round(level.rate_per_s * level.duration_s))
        even = level.arrivals is Arrivals.CONSTANT
        times = (np.arange(n) + 0.5) / level.rate_per_s if even else np.sort(rng.uniform(0, level.duration_s, n))
        rows = list(server.serve(iter(times.tolist()), rng))
    server.clock_s += max(row.end_s for row in rows) + 1.0
    return table(rows)


class _Users(Iterator[float]):
    """The arrivals of a closed loop: infinitely late while all users wait for an answer."""

    def __init__(self, users: int, requests: int) -> None:
        self.ready = [0.0] * users
        self._left = requests

    def __next__(self) -> float:
        if not self._left:
            raise StopIteration
        if not self.ready:
            return math.inf
        self._left -= 1
        return heapq.heappop(self.ready)


def _closed(server: Server, users: int, requests: int, rng: np.random.Generator) -> list[Answered]:
    arrivals, rows = _Users(users, requests), list[Answered]()
    for row in server.serve(arrivals, rng):
        rows.append(row)
        heapq.heappush(arrivals.ready, row.end_s)
    return rows


def find(slo: Slo, options: Options, server: Server, seed: int) -> tuple[BreakingPoint, Search]:
    """The search against such a server."""
    rng = np.random.default_rng(seed)
    search = Search(slo, options)
    while (level := search.ask()) is not None:
        seen = measured.measure(hold(server, level, rng), level, 0)
        search.tell(level, seen, verdict.judge(seen, slo))
    return search.result(), search

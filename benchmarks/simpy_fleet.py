"""The benchmark's fleet in simpy: the same pools, replicas, queues, retries and events as `simulation.traffic`.

Written to be quick, not pretty: no process and no resource for a request, but one timeout for each departure that is
due, which is set anew when the number in service changes. Two choices within a pool, pools by weight.
"""

from __future__ import annotations

import bisect
import heapq
import random
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, count
from typing import Any

import simpy

from holdfast.model.records import Floats
from holdfast.simulation.traffic import Service

Request = tuple[float, int, float, float, int]
"""Where virtual time finishes it, a tie breaker, first arrival in s, work, attempts so far beyond the first."""


class Replica:
    __slots__ = ("alive", "now_s", "queue", "serving", "version", "virtual")

    def __init__(self, now_s: float) -> None:
        self.now_s, self.virtual, self.version, self.alive = now_s, 0.0, 0, True
        self.serving: list[Request] = []
        self.queue: deque[Request] = deque()


class SimpyFleet:
    def __init__(self, services: Sequence[Service], *, retries: int, seed: int) -> None:
        self.env = simpy.Environment()
        self.services, self.retries, self.random = services, retries, random.Random(seed)
        self.replicas: list[dict[int, Replica]] = [{} for _ in services]
        self.drawn: list[list[Replica]] = [[] for _ in services]
        self.share = self.ends = [0.0] * len(services)
        self.order = count()
        self.served = self.lost = 0
        self.latency_s = 0.0

    def add(self, pool: int) -> int:
        number = next(n for n in count() if n not in self.replicas[pool])
        self.replicas[pool][number] = Replica(self.env.now)
        self.drawn[pool].append(self.replicas[pool][number])
        return number

    def kill(self, pool: int, replica: int, *, noticed: bool) -> None:
        dead = self.replicas[pool][replica]
        dead.alive, dead.version = False, dead.version + 1
        if noticed:
            self.notice(pool, replica)
        for _, _, arrived_s, work, tries in [*dead.serving, *dead.queue]:
            self._again(arrived_s, work, tries, pool)

    def notice(self, pool: int, replica: int) -> None:
        self.drawn[pool].remove(self.replicas[pool].pop(replica))

    def weights(self, weights: Sequence[float]) -> None:
        self.share = list(weights)
        self.ends = list(accumulate(weights))

    def run(self, until_s: float, arrivals_s: Floats, work: Floats) -> None:
        self.env.process(self._arrive(arrivals_s.tolist(), work.tolist()))
        if until_s > self.env.now:
            self.env.run(until=until_s)

    def read(self) -> None:
        """Nothing to bring up to date: every departure was an event."""

    def _arrive(self, arrivals_s: list[float], work: list[float]) -> Any:
        for arrived_s, amount in zip(arrivals_s, work, strict=True):
            yield self.env.timeout(arrived_s - self.env.now)
            self._send(arrived_s, amount, 0, -1)

    def _send(self, arrived_s: float, work: float, tries: int, last: int) -> None:
        chance = self.random.random
        pool = bisect.bisect_right(self.ends, chance() * self.ends[-1])
        if last >= 0 and self.share[last] < self.ends[-1]:
            while pool == last:
                pool = bisect.bisect_right(self.ends, chance() * self.ends[-1])
        drawn, service = self.drawn[pool], self.services[pool]
        if not drawn:
            self._again(arrived_s, work, tries, pool)
            return
        replica, other = drawn[int(chance() * len(drawn))], drawn[int(chance() * len(drawn))]
        if len(other.serving) + len(other.queue) < len(replica.serving) + len(replica.queue):
            replica = other
        if replica.alive and len(replica.serving) < service.slots:
            self._advance(replica, service)
            heapq.heappush(replica.serving, (replica.virtual + work, next(self.order), arrived_s, work, tries))
            self._wait_for_next(replica, service)
        elif replica.alive and len(replica.queue) < service.queue:
            replica.queue.append((0.0, 0, arrived_s, work, tries))
        else:
            self._again(arrived_s, work, tries, pool)

    def _again(self, arrived_s: float, work: float, tries: int, last: int) -> None:
        if tries == self.retries:
            self.lost += 1
        else:
            self._send(arrived_s, work, tries + 1, last)

    def _advance(self, replica: Replica, service: Service) -> None:
        if replica.serving:
            replica.virtual += (self.env.now - replica.now_s) / service.seconds[len(replica.serving) - 1]
        replica.now_s = self.env.now

    def _wait_for_next(self, replica: Replica, service: Service) -> None:
        replica.version += 1
        if replica.serving:
            left = max(replica.serving[0][0] - replica.virtual, 0.0)
            due = self.env.timeout(
                left * service.seconds[len(replica.serving) - 1], (replica, service, replica.version)
            )
            due.callbacks.append(self._depart)

    def _depart(self, due: Any) -> None:
        replica, service, version = due.value
        if version != replica.version:
            return
        self._advance(replica, service)
        _, _, arrived_s, _, _ = heapq.heappop(replica.serving)
        self.served += 1
        self.latency_s += self.env.now - arrived_s
        if replica.queue:
            _, _, waiting_s, work, tries = replica.queue.popleft()
            heapq.heappush(replica.serving, (replica.virtual + work, next(self.order), waiting_s, work, tries))
        self._wait_for_next(replica, service)

"""What `Traffic` means, in plain Python: one request, one replica, one moment after another. For small fleets only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from holdfast.simulation.traffic import Balance, Ingress, Service

End = tuple[float, float, int, int, str]
"""First arrival and end of a request in seconds, pool, replica (-1: none), and how it ended."""


@dataclass(eq=False)
class Request:
    arrived_s: float
    work: float
    left: float
    tried: set[int] = field(default_factory=set)
    tries: int = 0


@dataclass(eq=False)
class Replica:
    number: int
    since: int
    """Moment since when it has had as many requests outstanding as now; when dead, at which it was last drawn."""
    serving: list[Request] = field(default_factory=list)
    waiting: list[Request] = field(default_factory=list)
    alive: bool = True

    @property
    def outstanding(self) -> int:
        return len(self.serving) + len(self.waiting)


@dataclass(eq=False)
class Pool:
    service: Service
    most: int
    weight: float = 0.0
    replicas: dict[int, Replica] = field(default_factory=dict)
    drawn: list[Replica] = field(default_factory=list)
    turn: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def dismiss(self, replica: Replica) -> None:
        at = self.drawn.index(replica)
        self.drawn.remove(replica)
        if at < self.turn:
            self.turn -= 1
        if self.turn >= len(self.drawn):
            self.turn = 0


class EagerFleet:
    def __init__(
        self,
        services: Sequence[Service],
        *,
        most_replicas: Sequence[int],
        balance: Balance,
        retries: int,
        seed: int,
        ingress: Ingress,
    ) -> None:
        self.pools = [Pool(service, most) for service, most in zip(services, most_replicas, strict=True)]
        self.balance, self.retries, self.ingress, self.random = balance, retries, ingress, seed
        self.now_s = 0.0
        self.moment = 0
        self.ends: list[End] = []

    def add(self, pool: int) -> int:
        replicas = self.pools[pool].replicas
        gone = [n for n, r in replicas.items() if r not in self.pools[pool].drawn and not r.outstanding]
        for number in gone:
            del replicas[number]
        number = next(n for n in range(self.pools[pool].most) if n not in replicas)
        replicas[number] = Replica(number, self._moment())
        self.pools[pool].drawn.append(replicas[number])
        return number

    def drain(self, pool: int, replica: int) -> None:
        self.pools[pool].dismiss(self.pools[pool].replicas[replica])

    def kill(self, pool: int, replica: int, *, noticed: bool) -> None:
        dead = self.pools[pool].replicas[replica]
        lost = [*sorted(dead.serving, key=lambda request: request.arrived_s), *dead.waiting]
        if dead.outstanding:
            dead.since = self._moment()
        dead.serving, dead.waiting, dead.alive = [], [], False
        if noticed and dead in self.pools[pool].drawn:
            self.pools[pool].dismiss(dead)
        for request in lost:
            self._wrong(request, pool, dead, "failed")

    def notice(self, pool: int, replica: int) -> None:
        self.pools[pool].dismiss(self.pools[pool].replicas[replica])

    def weights(self, weights: Sequence[float]) -> None:
        for pool, weight in zip(self.pools, weights, strict=True):
            pool.weight = weight

    def run(self, until_s: float, arrivals_s: Sequence[float], work: Sequence[float]) -> None:
        for arrived_s, amount in zip(arrivals_s, work, strict=True):
            self._pass_time(arrived_s)
            self._send(Request(arrived_s, amount, amount), None, None)
        self._pass_time(until_s)

    def _moment(self) -> int:
        self.moment += 1
        return self.moment

    def _uniform(self) -> float:
        mask = 2**64 - 1
        self.random = (self.random + 0x9E3779B97F4A7C15) & mask
        z = self.random
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return float((z ^ (z >> 31)) >> 11) * 2.0**-53

    def _pass_time(self, until_s: float) -> None:
        while True:
            soonest_s, where = math.inf, None
            for number, pool in enumerate(self.pools):
                for _, replica in sorted(pool.replicas.items()):
                    if replica.serving:
                        each_s = pool.service.seconds[len(replica.serving) - 1]
                        done_s = self.now_s + min(request.left for request in replica.serving) * each_s
                        if done_s < soonest_s:
                            soonest_s, where = done_s, (number, replica)
            self._work_until(min(soonest_s, until_s))
            if where is None or soonest_s > until_s:
                return
            self._complete(*where)

    def _work_until(self, until_s: float) -> None:
        for pool in self.pools:
            for replica in pool.replicas.values():
                for request in replica.serving:
                    request.left -= (until_s - self.now_s) / pool.service.seconds[len(replica.serving) - 1]
        self.now_s = until_s

    def _complete(self, number: int, replica: Replica) -> None:
        done = min(replica.serving, key=lambda request: request.left)
        replica.serving.remove(done)
        if replica.waiting:
            replica.serving.append(replica.waiting.pop(0))
        replica.since = self._moment()
        self.pools[number].counts["served"] += 1
        self.ends.append((done.arrived_s, self.now_s, number, replica.number, "served"))

    def _send(self, request: Request, last: int | None, avoided: Replica | None) -> None:
        number = self._pool(request, last)
        pool = self.pools[number]
        pool.counts["taken" if request.tries else "arrived"] += 1
        request.tried.add(number)
        replica = self._draw(pool, avoided) if pool.drawn else None
        if replica and replica.alive and len(replica.serving) < pool.service.slots:
            replica.serving.append(request)
        elif replica and replica.alive and len(replica.waiting) < pool.service.queue:
            replica.waiting.append(request)
        else:
            if replica and not replica.alive:
                replica.since = self._moment()
            self._wrong(request, number, replica, "failed" if replica and not replica.alive else "refused")
            return
        replica.since = self._moment()

    def _wrong(self, request: Request, number: int, replica: Replica | None, how: str) -> None:
        counts = self.pools[number].counts
        if request.tries == self.retries or (how == "refused" and self.ingress is Ingress.COMPOSITE):
            counts[how] += 1
            place = replica.number if replica else -1
            self.ends.append((request.arrived_s, self.now_s, number, place, how))
            return
        counts["retried"] += 1
        request.tries += 1
        request.left = request.work
        self._send(request, number, replica)

    def _pool(self, request: Request, last: int | None) -> int:
        if self.ingress is Ingress.COMPOSITE and last is not None:
            return self._next_in_order(request.tried, last)
        number = self._by_weight(request.tried, last)
        if self.ingress is Ingress.COMPOSITE and not self.pools[number].drawn:
            return self._next_in_order({number}, number)
        return number

    def _by_weight(self, tried: set[int], last: int | None) -> int:
        weighted = [n for n, pool in enumerate(self.pools) if pool.weight]
        open_to = [n for n in weighted if n not in tried] or [n for n in weighted if n != last]
        if not open_to:
            assert last is not None
            return last
        left = self._uniform() * sum(self.pools[n].weight for n in open_to)
        for number in open_to:
            left -= self.pools[number].weight
            if left < 0:
                return number
        return open_to[-1]

    def _next_in_order(self, tried: set[int], last: int) -> int:
        ready = [n for n, pool in enumerate(self.pools) if pool.drawn]
        return next((n for n in ready if n not in tried), next((n for n in ready if n != last), last))

    def _draw(self, pool: Pool, avoided: Replica | None) -> Replica:
        others = [replica for replica in pool.drawn if replica is not avoided] or pool.drawn
        match self.balance:
            case Balance.RANDOM:
                return others[int(self._uniform() * len(others))]
            case Balance.TWO_CHOICES:
                one = others[int(self._uniform() * len(others))]
                two = others[int(self._uniform() * len(others))] if len(others) > 1 else one
                return two if two.outstanding < one.outstanding else one
            case Balance.LEAST_OUTSTANDING:
                return min(others, key=lambda replica: (replica.outstanding, replica.since))
            case Balance.ROUND_ROBIN:
                while True:
                    replica = pool.drawn[pool.turn]
                    pool.turn = (pool.turn + 1) % len(pool.drawn)
                    if replica in others:
                        return replica

"""Every request of a fleet between two events of its world.

A request is drawn to a pool by weight and to a replica by the pool's balance; it is served, waits, or is refused. What
was refused, or was lost with a replica, is sent again at once while it has retries left: to a pool that it has not
been sent to, where there is one with weight, else to another replica. At any moment

    arrived = served + failed + refused + in flight + waiting

over all pools, and for each pool arrived + taken = served + failed + refused + retried + in flight + waiting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from holdfast.simulation import kernel, rows
from holdfast.simulation.service import Service

__all__ = ["Balance", "Counts", "Ingress", "Service", "Traffic"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_POOLS = 32
"""A request remembers where it was sent in the bits of one word."""


class Balance(Enum):
    """How a pool draws a replica among those that take traffic."""

    RANDOM = kernel.RANDOM
    ROUND_ROBIN = kernel.ROUND_ROBIN
    LEAST_OUTSTANDING = kernel.LEAST_OUTSTANDING
    """The fewest in service and waiting, exactly; among equals the one that has had as many for longest, and of dead
    ones, which look idle, the one that was not drawn for longest."""
    TWO_CHOICES = kernel.TWO_CHOICES
    """The one with fewer outstanding of two drawn at random, as Envoy's LEAST_REQUEST does."""


class Ingress(Enum):
    """What the data plane does with attempts that go wrong."""

    WEIGHTED = kernel.WEIGHTED
    """Each attempt is drawn by weight, as from an ALB's target groups or the backends of a Gateway's route. One that
    meets a pool without replicas, or a full queue, is answered 503 or 429 and may be made again."""
    COMPOSITE = kernel.COMPOSITE
    """The first attempt is drawn by weight, a further one goes to the next pool, whatever its weight; pools without
    replicas are passed over. What a replica refuses is an answer. So does `local/envoy_config.py`."""


@dataclass(frozen=True)
class Counts:
    """What became of requests since the last read; arrays by pool, shape (pools,) but for `latencies`.

    arrived:   came, and were first sent to this pool.
    taken:     attempts that this pool got after another attempt had gone wrong.
    served:    answered by this pool. late: those of them that took longer than `late_s`.
    failed:    lost for good: the replica died under them, or was dead when they came.
    refused:   refused for good: the queue was full, or the pool had no replica that is drawn.
    retried:   attempts that went wrong at this pool and were made again.
    in_flight, waiting: now, in service and in queues.
    latency_s: sum over the served, from first arrival to answer; work: sum of their work.
    busy_s:    replica-seconds with at least one request in service.
    latencies: shape (pools, histogram.BINS): the served, by latency.
    """

    arrived: Ints
    taken: Ints
    served: Ints
    late: Ints
    failed: Ints
    refused: Ints
    retried: Ints
    in_flight: Ints
    waiting: Ints
    latency_s: Floats
    work: Floats
    busy_s: Floats
    latencies: Ints


_COUNTED = [field.name for field in fields(Counts) if field.name in (rows.POOL.names or ())]


class Traffic:
    """The requests of a fleet on virtual time, from 0 on. The same calls with the same seed give the same counts.

    services:      what one replica of each pool is.
    most_replicas: of each pool, present at a time.
    retries:       further attempts that a request has.
    late_s:        the bound on latency that `late` counts against; infinite for none.
    ingress:       what becomes of attempts that go wrong.
    ends:          how many ends of single requests to keep for `ends()`, the first ones from the last call on.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        most_replicas: Sequence[int],
        balance: Balance,
        retries: int,
        seed: int,
        late_s: float,
        ingress: Ingress = Ingress.WEIGHTED,
        ends: int = 0,
    ) -> None:
        if not 1 <= len(services) <= MOST_POOLS:
            raise ValueError(f"a fleet has between 1 and {MOST_POOLS} pools, not {len(services)}")
        if len(most_replicas) != len(services):
            raise ValueError(f"there are {len(services)} services and {len(most_replicas)} numbers of replicas")
        if any(most < 0 for most in most_replicas):
            raise ValueError(f"a pool has 0 replicas or more, not {min(most_replicas)}")
        if retries < 0:
            raise ValueError(f"a request is sent again 0 times or more, not {retries}")
        if not late_s > 0:
            raise ValueError(f"the bound on latency is above 0 seconds, not {late_s:g}")
        if not 0 <= seed < 2**64:
            raise ValueError(f"a seed is between 0 and 2**64 - 1, not {seed}")
        self._state = rows.empty(services, most_replicas, ends)
        fleet = self._state.fleet
        fleet["balance"], fleet["ingress"], fleet["retries"] = balance.value, ingress.value, retries
        fleet["late_s"] = late_s
        fleet["random"] = np.uint64(seed)
        self._weighted = False

    @property
    def now_s(self) -> float:
        return float(self._state.fleet["now_s"][0])

    def add(self, pool: int) -> int:
        """A replica that takes traffic from now on: its number, the lowest that is free.

        A number is free again when its replica is dead and noticed, or drained and empty.
        """
        number = kernel.add(self._state, self._pool(pool))
        if number == rows.NOWHERE:
            raise ValueError(f"pool {pool} has all of its {self._state.pools['most'][pool]} replicas")
        return number

    def drain(self, pool: int, replica: int) -> None:
        """From now on the replica takes no new requests; it finishes those that it has, also the waiting ones."""
        kernel.drain(self._state, self._replica(pool, replica, "takes no traffic", kernel.TAKING))

    def kill(self, pool: int, replica: int, *, noticed: bool) -> None:
        """The replica dies. Its requests are sent again, those in service first, each group from the oldest on.

        noticed: whether the data plane stops drawing it at once. If not, it goes on being drawn and breaks what it is
                 given, until `notice`. A replica that was draining is not drawn, and needs no notice.
        """
        index = self._replica(pool, replica, "does not live", kernel.TAKING, kernel.DRAINING)
        kernel.kill(self._state, index, noticed)

    def notice(self, pool: int, replica: int) -> None:
        """The data plane stops drawing a dead replica."""
        kernel.notice(self._state, self._replica(pool, replica, "is not dead and unnoticed", kernel.DEAD))

    def weights(self, weights: Sequence[float]) -> None:
        """The pools' shares of traffic from now on, in any unit. A pool with weight may be without replicas."""
        if len(weights) != len(self._state.pools):
            raise ValueError(f"there are {len(self._state.pools)} pools and {len(weights)} weights")
        if any(not 0 <= weight < math.inf for weight in weights):
            raise ValueError(f"a weight is finite and at least 0: {', '.join(f'{weight:g}' for weight in weights)}")
        if not any(weights):
            raise ValueError("at least one pool needs a weight above 0")
        self._state.pools["weight"] = weights
        # In this order, as the kernel adds them up where it leaves some out.
        self._state.fleet["weight"] = sum(weights)
        self._weighted = True

    def run(self, until_s: float, arrivals_s: Floats, work: Floats) -> None:
        """Carry the fleet from now to `until_s`.

        arrivals_s: when requests come, ascending, in [now, until_s), shape (n,).
        work:       of each of them, above 0, 1 being what `Service.seconds` is for, shape (n,).
        """
        # Another type or layout would be compiled for, for seconds.
        arrivals_s, work = np.ascontiguousarray(arrivals_s, np.float64), np.ascontiguousarray(work, np.float64)
        self._check_arrivals(until_s, arrivals_s, work)
        kernel.run(self._state, float(until_s), arrivals_s, work)

    def read(self) -> Counts:
        """What became of requests since the last read."""
        pools = len(self._state.pools)
        in_flight, waiting = np.zeros(pools, np.int64), np.zeros(pools, np.int64)
        kernel.catch_up(self._state, in_flight, waiting)
        counted = {name: self._state.pools[name].copy() for name in _COUNTED}
        latencies = self._state.latencies.copy()
        for name in _COUNTED:
            self._state.pools[name] = 0
        self._state.latencies[:] = 0
        return Counts(in_flight=in_flight, waiting=waiting, latencies=latencies, **counted)

    def outstanding(self, pool: int) -> Ints:
        """Requests in service and waiting at each replica of a pool now, by number; 0 where there is none."""
        pools = len(self._state.pools)
        kernel.catch_up(self._state, np.zeros(pools, np.int64), np.zeros(pools, np.int64))
        row = self._state.pools[self._pool(pool)]
        mine = self._state.replicas[row["first"] : row["first"] + row["most"]]
        return np.asarray(mine["serving"] + mine["waiting"], dtype=np.int64)

    def ends(self) -> NDArray[np.void]:
        """How single requests ended, as rows of `rows.END`, replica by replica; at most as many as were asked for."""
        pools = len(self._state.pools)
        kernel.catch_up(self._state, np.zeros(pools, np.int64), np.zeros(pools, np.int64))
        ended = self._state.ends[: self._state.fleet["ends"][0]].copy()
        self._state.fleet["ends"] = 0
        return ended

    def _pool(self, pool: int) -> int:
        if not 0 <= pool < len(self._state.pools):
            raise ValueError(f"pools are numbered 0 to {len(self._state.pools) - 1}: there is no pool {pool}")
        return pool

    def _replica(self, pool: int, replica: int, otherwise: str, *phases: int) -> int:
        """Its index among all replicas, where it is in one of the phases."""
        row = self._state.pools[self._pool(pool)]
        index = int(row["first"]) + replica
        if not 0 <= replica < row["most"] or self._state.replicas["phase"][index] not in phases:
            raise ValueError(f"replica {replica} of pool {pool} {otherwise}")
        return index

    def _check_arrivals(self, until_s: float, arrivals_s: Floats, work: Floats) -> None:
        if not self.now_s <= until_s < math.inf:
            raise ValueError(f"it is {self.now_s:g} s already: cannot run to {until_s:g} s")
        if arrivals_s.shape != work.shape or arrivals_s.ndim != 1:
            raise ValueError(f"{arrivals_s.shape} arrivals have {work.shape} pieces of work")
        if not len(arrivals_s):
            return
        if not self._weighted:
            raise ValueError("requests come before any pool has a weight")
        if not kernel.are_between(arrivals_s, self.now_s, float(until_s)):
            raise ValueError(f"arrivals are ascending times in [{self.now_s:g}, {until_s:g}) s")
        if not kernel.are_positive(work):
            raise ValueError("work is finite and above 0")

"""The replicas of a fleet, as Kubernetes and Karpenter run them.

A pool is told how many replicas to have. For each that is missing an instance is asked for in the lot that has the
fewest of what is planned there, then the fewest, then the cheapest. Where no lot has one, the pool is short: Karpenter
does not ask for an offering again for 180 s (`shortage` of the scenario), and the replica waits. A pool with too many
gives back those that serve last: first what waits, then what starts, then the newest of those that are ready.

A replica with an interruption notice serves on until `drain_s` before it is gone, and is replaced at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from holdfast.control import shortages
from holdfast.model.pools import Shortage
from holdfast.simulation.clock import Clock
from holdfast.simulation.events import Scope
from holdfast.simulation.fleet import HOUR_S, Pool
from holdfast.simulation.replica import Move, Replica, State
from holdfast.simulation.scenario import DataPlaneModel
from holdfast.simulation.supply import Supply
from holdfast.simulation.traffic import Traffic

_LEAVE_FIRST = (State.ASKED, State.PROVISIONING, State.STARTING, State.READY)

REASON = "InsufficientInstanceCapacity"


class Cluster:
    """The replicas of all pools. `changed` is called when what a controller can see of a pool has changed."""

    def __init__(
        self,
        pools: Sequence[Pool],
        supply: Supply,
        traffic: Traffic,
        clock: Clock,
        data_plane: DataPlaneModel,
        *,
        death_s: float,
        shortage_s: float,
        seed: int,
        changed: Callable[[int], None],
        short: Callable[[int], None],
    ) -> None:
        self.pools, self._supply, self._traffic, self._clock = pools, supply, traffic, clock
        self._data_plane, self._death_s, self._changed, self._short = data_plane, death_s, changed, short
        self._shortage_s = shortage_s
        self._random = np.random.default_rng(seed)
        self.replicas: list[dict[Replica, None]] = [{} for _ in pools]  # an ordered set, the oldest first
        self.desired = [0] * len(pools)
        self.standing = [[0] * len(pool.lots) for pool in pools]  # those that have an instance
        self.obtained_s: list[float | None] = [None] * len(pools)  # when an instance was last launched
        self.ghosts = [0] * len(pools)  # dead, and not yet seen to be
        self.shortages: list[tuple[Shortage, ...]] = [() for _ in pools]
        self.prices = [[lot.usd_per_h for lot in pool.lots] for pool in pools]
        self.usd = [0.0] * len(pools)
        self.replica_s = [0.0] * len(pools)
        self._settled_s = clock.now_s
        self._refused_until_s = [[-1.0] * len(pool.lots) for pool in pools]

    def begin(self, counts: Sequence[int]) -> None:
        """Replicas that are ready when time begins, whatever can be had."""
        for pool, count in enumerate(counts):
            self.desired[pool] = count
            for _ in range(count):
                replica = Replica(pool, self._clock.now_s)
                self.replicas[pool][replica] = None
                self._launch(replica, self._best_lot(pool, self._lots(pool)), instantly=True)

    def scale(self, pool: int, count: int) -> None:
        """The pool shall have so many replicas."""
        if count != self.desired[pool]:
            self.desired[pool] = count
            self.reconcile(pool)

    def reconcile(self, pool: int) -> None:
        """Ask for what is missing, give back what is too much, and launch what waits and can be had."""
        missing = self.desired[pool] - self.asked(pool)
        for _ in range(missing):
            self.replicas[pool][Replica(pool, self._clock.now_s)] = None
        if missing < 0:
            self._give_back(pool, -missing)
        self._launch_waiting(pool)
        self._changed(pool)

    def asked(self, pool: int) -> int:
        """Replicas that count towards what the pool shall have, the dead that nobody has missed yet among them."""
        return sum(replica.lasting for replica in self.replicas[pool]) + self.ghosts[pool]

    def ready(self, pool: int) -> int:
        """Replicas that take traffic, as the cluster believes."""
        return self.count(pool, State.READY) + self.ghosts[pool]

    def noticed(self, pool: int) -> list[Replica]:
        """Ready replicas with an interruption notice."""
        return [r for r in self.replicas[pool] if r.state is State.READY and r.gone_at_s is not None]

    def count(self, pool: int, *states: State) -> int:
        return sum(replica.state in states for replica in self.replicas[pool])

    def settle(self) -> None:
        """Pay what has stood since the last settlement."""
        dt_s = self._clock.now_s - self._settled_s
        self._settled_s = self._clock.now_s
        for pool, counts in enumerate(self.standing):
            self.replica_s[pool] += dt_s * sum(counts)
            hourly = sum(count * price for count, price in zip(counts, self.prices[pool], strict=True))
            self.usd[pool] += hourly * dt_s / HOUR_S

    def reprice(self, scope: Scope, factor: float) -> None:
        """From now on everything in the scope costs so many times as much."""
        self.settle()
        for number, pool in enumerate(self.pools):
            for lot in pool.lots_in(scope):
                self.prices[number][lot] *= factor

    def within(self, scope: Scope) -> list[Replica]:
        """The replicas in the scope that have an instance."""
        lots = [set(pool.lots_in(scope)) for pool in self.pools]
        return [r for mine in self.replicas for r in mine if r.state.paid and r.lot in lots[r.pool]]

    def draw(self, replicas: Sequence[Replica], share: float) -> list[Replica]:
        """A share of them at random, rounded to the nearest number."""
        count = round(len(replicas) * share)
        return [replicas[i] for i in sorted(self._random.choice(len(replicas), count, replace=False))] if count else []

    def die(self, replica: Replica) -> None:
        """The replica and its instance are gone, unannounced."""
        if replica.state is State.GONE:
            return
        served = replica.state is State.READY
        if served or self._serving(replica):
            self._traffic.kill(replica.pool, replica.number, noticed=not served)
        if served:
            # Until somebody notices, it counts as ready, and is not replaced.
            self.ghosts[replica.pool] += 1
            self._clock.after(self._data_plane.notice_s, lambda: self._traffic.notice(replica.pool, replica.number))
            self._clock.after(self._death_s, lambda: self._miss(replica.pool))
        self._leave(replica, Move.DIE)
        self.reconcile(replica.pool)

    def warn(self, replica: Replica, notice_s: float) -> None:
        """The instance of the replica will be gone when the notice is over."""
        if replica.gone_at_s is not None or not replica.state.paid or replica.state is State.DRAINING:
            return
        if replica.state is not State.READY:
            # A pod that is not ready yet is worth nothing: it is replaced, and its instance goes.
            self._leave(replica, Move.DIE)
            self.reconcile(replica.pool)
            return
        replica.gone_at_s = self._clock.now_s + notice_s
        self._clock.after(max(0.0, notice_s - self._data_plane.drain_s), lambda: self._drain_warned(replica))
        self.reconcile(replica.pool)

    def drain(self, replica: Replica) -> None:
        """The replica takes no more requests, and goes when it had time to finish those that it has."""
        if replica.state is not State.READY:
            if replica.state not in (State.DRAINING, State.GONE):
                self._leave(replica, Move.CANCEL)
            return
        replica.move(Move.RELEASE, self._clock.now_s)
        self._traffic.drain(replica.pool, replica.number)
        self._clock.after(self._data_plane.drain_s, lambda: self._end(replica))
        self._changed(replica.pool)

    def _drain_warned(self, replica: Replica) -> None:
        if replica.state is State.READY:
            self.drain(replica)

    def _end(self, replica: Replica) -> None:
        if replica.state is State.GONE:
            return
        if self._serving(replica):
            self._traffic.kill(replica.pool, replica.number, noticed=True)
        self._leave(replica, Move.END)

    def _serving(self, replica: Replica) -> bool:
        """Whether a draining replica still has requests; once it has none its number may be another's."""
        if replica.state is not State.DRAINING:
            return False
        since_s = replica.ready_s or 0.0
        others = (r for r in self.replicas[replica.pool] if r.number == replica.number and r is not replica)
        if any((other.ready_s or 0.0) > since_s for other in others):
            return False
        return bool(self._traffic.outstanding(replica.pool)[replica.number])

    def _miss(self, pool: int) -> None:
        self.ghosts[pool] -= 1
        self.reconcile(pool)

    def _give_back(self, pool: int, count: int) -> None:
        leaving = [replica for replica in self.replicas[pool] if replica.lasting]
        leaving.sort(key=lambda r: (_LEAVE_FIRST.index(r.state), -(r.ready_s or 0.0), -r.asked_s))
        for replica in leaving[:count]:
            if replica.state is State.READY:
                self.drain(replica)
            else:
                self._leave(replica, Move.CANCEL)

    def _launch_waiting(self, pool: int) -> None:
        for replica in [r for r in self.replicas[pool] if r.state is State.ASKED]:
            open_lots = [n for n in self._lots(pool) if self._refused_until_s[pool][n] <= self._clock.now_s]
            found = [n for n in open_lots if self._supply.free(pool, n, self.standing) > 0]
            if not found:
                self._be_short(pool, open_lots)
                return
            self._launch(replica, self._best_lot(pool, found))

    def _be_short(self, pool: int, refused: Sequence[int]) -> None:
        """Capacity was asked for in these lots and not had; nothing was asked where it was refused lately."""
        if not refused:
            return
        now_s = self._clock.now_s
        for lot in refused:
            self._refused_until_s[pool][lot] = now_s + self._shortage_s
        known = shortages.remembered(self.shortages[pool], now_s)
        self.shortages[pool] = shortages.record(known, self.pools[pool].name, now_s, REASON, self._shortage_s)
        self._clock.after(self._shortage_s, lambda: self.reconcile(pool))
        self._short(pool)

    def _lots(self, pool: int) -> range:
        return range(len(self.pools[pool].lots))

    def _best_lot(self, pool: int, lots: Sequence[int]) -> int:
        standing, now_s = self.standing[pool], self._clock.now_s

        def rank(lot: int) -> tuple[bool, int, float, int]:
            beyond = standing[lot] >= self.pools[pool].lot_planned_at(lot, now_s)
            return beyond, standing[lot], self.prices[pool][lot], lot

        return min(lots, key=rank)

    def _launch(self, replica: Replica, lot: int, *, instantly: bool = False) -> None:
        self.settle()
        replica.lot = lot
        replica.move(Move.LAUNCH, self._clock.now_s)
        self.obtained_s[replica.pool] = self._clock.now_s
        self.standing[replica.pool][lot] += 1
        start = self.pools[replica.pool].cold_start
        stretch = 1 + start.spread * self._random.uniform(-1, 1)
        if instantly:
            self._join(replica, 0.0, instantly=True)
        else:
            self._clock.after(start.node_s * stretch, lambda: self._join(replica, start.starting_s * stretch))

    def _join(self, replica: Replica, starting_s: float, *, instantly: bool = False) -> None:
        if replica.state is not State.PROVISIONING:
            return
        replica.move(Move.JOIN, self._clock.now_s)
        if instantly:
            self._pass(replica)
        else:
            self._clock.after(starting_s, lambda: self._pass(replica))

    def _pass(self, replica: Replica) -> None:
        if replica.state is not State.STARTING:
            return
        replica.move(Move.PASS, self._clock.now_s)
        replica.number = self._traffic.add(replica.pool)
        self._changed(replica.pool)

    def _leave(self, replica: Replica, move: Move) -> None:
        if replica.state.paid:
            self.settle()
            self.standing[replica.pool][replica.lot] -= 1
        replica.move(move, self._clock.now_s)
        del self.replicas[replica.pool][replica]
        self._changed(replica.pool)

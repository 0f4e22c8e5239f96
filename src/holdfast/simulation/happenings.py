"""Puts the events of a scenario on the clock, and says what each does to the cluster, the shell and the supply."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from holdfast.simulation.clock import Clock
from holdfast.simulation.cluster import Cluster
from holdfast.simulation.events import NOTICE_S, Beyond, Crash, Event, Limit, Loss, Outage, PriceChange, Reclaim, Scope
from holdfast.simulation.replica import Replica
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.supply import ENDLESS, Bound, Change, Supply


class Controller(Protocol):
    """What events do to whoever controls the fleet."""

    def crash(self, for_s: float) -> None: ...

    def api(self, works: bool) -> None: ...

    def metrics(self, work: bool) -> None: ...

    def repriced(self, pool: int, factor: float) -> None: ...


@dataclass(frozen=True)
class World:
    """What events act on. tell: (pool or "", text, whether capacity went) of everything that happens."""

    clock: Clock
    cluster: Cluster
    supply: Supply
    controller: Controller
    tell: Callable[[str, str, bool], None]

    def schedule(self, scenario: Scenario, changes: Iterable[Change]) -> None:
        """Everything that will happen."""
        for number, event in enumerate(scenario.spec.events):
            self._schedule(number, event)
        beyond = scenario.spec.supply.beyond if scenario.spec.supply else Beyond.KEEP
        for change in changes:
            self.clock.at(change.at_s, functools.partial(self._change, change, beyond))

    def _schedule(self, number: int, event: Event) -> None:
        at = self.clock.at
        if limit := event.limit:
            at(limit.from_s, lambda: self._limit(number, limit))
            if limit.to_s is not None:
                at(limit.to_s, lambda: self._lift(number, limit))
        elif loss := event.loss:
            at(loss.at_s, lambda: self._lose(loss))
        elif reclaim := event.reclaim:
            at(reclaim.at_s, lambda: self._reclaim(reclaim))
        elif crash := event.crash:
            at(crash.at_s, lambda: self._crash(crash))
        elif price := event.price:
            at(price.at_s, lambda: self._reprice(price))
        elif outage := event.outage:
            at(outage.from_s, lambda: self._outage(outage, works=False))
            if outage.to_s is not None:
                at(outage.to_s, lambda: self._outage(outage, works=True))
        elif surge := event.surge:
            text = f"the load is multiplied by {surge.factor:g}"
            at(surge.from_s, lambda: self.tell("", text, False))

    def _limit(self, number: int, limit: Limit) -> None:
        standing = self.cluster.within(limit)
        most = round((limit.share or 0.0) * len(standing)) if limit.replicas is None else limit.replicas
        self.supply.bound(number, self._bound(limit, most))
        self.tell(_pool(limit), f"{limit} is limited to {most} replicas", True)
        self._take(standing, len(standing) - most, limit.beyond)

    def _lift(self, number: int, limit: Limit) -> None:
        self.supply.unbound(number)
        self.tell(_pool(limit), f"the limit of {limit} is lifted", False)

    def _change(self, change: Change, beyond: Beyond) -> None:
        standing = self.cluster.within(change.scope)
        self.supply.bound(change.scope, self._bound(change.scope, change.available))
        fewer = len(standing) > change.available
        if fewer:
            self.tell(_pool(change.scope), f"{change.scope} falls to {change.available} replicas", True)
        self._take(standing, len(standing) - change.available, beyond)

    def _bound(self, scope: Scope, most: int) -> Bound:
        lots = ((number, lot) for number, pool in enumerate(self.cluster.pools) for lot in pool.lots_in(scope))
        return Bound(frozenset(lots), min(most, ENDLESS))

    def _take(self, standing: list[Replica], count: int, beyond: Beyond) -> None:
        if count <= 0 or beyond is Beyond.KEEP:
            return
        for replica in self.cluster.draw(standing, count / len(standing)):
            if beyond is Beyond.DRAIN:
                self.cluster.drain(replica)
            elif beyond is Beyond.RECLAIM:
                self.cluster.warn(replica, NOTICE_S)
            else:
                self.cluster.die(replica)
        for pool in sorted({replica.pool for replica in standing}):
            self.cluster.reconcile(pool)

    def _lose(self, loss: Loss) -> None:
        dying = self.cluster.draw(self.cluster.within(loss), loss.share)
        self.tell(_pool(loss), f"{len(dying)} replicas of {loss} die", True)
        for replica in dying:
            self.cluster.die(replica)

    def _reclaim(self, reclaim: Reclaim) -> None:
        leaving = self.cluster.draw(self.cluster.within(reclaim), reclaim.share)
        self.tell(_pool(reclaim), f"{len(leaving)} replicas of {reclaim} get notice of {reclaim.notice_s:g} s", True)
        for replica in leaving:
            self.cluster.warn(replica, reclaim.notice_s)

    def _crash(self, crash: Crash) -> None:
        self.tell("", f"the controller crashes for {crash.for_s:g} s", False)
        self.controller.crash(crash.for_s)

    def _outage(self, outage: Outage, *, works: bool) -> None:
        self.tell("", f"the {outage.of} {'are back' if works else 'cannot be read'}", False)
        (self.controller.api if outage.of == "api" else self.controller.metrics)(works)

    def _reprice(self, price: PriceChange) -> None:
        self.cluster.reprice(price, price.factor)
        self.tell(_pool(price), f"the price of {price} is multiplied by {price.factor:g}", False)
        for number, pool in enumerate(self.cluster.pools):
            lots = pool.lots_in(price)
            if lots:
                # Merit goes by the mean price of a pool's lots, as the plan's does.
                mean = sum(lot.usd_per_h for lot in pool.lots)
                after = mean + (price.factor - 1) * sum(pool.lots[lot].usd_per_h for lot in lots)
                self.controller.repriced(number, after / mean)


def _pool(scope: Scope) -> str:
    return scope.unit or ""

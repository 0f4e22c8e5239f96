"""How many replicas each pool could have had at most, whatever was done: from the fleet and the scenario alone.

A bound that takes replicas away holds from when the last of them must be gone. One that leaves what stands (`keep`)
bounds nothing here, for who had known could have bought before. What a scenario kills may be bought again at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from holdfast.simulation.events import NOTICE_S, Beyond, Scope
from holdfast.simulation.fleet import Pool
from holdfast.simulation.scenario import Scenario
from holdfast.simulation.supply import ENDLESS, Bound, Change, Supply

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Span:
    """From one moment to another no more than `most` replicas can serve in the scope; key: of the bound."""

    key: object
    scope: Scope
    from_s: float
    to_s: float
    most: int


def most_replicas(pools: Sequence[Pool], scenario: Scenario, changes: Sequence[Change], spans_s: Floats) -> Floats:
    """Replicas (pools, periods) that each pool can have had ready, on average over periods of these lengths."""
    ends_s = np.cumsum(spans_s)
    spans = [*_limits(pools, scenario), *_changes(scenario, changes)]
    steps = sorted({0.0, *(t_s for span in spans for t_s in (span.from_s, span.to_s) if t_s < ends_s[-1])})
    beginning, ending = _at([(span.from_s, span) for span in spans]), _at([(span.to_s, span) for span in spans])
    supply = Supply()
    levels = []
    for t_s in steps:
        for span in ending.get(t_s, ()):
            supply.unbound(span.key)
        for span in beginning.get(t_s, ()):
            supply.bound(span.key, _bound(pools, span))
        levels.append([min(_most(pool), supply.allowed(number, len(pool.lots))) for number, pool in enumerate(pools)])
    bounded = np.array([_averages(steps, list(level), ends_s) for level in zip(*levels, strict=True)])
    return np.asarray(bounded + _leaving(pools, scenario, ends_s))


def lowest_prices(pools: Sequence[Pool], scenario: Scenario, spans_s: Floats) -> Floats:
    """USD/h (pools, periods) of a replica in the cheapest lot of its pool, the lowest within each period."""
    ends_s = np.cumsum(spans_s)
    changes = sorted((e.price for e in scenario.spec.events if e.price is not None), key=lambda change: change.at_s)
    prices = [[lot.usd_per_h for lot in pool.lots] for pool in pools]
    found = np.full((len(pools), len(ends_s)), [[min(each)] for each in prices], dtype=float)
    for change in changes:
        for number, pool in enumerate(pools):
            for lot in pool.lots_in(change):
                prices[number][lot] *= change.factor
            during = int(np.searchsorted(ends_s, change.at_s, side="right"))
            lowest = min(prices[number])
            found[number, during : during + 1] = np.minimum(found[number, during : during + 1], lowest)
            found[number, during + 1 :] = lowest
    return found


def _at(moments: Sequence[tuple[float, _Span]]) -> dict[float, list[_Span]]:
    found: dict[float, list[_Span]] = {}
    for t_s, span in moments:
        found.setdefault(t_s, []).append(span)
    return found


def _most(pool: Pool) -> int:
    """The replicas that a pool may have: what it begins with counts even where its maximum is less."""
    return max(pool.max_replicas, pool.planned_at(0.0))


def _limits(pools: Sequence[Pool], scenario: Scenario) -> Iterator[_Span]:
    for number, event in enumerate(scenario.spec.events):
        limit = event.limit
        if limit is None or limit.beyond is Beyond.KEEP:
            continue
        most = limit.replicas
        if most is None:
            meant = sum(_most(pool) for pool in pools if pool.lots_in(limit))
            most = math.ceil((limit.share or 0.0) * meant)
        from_s = limit.from_s + _grace_s(limit.beyond, scenario)
        to_s = math.inf if limit.to_s is None else limit.to_s
        if from_s < to_s:
            yield _Span(number, limit, from_s, to_s, most)


def _changes(scenario: Scenario, changes: Sequence[Change]) -> Iterator[_Span]:
    """Of each scope what the file says, a fall only once its grace is over."""
    beyond = scenario.spec.supply.beyond if scenario.spec.supply else Beyond.KEEP
    if beyond is Beyond.KEEP:
        return
    grace_s = _grace_s(beyond, scenario)
    for scope in dict.fromkeys(change.scope for change in changes):
        mine = [change for change in changes if change.scope == scope]
        edges = sorted({t_s for change in mine for t_s in (change.at_s, change.at_s + grace_s)})
        for from_s, to_s in zip(edges, [*edges[1:], math.inf], strict=True):
            if from_s >= mine[0].at_s + grace_s:
                yield _Span((scope, from_s), scope, from_s, to_s, _highest(mine, from_s - grace_s, from_s))


def _highest(changes: Sequence[Change], from_s: float, to_s: float) -> int:
    """The most that was available at any time between, both ends included."""
    standing = [change.available for change in changes if change.at_s <= from_s][-1:]
    return max([*standing, *(change.available for change in changes if from_s < change.at_s <= to_s)])


def _grace_s(beyond: Beyond, scenario: Scenario) -> float:
    """How long what is taken away may still serve."""
    drain_s = scenario.spec.data_plane.drain_s
    return {Beyond.LOSE: 0.0, Beyond.DRAIN: drain_s, Beyond.RECLAIM: max(NOTICE_S, drain_s)}[beyond]


def _bound(pools: Sequence[Pool], span: _Span) -> Bound:
    lots = ((number, lot) for number, pool in enumerate(pools) for lot in pool.lots_in(span.scope))
    return Bound(frozenset(lots), min(span.most, ENDLESS))


def _leaving(pools: Sequence[Pool], scenario: Scenario, ends_s: Floats) -> Floats:
    """Replicas with an interruption notice, which serve beside those that replace them."""
    found = np.zeros((len(pools), len(ends_s)))
    for event in scenario.spec.events:
        reclaim = event.reclaim
        if reclaim is None:
            continue
        until_s = reclaim.at_s + max(reclaim.notice_s, scenario.spec.data_plane.drain_s)
        for number, pool in enumerate(pools):
            if pool.lots_in(reclaim):
                level = math.ceil(reclaim.share * _most(pool))
                found[number] += _averages([0.0, reclaim.at_s, until_s], [0, level, 0], ends_s)
    return found


def _averages(steps: Sequence[float], levels: Sequence[float], ends_s: Floats) -> Floats:
    """Of a function that has each level from its step on, over the periods that end so."""
    edges = np.append(steps, max(float(ends_s[-1]), steps[-1]))
    areas = np.append(0.0, np.cumsum(np.diff(edges) * np.asarray(levels, dtype=float)))
    bounds_s = np.append(0.0, ends_s)
    return np.asarray(np.diff(np.interp(bounds_s, edges, areas)) / np.diff(bounds_s))

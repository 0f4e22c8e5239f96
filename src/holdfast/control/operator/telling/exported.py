"""The metrics of `model.metrics.OPERATOR`, as prometheus_client collects them.

Looks put frozen figures here; a scrape, in a thread of its own, reads them. Only the leader exports fleets.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from holdfast.control.operator.account import Account, Result
from holdfast.control.operator.reasons import Type
from holdfast.control.operator.telling import said
from holdfast.control.operator.telling.status import cost_usd_per_h
from holdfast.model import metrics
from holdfast.model.metrics import Kind, Metric
from holdfast.model.pools import RoutingMode
from holdfast.model.status import FleetStatus

_NOT_COUNTED = (0,) * (len(metrics.REACTION.buckets_s) + 1)


@dataclass(frozen=True)
class _Fleet:
    """What is exported of one fleet. reactions: by bucket, the last above all bounds; they are not cumulative here."""

    status: FleetStatus
    cost_usd_per_h: float
    observed_s: float | None = None
    decisions: Mapping[Result, int] = field(default_factory=dict)
    shortages: Mapping[str, int] = field(default_factory=dict)
    reactions: tuple[int, ...] = _NOT_COUNTED
    reactions_s: float = 0.0


class Exported(Collector):
    """What the operator exports. Called by one thread, collected by any."""

    def __init__(self) -> None:
        self._fleets: dict[tuple[str, str], _Fleet] = {}
        self._leads = False

    def lead(self, leads: bool) -> None:
        """From now on. Who no longer leads forgets all fleets: another counts them from 0."""
        self._leads = leads
        if not leads:
            self._fleets = {}

    def look(self, account: Account, before: FleetStatus | None, after: FleetStatus) -> None:
        """A look at a fleet, and the statuses before and after it; of who does not lead (any more) it is nothing."""
        if not self._leads:
            return
        key = account.namespace, account.name
        known = self._fleets.get(key) or _Fleet(after, 0.0)
        decisions, shortages = dict(known.decisions), dict(known.shortages)
        if account.result is not None:
            decisions[account.result] = decisions.get(account.result, 0) + 1
        for pool in said.began(before, after):
            shortages[pool.unit] = shortages.get(pool.unit, 0) + 1
        self._fleets[key] = replace(
            known,
            status=after,
            cost_usd_per_h=cost_usd_per_h(account),
            observed_s=_observed_s(account) or known.observed_s,
            decisions=decisions,
            shortages=shortages,
        )

    def reacted(self, namespace: str, name: str, reaction_s: float) -> None:
        """A shortage of the fleet was answered by patched weights after so long; nothing of a fleet that is gone."""
        known = self._fleets.get((namespace, name))
        if known is None:
            return
        bucket = bisect.bisect_left(metrics.REACTION.buckets_s, reaction_s)
        reactions = tuple(count + (place == bucket) for place, count in enumerate(known.reactions))
        self._fleets[namespace, name] = replace(known, reactions=reactions, reactions_s=known.reactions_s + reaction_s)

    def forget(self, namespace: str, name: str) -> None:
        """The fleet is deleted, whether or not it was ever looked at."""
        self._fleets.pop((namespace, name), None)

    def collect(self) -> Iterator[Family]:
        leading = _gauge(metrics.LEADING)
        leading.add_metric((), float(self._leads))
        fleets = dict(self._fleets)
        yield from _fleets(fleets)
        yield from _pools(fleets)
        yield _reactions(fleets)
        yield leading


def _observed_s(account: Account) -> float | None:
    """When the oldest of what was seen is from; None where something was not."""
    seen = account.observation
    if seen is None or not seen.pools_known or not seen.rate_known:
        return None
    return account.now_s - max(seen.pools_age_s, seen.rate_age_s)


def _fleets(fleets: Mapping[tuple[str, str], _Fleet]) -> Iterator[Family]:
    mode, told = _gauge(metrics.FLEET_MODE), _gauge(metrics.FLEET_CONDITION)
    cost, observed = _gauge(metrics.FLEET_COST), _gauge(metrics.FLEET_OBSERVED)
    decisions = _counter(metrics.DECISIONS)
    for key, fleet in fleets.items():
        for known in RoutingMode:
            mode.add_metric((*key, known.value), float(fleet.status.mode is known))
        true = {one.type for one in fleet.status.conditions if one.status == "True"}
        for type_ in Type:
            told.add_metric((*key, type_.value), float(type_.value in true))
        cost.add_metric(key, fleet.cost_usd_per_h)
        if fleet.observed_s is not None:
            observed.add_metric(key, fleet.observed_s)
        for result in Result:
            decisions.add_metric((*key, result.value), fleet.decisions.get(result, 0))
    yield from (mode, told, cost, observed, decisions)


def _pools(fleets: Mapping[tuple[str, str], _Fleet]) -> Iterator[Family]:
    ready, desired = _gauge(metrics.POOL_READY), _gauge(metrics.POOL_DESIRED)
    weight, shortage = _gauge(metrics.POOL_WEIGHT), _gauge(metrics.POOL_SHORTAGE)
    shortages = _counter(metrics.POOL_SHORTAGES)
    for key, fleet in fleets.items():
        for pool in fleet.status.pools:
            labels = (*key, pool.unit)
            ready.add_metric(labels, pool.ready_replicas)
            desired.add_metric(labels, pool.desired_replicas)
            weight.add_metric(labels, pool.weight)
            shortage.add_metric(labels, float(pool.shortage))
            shortages.add_metric(labels, fleet.shortages.get(pool.unit, 0))
    yield from (ready, desired, weight, shortage, shortages)


def _reactions(fleets: Mapping[tuple[str, str], _Fleet]) -> Family:
    bounds = (*map(floatToGoString, metrics.REACTION.buckets_s), "+Inf")
    family = HistogramMetricFamily(metrics.REACTION.name, metrics.REACTION.text, labels=metrics.REACTION.labels)
    for key, fleet in fleets.items():
        below, buckets = 0, []
        for bound, count in zip(bounds, fleet.reactions, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric(key, buckets, fleet.reactions_s)
    return family


def _gauge(metric: Metric) -> GaugeMetricFamily:
    assert metric.kind is Kind.GAUGE
    return GaugeMetricFamily(metric.name, metric.text, labels=metric.labels)


def _counter(metric: Metric) -> CounterMetricFamily:
    assert metric.kind is Kind.COUNTER
    return CounterMetricFamily(metric.name.removesuffix("_total"), metric.text, labels=metric.labels)

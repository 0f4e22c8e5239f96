"""What a fleet carries, how near it is to its SLO and to its limits, and how its traffic is shared out."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.observing import capacity, objectives, series
from holdfast.manifests.observing.panels import Line, Panel, Row
from holdfast.manifests.placement import Placement
from holdfast.model import metrics
from holdfast.model.fleet import InferenceFleet

_POOL = "{{pool}}"
_OPERATOR = "Comes with holdfast's operator."


def rows(placed: Sequence[Placement]) -> tuple[Row, ...]:
    fleet = placed[0].fleet
    return (
        Row("Traffic", _traffic(fleet)),
        Row("SLO", _slo(placed)),
        Row("Capacity", _capacity(placed)),
        Row("Steering", _steering(fleet)),
    )


def _traffic(fleet: InferenceFleet) -> tuple[Panel, ...]:
    where = series.labels(fleet)
    share = f"{series.select(capacity.REQUESTS, **where)} / ignoring(pool) group_left sum without (pool) "
    return (
        Panel("Requests completed, by pool", "reqps", (Line(series.select(capacity.REQUESTS, **where), _POOL),)),
        Panel(
            "Share of the requests",
            "percentunit",
            (Line(f"{share}({series.select(capacity.REQUESTS, **where)})", _POOL),),
        ),
        Panel(
            "Weights",
            "short",
            (Line(series.of_operator(metrics.POOL_WEIGHT, fleet), _POOL),),
            f"As applied. {_OPERATOR}",
        ),
    )


def _slo(placed: Sequence[Placement]) -> tuple[Panel, ...]:
    fleet = placed[0].fleet
    where, bounds = series.labels(fleet), objectives.objectives(placed)
    bad = tuple(
        Line(series.select(f"{objectives.BAD}{window}", **where), f"{{{{objective}}}}, {window}")
        for window in ("5m", "1h")
    )
    found = [Panel("Requests that miss an objective", "percentunit", bad, "As the servers see it.")]
    averages = [objective for objective in bounds if objective.budget is None]
    if averages:
        mean = series.select(f"{objectives.MEAN}5m", **where)
        found.append(Panel("Means that the SLO bounds", "s", (Line(mean, "{{objective}}"), *map(_bound, averages))))
    shares = [objective for objective in bounds if objective.budget is not None]
    if shares:
        found.append(
            Panel("Percentiles that the SLO bounds", "s", tuple(_quantile(placed, objective) for objective in shares))
        )
    return tuple(found)


def _bound(objective: objectives.Objective) -> Line:
    return Line(f"vector({objective.bound_s:.6g})", f"bound of {objective.name}")


def _quantile(placed: Sequence[Placement], objective: objectives.Objective) -> Line:
    assert objective.budget is not None
    pools = objectives.measured(placed, objective)
    buckets = " or ".join(
        f"rate({one}[5m])" for one in series.of_pools(pools, f"{objective.histogram}_bucket").split(" or ")
    )
    # Servers of different frameworks have different buckets, which do not add up: each pool for itself.
    query = f"histogram_quantile({1 - objective.budget:.6g}, sum by (le, job) ({buckets}))"
    return Line(query, f"{objective.words}, {{{{job}}}}")


def _capacity(placed: Sequence[Placement]) -> tuple[Panel, ...]:
    fleet = placed[0].fleet
    where = series.labels(fleet)
    target = fleet.spec.capacity.utilization_target
    refused = "|".join(placement.node_pool for placement in placed)
    return (
        Panel(
            "Replicas that answer",
            "short",
            (Line(series.select(capacity.REPLICAS, **where), _POOL),),
            "Servers that answer Prometheus.",
        ),
        Panel(
            "In use of what they hold",
            "percentunit",
            (
                Line(series.select(capacity.UTILIZATION, **where), "fleet"),
                Line(f"vector({target:.6g})", "planned"),
            ),
            "Requests completed over replicas times their breaking point, of the plan.",
        ),
        Panel(
            "Launches refused for want of capacity",
            "short",
            (
                Line(
                    "sum by (nodepool) (increase(karpenter_nodeclaims_disrupted_total"
                    f'{{reason="insufficient_capacity",nodepool=~"{refused}"}}[10m]))',
                    "{{nodepool}}",
                ),
            ),
            "In 10 minutes, by Karpenter's counter.",
        ),
    )


def _steering(fleet: InferenceFleet) -> tuple[Panel, ...]:
    reaction = f"{metrics.REACTION.name}_bucket"
    buckets = f"sum by (le) (rate({series.select(reaction, **series.labels(fleet))}[1h]))"
    return (
        Panel("Mode", "bool_yes_no", (Line(series.of_operator(metrics.FLEET_MODE, fleet), "{{mode}}"),), _OPERATOR),
        Panel("Shortages", "bool_yes_no", (Line(series.of_operator(metrics.POOL_SHORTAGE, fleet), _POOL),), _OPERATOR),
        Panel(
            "Cost per hour", "currencyUSD", (Line(series.of_operator(metrics.FLEET_COST, fleet), "USD/h"),), _OPERATOR
        ),
        Panel(
            "Shortage to weights, p99 of an hour",
            "s",
            (Line(f"histogram_quantile(0.99, {buckets})", "p99"),),
            _OPERATOR,
        ),
    )

"""KEDA trigger on CloudWatch: what the load balancer counts for each target of a pool's target group.

`RequestCountPerTarget` is a mean over the targets already, though its only statistic is Sum (Elastic Load Balancing
user guide, "CloudWatch metrics for your Application Load Balancer"), so the trigger compares it as it is (`Value`).

The metric's dimension ends in an id that AWS makes up, so it is searched for by the target group's name. For Gateway
API that is ours. For an Ingress the controller makes it of eight letters and digits of the namespace, eight of the
Service, and a hash that nobody knows beforehand (pkg/ingress/model_build_target_group.go, v3.5.0); pools that begin
with the same eight are refused. Where two target groups are found all the same (a second cluster with the same fleet)
the higher count scales both.

Keys and arithmetic: keda.sh/docs/2.20/scalers/aws-cloudwatch and pkg/scalers/aws_cloudwatch_scaler.go, v2.20.2. KEDA
takes the newest datapoint of the window that ends `metricEndTimeOffset` ago, cut to whole periods: the minute that is
still being counted is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.routing import target_group
from holdfast.manifests.scaling import bounds, queries
from holdfast.model.errors import InputError
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import ScalingTarget

_OFFSET_S = 60
_COLLECTED = 3
"""Periods that are looked back on: KEDA's documentation asks for two or three."""

_KEPT = 8
"""Letters and digits of a name that the controller keeps in a target group's."""


def check(placed: Sequence[Placement]) -> None:
    """Raises InputError where CloudWatch cannot tell the pools apart."""
    fleet = placed[0].fleet
    if fleet.spec.cluster.cascade is not None or fleet.spec.cluster.kv_aware_routing:
        raise InputError(
            "CloudWatch counts requests by target group, and behind a cascade or kvAwareRouting all pools are in one",
            where="spec.cluster.scaler",
            mend="set scaler: keda-prometheus",
        )
    if fleet.spec.data_plane is not DataPlane.ALB:
        return
    begins: dict[str, str] = {}
    for service in sorted({_service(placement) for placement in placed}):
        kept = _kept(service)
        alike = [other for other in begins if other.startswith(kept) or kept.startswith(other)]
        if alike:
            raise InputError(
                f"CloudWatch cannot tell the target groups of {begins[alike[0]]} and {service} apart: the load "
                f"balancer controller keeps {_KEPT} letters and digits of a Service's name in theirs",
                where="spec.cluster.scaler",
                mend="shorten the fleet's name or rename the units, set dataPlane: gateway-api, or scaler: "
                "keda-prometheus",
            )
        begins[kept] = service


def triggers(
    placement: Placement, scaled: ScaleTarget, authentication: str, placed: Sequence[Placement]
) -> list[Object]:
    """The pool's trigger. Raises InputError where the plan has no target for what an ALB counts."""
    queries.check(placement.unit.name, placement.pool.autoscaling)
    target = _target(placement)
    period_s = int(target.period_s)
    return [
        {
            "type": "aws-cloudwatch",
            "name": target.name,
            "metricType": "Value",
            "authenticationRef": {"name": authentication},
            "metadata": {
                "awsRegion": placement.fleet.spec.region,
                "expression": _expression(placement, target),
                "targetMetricValue": f"{_value(placement, placed):.6g}",
                "minMetricValue": "0",
                "metricStatPeriod": str(period_s),
                "metricCollectionTime": str(_COLLECTED * period_s),
                "metricEndTimeOffset": str(_OFFSET_S),
                # As for Prometheus: without a count the fallback holds, where there are replicas to be counted.
                "ignoreNullValues": "true" if bounds.of(placement, scaled).least == 0 else "false",
            },
        }
    ]


def _target(placement: Placement) -> ScalingTarget:
    for target in placement.pool.autoscaling.targets:
        if target.system == "cloudwatch":
            break
    else:
        raise InputError(f"the plan has no CloudWatch target for pool {placement.unit.name}", mend="plan anew")
    if target.statistic != "sum" or target.period_s < 60 or target.period_s % 60:
        raise InputError(
            f"the CloudWatch target of pool {placement.unit.name} is made by {target.statistic} over "
            f"{target.period_s:g} s, and an ALB's metrics are sums over whole minutes",
            mend="plan anew",
        )
    return target


def _value(placement: Placement, placed: Sequence[Placement]) -> float:
    """The target of one server; where pools share a target group, the mean over the planned replicas of all.

    The count is a mean over all of the targets, so that they grow and shrink together: the pools of a group, and the
    prefill servers of a pool with the decode servers, which alone are targets.
    """
    sharing = [other for other in placed if _service(other) == _service(placement)]
    replicas = sum(other.pool.replicas for other in sharing)
    if len(sharing) == 1 or replicas == 0:
        return _target(placement).value / placement.scale_target.servers_per_replica
    return sum(other.pool.replicas * _target(other).value for other in sharing) / replicas


def _expression(placement: Placement, target: ScalingTarget) -> str:
    namespace, metric = target.metric.split(" ")
    schema = f"{{{namespace},TargetGroup}}"
    return f"MAX(SEARCH('{schema} MetricName=\"{metric}\" {target_group_of(placement)}', 'Sum', {target.period_s:g}))"


def target_group_of(placement: Placement) -> str:
    """How the dimension of the pool's target group begins, in whole tokens (CloudWatch user guide, "search expression
    syntax"): what follows is a hash, or an id."""
    if placement.fleet.spec.data_plane is DataPlane.GATEWAY_API:
        return f"targetgroup/{target_group.name(placement.fleet, _service(placement))}"
    return f"targetgroup/k8s-{_kept(placement.fleet.metadata.namespace)}-{_kept(_service(placement))}"


def _service(placement: Placement) -> str:
    return placement.shared_service or placement.name


def _kept(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]", "", name)[:_KEPT]

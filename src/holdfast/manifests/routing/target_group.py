"""TargetGroupConfiguration: what an Ingress says in annotations of the Service, for Gateway API on an ALB."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import health
from holdfast.manifests.serving import drain, engine


def manifest(placement: Placement) -> Manifest:
    """Pod addresses as targets (the default is nodes), the pool's health check and its drain."""
    delay_s = drain.deregistration_delay_s(placement.fleet.spec.slo)
    configuration = {
        "apiVersion": "gateway.k8s.aws/v1",
        "kind": "TargetGroupConfiguration",
        "metadata": metadata.of_pool(placement),
        "spec": {
            "targetReference": {"kind": "Service", "name": placement.name},
            "defaultConfiguration": {
                "targetType": "ip",
                "healthCheckConfig": _health_check(placement),
                "targetGroupAttributes": [{"key": "deregistration_delay.timeout_seconds", "value": str(delay_s)}],
            },
        },
    }
    return Manifest(f"{placement.folder}/target-group.yaml", configuration)


def _health_check(placement: Placement) -> Object:
    return {
        "healthCheckPath": engine.readiness_path(placement.unit),
        "healthCheckInterval": health.INTERVAL_S,
        "healthCheckTimeout": health.TIMEOUT_S,
        "healthyThresholdCount": health.HEALTHY,
        "unhealthyThresholdCount": health.UNHEALTHY,
        "matcher": {"httpCode": "200"},
    }

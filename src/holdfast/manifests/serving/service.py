"""Service: a pool's pods as one target group."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.placement import Placement
from holdfast.manifests.routing import health
from holdfast.manifests.serving import drain, engine, labels
from holdfast.model.fleet import DataPlane

PORT = 80


def manifest(placement: Placement) -> Manifest:
    """The pool's Service. For an ALB it carries its target group's settings, which differ by framework."""
    described = metadata.of_pool(placement)
    if placement.fleet.spec.data_plane is DataPlane.ALB:
        described["annotations"] |= _target_group(placement)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": described,
        "spec": {
            "type": "ClusterIP",
            "selector": labels.of_targets(placement),
            # By number: a name would be looked for among containers, and a decode pod's proxy is an init container.
            "ports": [{"name": "http", "port": PORT, "targetPort": engine.PORT, "protocol": "TCP"}],
        },
    }
    return Manifest(f"{placement.folder}/service.yaml", service)


def _target_group(placement: Placement) -> dict[str, str]:
    delay_s = drain.deregistration_delay_s(placement.fleet.spec.slo)
    settings = {
        "target-type": "ip",
        "healthcheck-path": engine.readiness_path(placement.unit),
        "healthcheck-interval-seconds": str(health.INTERVAL_S),
        "healthcheck-timeout-seconds": str(health.TIMEOUT_S),
        "healthy-threshold-count": str(health.HEALTHY),
        "unhealthy-threshold-count": str(health.UNHEALTHY),
        "success-codes": "200",
        "target-group-attributes": f"deregistration_delay.timeout_seconds={delay_s}",
    }
    return {f"alb.ingress.kubernetes.io/{key}": value for key, value in settings.items()}

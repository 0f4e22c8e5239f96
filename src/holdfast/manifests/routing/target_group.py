"""Target groups: annotations of a Service for an Ingress, a TargetGroupConfiguration for Gateway API on an ALB."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.routing import health
from holdfast.manifests.serving import drain
from holdfast.model.fleet import InferenceFleet, Slo

_LONGEST_NAME = 32
"""Characters of a target group's name (API_CreateTargetGroup of Elastic Load Balancing)."""


@dataclass(frozen=True)
class TargetGroup:
    """What a load balancer must know of the pods behind a Service.

    health_path: what a ready pod answers with 200.
    drain_s:     how long requests in flight keep a target that is going.
    health_port: of the health check, where it is not the one that requests go to.
    least_outstanding: whether the target with the fewest requests in flight is next, instead of one after the other.
    """

    health_path: str
    drain_s: int
    health_port: int | None = None
    least_outstanding: bool = False

    @classmethod
    def of(
        cls, slo: Slo, health_path: str, health_port: int | None = None, *, least_outstanding: bool = False
    ) -> TargetGroup:
        """The target group of servers that answer within the SLO."""
        return cls(health_path, drain.deregistration_delay_s(slo), health_port, least_outstanding)

    @property
    def attributes(self) -> dict[str, str]:
        given = {"deregistration_delay.timeout_seconds": str(self.drain_s)}
        if self.least_outstanding:
            given["load_balancing.algorithm.type"] = "least_outstanding_requests"
        return given

    @property
    def annotations(self) -> dict[str, str]:
        """Annotations of the Service. Pod addresses are targets; weights need no stickiness, which would delay them."""
        settings = {
            "target-type": "ip",
            "healthcheck-path": self.health_path,
            "healthcheck-interval-seconds": str(health.INTERVAL_S),
            "healthcheck-timeout-seconds": str(health.TIMEOUT_S),
            "healthy-threshold-count": str(health.HEALTHY),
            "unhealthy-threshold-count": str(health.UNHEALTHY),
            "success-codes": "200",
            "target-group-attributes": ",".join(f"{key}={value}" for key, value in self.attributes.items()),
        }
        if self.health_port is not None:
            settings["healthcheck-port"] = str(self.health_port)
        return {f"alb.ingress.kubernetes.io/{key}": value for key, value in settings.items()}

    def configuration(self, path: str, metadata: Object, service: str, name: str | None = None) -> Manifest:
        """The TargetGroupConfiguration of that Service; `name` is the target group's own, where it must be known."""
        check = {
            "healthCheckPath": self.health_path,
            "healthCheckInterval": health.INTERVAL_S,
            "healthCheckTimeout": health.TIMEOUT_S,
            "healthyThresholdCount": health.HEALTHY,
            "unhealthyThresholdCount": health.UNHEALTHY,
            "matcher": {"httpCode": "200"},
        }
        if self.health_port is not None:
            check["healthCheckPort"] = str(self.health_port)
        default: Object = {
            # The default is the nodes.
            "targetType": "ip",
            "healthCheckConfig": check,
            "targetGroupAttributes": [{"key": key, "value": value} for key, value in self.attributes.items()],
        }
        if name is not None:
            default["targetGroupName"] = name
        configuration = {
            "apiVersion": "gateway.k8s.aws/v1",
            "kind": "TargetGroupConfiguration",
            "metadata": metadata,
            "spec": {"targetReference": {"kind": "Service", "name": service}, "defaultConfiguration": default},
        }
        return Manifest(path, configuration)


def name(fleet: InferenceFleet, service: str) -> str:
    """A name that no other target group of the account and region has, by cluster, namespace and Service."""
    parts = (fleet.spec.cluster.name, fleet.metadata.namespace, service)
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]
    return f"{_begins(service)}-{digest}"


def begins(fleet: InferenceFleet) -> str:
    """What `name` begins with for all Services of a fleet, whose names begin with the fleet's."""
    return _begins(fleet.metadata.name)


def _begins(service: str) -> str:
    return service[: _LONGEST_NAME - 9].rstrip("-")

"""What rendering must know of the cluster that a plan goes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cluster:
    """The cluster's own facts, which no fleet document states.

    name:            the EKS cluster. Subnets and security groups are found by the tag `karpenter.sh/discovery`
                     with this value, and nodes take the role `KarpenterNodeRole-<name>`, as Karpenter's
                     getting-started guide sets both up (karpenter.sh/docs/getting-started).
    prometheus:      where KEDA asks for metrics; by default the service that the Prometheus operator makes.
    certificate_arn: the ACM certificate of the load balancer. With one it listens on HTTPS 443, without one on
                     HTTP 80; it is internal either way.
    """

    name: str = "holdfast"
    prometheus: str = "http://prometheus-operated.monitoring.svc:9090"
    certificate_arn: str | None = None

    @property
    def node_role(self) -> str:
        return f"KarpenterNodeRole-{self.name}"

    @property
    def discovery(self) -> dict[str, str]:
        return {"karpenter.sh/discovery": self.name}

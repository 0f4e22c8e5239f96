"""What makes load balancers of Ingresses and Gateways, and routes by prefix cache behind them."""

from __future__ import annotations

import dataclasses

from holdfast.manifests.addons.chart import Chart
from holdfast.manifests.manifest import Object
from holdfast.model.fleet import DataPlane
from holdfast.model.plan import Plan

CONTROLLER = "aws-load-balancer-controller"
"""Name of the release, and of its service account."""

_GATEWAY_API: Object = {
    "controllerConfig": {"featureGates": {"ALBGatewayAPI": True, "NLBGatewayAPI": False, "GatewayListenerSet": False}}
}
"""What it is to serve of Gateway API. Left to itself it looks once, as it starts, which definitions are there, and goes
without until it is restarted; only where all three are stated does it start again until they have come
(pkg/gateway/crddetect of v3.5.0)."""


def charts(plan: Plan) -> tuple[Chart, ...]:
    """The AWS Load Balancer Controller, and agentgateway where an InferencePool is routed to.

    The controller runs beside Auto Mode's own one too, which goes by another class of Ingress and does not have all of
    what is rendered (docs.aws.amazon.com/eks/latest/userguide/migrate-auto.html, auto-configure-alb.html).
    """
    cluster = plan.fleet.spec.cluster
    return (
        *(_agentgateway() if cluster.kv_aware_routing else ()),
        Chart(
            name=CONTROLLER,
            namespace="kube-system",
            account="aws-load-balancer-controller",
            repository="https://aws.github.io/eks-charts",
            chart="aws-load-balancer-controller",
            version="3.5.0",
            seen="stable/aws-load-balancer-controller/Chart.yaml of github.com/aws/eks-charts, 2026-08-03",
            reason="Makes the load balancer that requests enter by, with a weight for each pool.",
            values={
                "clusterName": cluster.name,
                "region": plan.fleet.spec.region,
                # Pods cannot ask the instance for its VPC: metadata is one hop away only.
                "vpcTags": cluster.discovery,
                "serviceAccount": {"name": CONTROLLER},
                "replicaCount": 2,
                # It would stand before every new Service of the cluster and refuse them all until its own pods are up,
                # in the middle of installing the other charts. Nothing here is a Service of type LoadBalancer.
                "enableServiceMutatorWebhook": False,
                **(_GATEWAY_API if plan.fleet.spec.data_plane is DataPlane.GATEWAY_API else {}),
            },
        ),
    )


def _agentgateway() -> tuple[Chart, Chart]:
    """Both charts of agentgateway, which asks the endpoint picker; an ALB cannot."""
    definitions = Chart(
        name="agentgateway-crds",
        namespace="agentgateway-system",
        repository="oci://cr.agentgateway.dev/charts",
        chart="agentgateway-crds",
        version="v1.4.1",
        seen="tag v1.4.1 of github.com/agentgateway/agentgateway, 2026-07-29",
        reason="What agentgateway is configured by.",
    )
    controller = dataclasses.replace(
        definitions,
        name="agentgateway",
        chart="agentgateway",
        reason="Asks the endpoint picker which replica has a request's prefix in its cache.",
        values={"inferenceExtension": {"enabled": True}, "controller": {"replicaCount": 2}},
        after=(definitions.name,),
    )
    return definitions, controller

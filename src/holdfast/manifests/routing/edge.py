"""The edge: where requests enter, with TLS and authentication unless the fleet asks otherwise in so many words."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.manifests.routing import cascade
from holdfast.manifests.serving import drain
from holdfast.model.cluster import Edge
from holdfast.model.errors import InputError
from holdfast.model.fleet import Api, Workload
from holdfast.model.plan import Plan


@dataclass(frozen=True)
class Path:
    """A path that the edge lets through; `exact` or everything below it."""

    text: str
    exact: bool


def checked(edge: Edge) -> Edge:
    """The edge, where it says how it listens and who may ask. Raises InputError where it does not."""
    if not edge.plain_http and edge.host is None and edge.certificate_arn is None:
        raise InputError(
            "the load balancer has no certificate to listen with TLS",
            where="spec.cluster.edge",
            mend="give host (a certificate of ACM is found by it) or certificateArn, or ask for plainHttp: true",
        )
    if edge.authentication is None:
        raise InputError(
            "the fleet does not say who may send requests",
            where="spec.cluster.edge",
            mend="give authentication with jwt, oidc or cognito, or authentication: {none: true}",
        )
    return edge


def path(workload: Workload) -> Path:
    """What clients may ask for: the API. Metrics and the servers' own switches stay inside the cluster."""
    if workload.api is Api.POST:
        return Path(workload.request_path.partition("?")[0], exact=True)
    return Path("/v1", exact=False)


def idle_timeout_s(plan: Plan) -> int:
    """Idle timeout of the load balancer, which outlasts all the servers that one request may be sent to in turn."""
    return drain.idle_timeout_s(plan.fleet.spec.slo, cascade.attempts(plan.fleet, len(plan.pools)))

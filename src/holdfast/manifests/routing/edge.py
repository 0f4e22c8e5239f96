"""The edge: where requests enter, with TLS and authentication unless the fleet asks otherwise in so many words."""

from __future__ import annotations

from holdfast.model.cluster import Edge
from holdfast.model.errors import InputError


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

"""The cluster that a fleet is deployed to: its own facts, and what its team chooses there."""

from __future__ import annotations

import enum
import ipaddress
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from holdfast.model.declaration import Document, Name

_Https = Annotated[str, Field(pattern=r"^https://[^\s]+$")]
_Arn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:[a-z0-9-]+:[^\s]+$")]


def _is_network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network, such as 10.0.0.0/16") from error
    return text


_Network = Annotated[str, pydantic.AfterValidator(_is_network)]


class Nodes(enum.Enum):
    """Who brings nodes for a pool.

    KARPENTER:   Karpenter with NodePools and EC2NodeClasses of the fleet.
    AUTO_MODE:   EKS Auto Mode's own Karpenter, with NodePools of the fleet and NodeClasses of eks.amazonaws.com.
    NODE_GROUPS: managed node groups, which Terraform makes, and the Cluster Autoscaler.
    HYBRID:      machines of the user's own, joined as EKS Hybrid Nodes; nothing scales them.
    """

    KARPENTER = "karpenter"
    AUTO_MODE = "auto-mode"
    NODE_GROUPS = "node-groups"
    HYBRID = "hybrid"


class Jwt(Document):
    """Requests carry a JSON Web Token, which the load balancer verifies against the issuer's keys."""

    issuer: _Https
    jwks_endpoint: _Https


class Oidc(Document):
    """People sign in with an OpenID Connect provider. secret: of the namespace, with keys clientID and clientSecret."""

    issuer: _Https
    authorization_endpoint: _Https
    token_endpoint: _Https
    user_info_endpoint: _Https
    secret: Name


class Cognito(Document):
    """People sign in with an Amazon Cognito user pool; domain: its prefix, or its own domain."""

    user_pool_arn: _Arn
    client_id: Annotated[str, Field(min_length=1)]
    domain: Annotated[str, Field(min_length=1)]


class Authentication(Document):
    """Who may send requests: exactly one of these. `none: true` leaves the door open, on explicit request only."""

    jwt: Jwt | None = None
    oidc: Oidc | None = None
    cognito: Cognito | None = None
    none: Annotated[bool, Field(strict=True)] = False

    @pydantic.model_validator(mode="after")
    def _is_one(self) -> Self:
        given = [self.jwt is not None, self.oidc is not None, self.cognito is not None, self.none]
        if sum(given) != 1:
            raise ValueError("authentication is one of jwt, oidc, cognito, or none: true")
        return self


class Edge(Document):
    """Where requests enter the cluster.

    scheme:          of the load balancer: `internal`, or `internet-facing`.
    host:            the name that clients use; without certificate_arn a certificate of ACM is found by it.
    certificate_arn: of ACM, for the TLS listener.
    plain_http:      a listener without TLS; refused together with a host's certificate.
    redirect_http:   port 80 listens too and sends clients to TLS. Without, it is closed: a client of an API that
                     begins in the clear has sent its token before it is told better.
    allow_from:      networks that may connect; all when empty.
    web_acl:         ARN of a web ACL of AWS WAF that looks at each request.
    authentication:  of whoever sends requests. Rendering refuses a fleet that does not state it.
    """

    scheme: Literal["internal", "internet-facing"] = "internal"
    host: Annotated[str, Field(pattern=r"^[a-z0-9*]([-a-z0-9.]{0,251}[a-z0-9])?$")] | None = None
    certificate_arn: _Arn | None = None
    plain_http: Annotated[bool, Field(strict=True, alias="plainHttp")] = False
    redirect_http: Annotated[bool, Field(strict=True)] = False
    allow_from: tuple[_Network, ...] = ()
    web_acl: _Arn | None = None
    authentication: Authentication | None = None

    @pydantic.model_validator(mode="after")
    def _listens_one_way(self) -> Self:
        if self.plain_http and self.certificate_arn is not None:
            raise ValueError("plainHttp has no use for a certificateArn; remove one of them")
        if self.plain_http and self.redirect_http:
            raise ValueError("plainHttp has no TLS for redirectHttp to lead to; remove one of them")
        if self.plain_http and self.authentication is not None and not self.authentication.none:
            raise ValueError("an ALB verifies who asks on TLS listeners only; remove plainHttp, or authenticate none")
        return self


class Scaler(enum.Enum):
    """Who adds and removes replicas, and on whose metrics: KEDA on Prometheus or CloudWatch, or a plain HPA."""

    KEDA_PROMETHEUS = "keda-prometheus"
    KEDA_CLOUDWATCH = "keda-cloudwatch"
    HPA = "hpa"


class Proxy(enum.Enum):
    """The gateways in front of a cascade."""

    LITELLM = "litellm"


class Cascade(Document):
    """Requests that no pool can take go to a model of Amazon Bedrock, through a gateway in the cluster.

    bedrock_model: its id there, e.g. `us.meta.llama3-3-70b-instruct-v1:0`; a different model may answer differently.
    key_secret:    Secret of the namespace whose key `masterKey` clients of the gateway must show, beginning with `sk-`:
                   each of their requests may cost money at Bedrock.
    """

    proxy: Proxy = Proxy.LITELLM
    bedrock_model: Annotated[str, Field(min_length=1)]
    key_secret: Name


class Runs(Document):
    """Where the runs of measuring jobs are kept: exactly one of these.

    s3:            `s3://bucket/prefix`, which the jobs' service account may read and write by EKS Pod Identity.
    storage_class: of a volume that pods on several nodes may write to at once (ReadWriteMany), e.g. of Amazon EFS.
    """

    s3: Annotated[str, Field(pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s]+)?$")] | None = None
    storage_class: Name | None = None

    @pydantic.model_validator(mode="after")
    def _are_in_one_place(self) -> Self:
        if (self.s3 is None) == (self.storage_class is None):
            raise ValueError("runs are kept in s3 or on a storageClass; give one of the two")
        return self


def _is_pinned(reference: str) -> str:
    _, _, tag = reference.rpartition("/")[2].partition(":")
    if "@" not in reference and tag in ("", "latest"):
        raise ValueError(f"the image {reference!r} is not pinned; give it a tag other than latest, or a digest")
    return reference


class OwnPods(Document):
    """holdfast's own pods: the jobs that measure in the cluster, and the operator.

    image: of holdfast, pinned.
    runs:  where jobs keep what they measured; `results/<fleet>` in the model's bucket when absent, if there is one.
    """

    image: Annotated[str, pydantic.AfterValidator(_is_pinned)]
    runs: Runs | None = None


class Cluster(Document):
    """The cluster's facts and choices.

    name:       of the EKS cluster. Subnets and security groups are found by the tag `karpenter.sh/discovery` with this
                value, and nodes take the role `KarpenterNodeRole-<name>`, as Karpenter's getting-started guide and the
                rendered Terraform set both up (karpenter.sh/docs/getting-started).
    nodes:      who brings nodes; a unit may say otherwise.
    edge:       where requests enter.
    scaler:     who adds and removes replicas.
    prometheus: where metrics are asked for; by default the service that the Prometheus operator makes.
    kv_aware_routing: whether requests go to the replica that has their prefix in its cache, by an InferencePool and
                llm-d's endpoint picker; needs dataPlane gateway-api and units that run vLLM.
    cascade:    where requests go that no pool can take; nowhere when absent.
    kubernetes_version: of the cluster, 1.33 or later: it decides which API claims devices.
    load_balancer_networks: of the subnets in which the load balancer has its addresses, which may reach the pods; by
                default all of the VPC that the rendered Terraform makes, in which the cluster's other pods are as well.
    holdfast:   holdfast's own pods; without it neither jobs nor the operator are rendered.
    """

    name: Name = "holdfast"
    nodes: Nodes = Nodes.KARPENTER
    edge: Edge = Edge()
    scaler: Scaler = Scaler.KEDA_PROMETHEUS
    prometheus: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] = "http://prometheus-operated.monitoring.svc:9090"
    kv_aware_routing: Annotated[bool, Field(strict=True, alias="kvAwareRouting")] = False
    cascade: Cascade | None = None
    kubernetes_version: Annotated[str, Field(pattern=r"^1\.(3[3-9]|[4-9][0-9])$")] = "1.33"
    load_balancer_networks: Annotated[tuple[_Network, ...], Field(min_length=1)] = ("10.0.0.0/16",)
    holdfast: OwnPods | None = None

    @property
    def node_role(self) -> str:
        """IAM role of the nodes."""
        return f"KarpenterNodeRole-{self.name}"

    @property
    def auto_node_role(self) -> str:
        """IAM role of the nodes of EKS Auto Mode; as its documentation names it, of this cluster."""
        return f"AmazonEKSAutoNodeRole-{self.name}"

    @property
    def discovery(self) -> dict[str, str]:
        """Tag of the subnets, security groups and capacity reservations that are the cluster's."""
        return {"karpenter.sh/discovery": self.name}

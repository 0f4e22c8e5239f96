"""NetworkPolicy: who may reach a pool's pods, and whom they may reach."""

from __future__ import annotations

from urllib.parse import urlsplit

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import engine, model_files
from holdfast.model.cluster import Cluster, Nodes

_POD_IDENTITY_AGENT = "169.254.170.23/32"
"""On each node, port 80 (EKS user guide, "Set up the Amazon EKS Pod Identity Agent")."""

_GATEWAY = "gateway.networking.k8s.io/gateway-name"
"""Label of the pods of a gateway that runs in the cluster (Gateway API, GEP-1762)."""


def manifest(placement: Placement) -> Manifest:
    """Requests from the edge, reading by who measures; names, the model's files, and nothing else going out."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of_pool(placement),
        "spec": {
            "podSelector": {"matchLabels": metadata.selector(placement)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [*_from_edge(placement), *_from_reader(placement), *_among(placement, "from")],
            "egress": [_names(placement), *_files(placement), *_among(placement, "to")],
        },
    }
    return Manifest(f"{placement.folder}/network-policy.yaml", policy, _note(placement))


def reader(cluster: Cluster) -> str | None:
    """Namespace of the Prometheus that reads the pods' metrics; None where its address is not in the cluster."""
    host = (urlsplit(cluster.prometheus).hostname or "").split(".")
    return host[1] if len(host) >= 3 and host[2] == "svc" else None


def _from_edge(placement: Placement) -> list[Object]:
    """The load balancer's addresses, unless a gateway in the cluster is the edge; and the fleet's own pods."""
    fleet = placement.fleet
    cluster = fleet.spec.cluster
    outside = [] if cluster.kv_aware_routing else cluster.load_balancer_networks
    own = [
        {"podSelector": {"matchLabels": {"app.kubernetes.io/name": fleet.metadata.name}}},
        {"podSelector": {"matchExpressions": [{"key": _GATEWAY, "operator": "Exists"}]}},
    ]
    return [{"from": [*({"ipBlock": {"cidr": network}} for network in outside), *own], "ports": [_port(engine.PORT)]}]


def _from_reader(placement: Placement) -> list[Object]:
    namespace = reader(placement.fleet.spec.cluster)
    if namespace is None:
        return []
    there = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    return [{"from": [there], "ports": [_port(engine.PORT)]}]


def _among(placement: Placement, direction: str) -> list[Object]:
    """Servers that work together choose ports as they go (NCCL, UCX): the pool's own pods may use any."""
    if not placement.spans_nodes and placement.unit.disaggregated is None:
        return []
    return [{direction: [{"podSelector": {"matchLabels": metadata.selector(placement)}}]}]


def _names(placement: Placement) -> Object:
    """Names are asked of CoreDNS; on Auto Mode it is no pod but on each node, which only the port tells."""
    ports = [_port(53, "UDP"), _port(53)]
    if (placement.unit.nodes or placement.fleet.spec.cluster.nodes) is Nodes.AUTO_MODE:
        return {"ports": ports}
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    return {"to": [dns], "ports": ports}


def _files(placement: Placement) -> list[Object]:
    """HTTPS to wherever files are: neither S3 nor Hugging Face has addresses that a policy could name."""
    found: list[Object] = [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [_port(443)]}]
    if model_files.from_bucket(placement):
        found.append({"to": [{"ipBlock": {"cidr": _POD_IDENTITY_AGENT}}], "ports": [_port(80)]})
    return found


def _port(number: int, protocol: str = "TCP") -> Object:
    return {"port": number, "protocol": protocol}


def _note(placement: Placement) -> str:
    cluster = placement.fleet.spec.cluster
    found = ["Needs a network plugin that enforces policies: the VPC CNI does so with enableNetworkPolicy."]
    if not cluster.kv_aware_routing:
        found.append(
            "The load balancer is known by its networks alone: give those of its subnets in "
            "spec.cluster.loadBalancerNetworks, or whatever else is in them may send requests too."
        )
    if reader(cluster) is None:
        found.append(
            "Prometheus is not in the cluster by its address: whoever reads metrics for it is not let in here."
        )
    return "\n".join(found)

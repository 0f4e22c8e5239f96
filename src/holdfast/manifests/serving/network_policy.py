"""NetworkPolicy: who may reach a pool's pods, and whom they may reach."""

from __future__ import annotations

from holdfast.manifests import metadata, network
from holdfast.manifests.compute import nodes
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import engine, model_files
from holdfast.model.cluster import Cluster

_GATEWAYS: Object = {
    "podSelector": {"matchExpressions": [{"key": "gateway.networking.k8s.io/gateway-name", "operator": "Exists"}]}
}
"""Pods of gateways that run in the cluster, by the label that GEP-1762 gives them."""


def manifest(placement: Placement) -> Manifest:
    """Requests from the edge, reading by who measures; names, the model's files, and nothing else going out."""
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of_pool(placement),
        "spec": {
            "podSelector": {"matchLabels": metadata.selector(placement)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                _from_edge(placement),
                *network.from_reader(placement.fleet.spec.cluster, engine.PORT),
                *_among(placement, "from"),
            ],
            "egress": [network.to_dns(nodes.kind(placement)), *_files(placement), *_among(placement, "to")],
        },
    }
    return Manifest(f"{placement.folder}/network-policy.yaml", policy, _note(placement))


def _from_edge(placement: Placement) -> Object:
    """The load balancer, or what stands between it and the pools; and the fleet's own pods, such as a cascade's."""
    fleet = placement.fleet
    cluster = fleet.spec.cluster
    own = [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": fleet.metadata.name}}}]
    edge = network.from_load_balancer(cluster) if _is_target(cluster) else []
    if cluster.kv_aware_routing:
        edge = [_GATEWAYS]
    return {"from": [*edge, *own], "ports": [network.port(engine.PORT)]}


def _is_target(cluster: Cluster) -> bool:
    """Whether the load balancer itself sends requests to the pools."""
    return cluster.cascade is None and not cluster.kv_aware_routing


def _among(placement: Placement, direction: str) -> list[Object]:
    """Servers that work together choose ports as they go (NCCL, UCX): the pool's own pods may use any."""
    if not placement.spans_nodes and placement.unit.disaggregated is None:
        return []
    return [{direction: [{"podSelector": {"matchLabels": metadata.selector(placement)}}]}]


def _files(placement: Placement) -> list[Object]:
    """To wherever files are."""
    identity = [network.to_pod_identity()] if model_files.from_bucket(placement) else []
    return [network.to_https(), *identity]


def _note(placement: Placement) -> str:
    cluster = placement.fleet.spec.cluster
    found = ["Needs a network plugin that enforces policies: the VPC CNI does so with enableNetworkPolicy."]
    if _is_target(cluster):
        found.append(network.LOAD_BALANCER_NOTE)
    if network.reader(cluster) is None:
        found.append(
            "Prometheus is not in the cluster by its address: whoever reads metrics for it is not let in here."
        )
    return "\n".join(found)

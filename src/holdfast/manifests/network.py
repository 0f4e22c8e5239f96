"""Rules of NetworkPolicies that pods of several kinds share: who may come in, and whom they may reach."""

from __future__ import annotations

from urllib.parse import urlsplit

from holdfast.manifests.manifest import Object
from holdfast.model.cluster import Cluster, Nodes
from holdfast.model.fleet import InferenceFleet

POD_IDENTITY_AGENT = "169.254.170.23/32"
"""Of the agent that hands out a pod's AWS credentials, on port 80 of each node (EKS user guide, "Set up the Amazon EKS
Pod Identity Agent")."""

LOAD_BALANCER_NOTE = (
    "The load balancer is known by its networks alone: give those of its subnets in spec.cluster.loadBalancerNetworks, "
    "or whatever else is in them may send requests too."
)


def port(number: int, protocol: str = "TCP") -> Object:
    return {"port": number, "protocol": protocol}


def from_load_balancer(cluster: Cluster) -> list[Object]:
    """The networks of the load balancer, which has no labels that a policy could name; its health checks too."""
    return [{"ipBlock": {"cidr": network}} for network in cluster.load_balancer_networks]


def reader(cluster: Cluster) -> str | None:
    """Namespace of the Prometheus that reads the pods' metrics; None where its address is not in the cluster."""
    host = (urlsplit(cluster.prometheus).hostname or "").split(".")
    return host[1] if len(host) >= 3 and host[2] == "svc" else None


def from_reader(cluster: Cluster, metrics_port: int) -> list[Object]:
    """The rule that lets Prometheus in to the metrics; none where it is not in the cluster."""
    namespace = reader(cluster)
    return [] if namespace is None else [{"from": [_namespace(namespace)], "ports": [port(metrics_port)]}]


def to_dns(nodes: Nodes) -> Object:
    """Names are asked of CoreDNS; on Auto Mode it is no pod but on each node, which only the port tells."""
    ports = [port(53, "UDP"), port(53)]
    if nodes is Nodes.AUTO_MODE:
        return {"ports": ports}
    pods = {"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return {"to": [_namespace("kube-system") | pods], "ports": ports}


def to_dns_from_any_node(fleet: InferenceFleet) -> Object:
    """As `to_dns`, for pods that are of no pool: where Auto Mode brings some of the nodes, they may be on one."""
    cluster = fleet.spec.cluster
    kinds = {cluster.nodes, *(unit.nodes for unit in fleet.spec.units)}
    return to_dns(Nodes.AUTO_MODE if Nodes.AUTO_MODE in kinds else cluster.nodes)


def to_https() -> Object:
    """HTTPS to anywhere: AWS and Hugging Face have no addresses that a policy could name."""
    return {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [port(443)]}


def to_api() -> Object:
    """HTTPS to the Kubernetes API, which some network plugins (Cilium) take for no address of an ipBlock."""
    return {"ports": [port(443)]}


def to_pod_identity() -> Object:
    return {"to": [{"ipBlock": {"cidr": POD_IDENTITY_AGENT}}], "ports": [port(80)]}


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}

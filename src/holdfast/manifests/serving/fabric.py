"""How servers on several nodes talk: ranks of one server (NCCL), and prefill with decode (NIXL)."""

from __future__ import annotations

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement

RESOURCE = "vpc.amazonaws.com/efa"
"""What the EFA device plugin advertises."""

_HUGE_PAGES = "5120Mi"
"""Of 2 MiB, that libfabric takes for EFA; EKS' GPU images set them aside (EKS user guide, "Run machine learning
training on Amazon EKS with Elastic Fabric Adapter", docs.aws.amazon.com/eks/latest/userguide/node-efa.html)."""


def resources(placement: Placement) -> dict[str, str]:
    """Adapters and huge pages of one pod; nothing where it uses no adapter. Requests and limits are the same."""
    count = placement.fabric_interfaces
    return {RESOURCE: str(count), "hugepages-2Mi": _HUGE_PAGES} if count else {}


def environment(placement: Placement) -> list[Object]:
    """Variables of a server of several nodes: its own address, and the interface that a pod has."""
    if not placement.spans_nodes:
        return []
    values = {"GLOO_SOCKET_IFNAME": "eth0", "NCCL_SOCKET_IFNAME": "eth0"}
    if placement.fabric_interfaces:
        values["FI_PROVIDER"] = "efa"
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        {"name": "VLLM_HOST_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]


def arguments(placement: Placement, *, leads: bool) -> list[str]:
    """vLLM's place in its group; LeaderWorkerSet sets the variables. Only the leader listens to requests.

    vLLM 0.33, "Parallelism and Scaling": --nnodes, --node-rank, --master-addr, and --headless on all but the first.
    """
    if not placement.spans_nodes:
        return []
    group = [
        "--distributed-executor-backend=mp",
        "--nnodes=$(LWS_GROUP_SIZE)",
        "--node-rank=$(LWS_WORKER_INDEX)",
        "--master-addr=$(LWS_LEADER_ADDRESS)",
    ]
    return group if leads else [*group, "--headless"]

"""NVIDIA's part: what advertises GPUs, and what measures them.

EKS's images for GPUs bring driver and container toolkit. There the device plugin alone is enough, and the exporter
beside it. Auto Mode brings the plugin too, but no exporter; hybrid nodes bring nothing. A fleet that has either gets
the GPU Operator, which then has the plugin of all nodes: node labels (compute.selection) say what each is to get. So
the plugin is installed by exactly one of both, or by nobody where AWS or DRA takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.addons import watching
from holdfast.manifests.addons.chart import Chart
from holdfast.manifests.compute import nodes, selection
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Nodes

_OPERATOR_VERSION = "v26.7.0"
_PLUGIN_VERSION = "0.20.0"
_EXPORTER_VERSION = "4.8.3"
_DRA_VERSION = "0.4.0"


def charts(placed: Sequence[Placement]) -> tuple[Chart, ...]:
    """The charts for the fleet's NVIDIA pools; none without such pools."""
    pools = [placement for placement in placed if nodes.is_nvidia(placement)]
    if not pools:
        return ()
    if any(nodes.kind(pool) in (Nodes.AUTO_MODE, Nodes.HYBRID) for pool in pools):
        found = [_operator(pools)]
    else:
        found = [*([_plugin()] if _needs_plugin(pools) else []), _exporter(pools)]
    return (*found, *([_dra_driver(pools)] if any(pool.unit.dra for pool in pools) else []))


def _needs_plugin(pools: Sequence[Placement]) -> bool:
    return any(nodes.kind(pool) is not Nodes.AUTO_MODE and not pool.unit.dra for pool in pools)


def _operator(pools: Sequence[Placement]) -> Chart:
    bare = any(nodes.kind(pool) is Nodes.HYBRID for pool in pools)
    plugin = _needs_plugin(pools)
    whose = "GPU nodes" if plugin else "GPU nodes, whose driver, toolkit and device plugin are AWS's"
    return Chart(
        name="gpu-operator",
        namespace="gpu-operator",
        repository="https://helm.ngc.nvidia.com/nvidia",
        chart="gpu-operator",
        version=_OPERATOR_VERSION,
        seen="tag v26.7.0 of github.com/NVIDIA/gpu-operator, 2026-08-20",
        reason=f"Metrics and labels of {whose}; the only installer of NVIDIA's device plugin in this cluster.",
        values={
            "driver": {"enabled": bare},
            "toolkit": {"enabled": bare},
            "devicePlugin": {"enabled": plugin},
            "dcgmExporter": {"enabled": True, "serviceMonitor": {"enabled": True}},
            # Nothing here cuts a GPU into parts or passes it to a virtual machine.
            "migManager": {"enabled": False},
            "sandboxWorkloads": {"enabled": False},
        },
        after=(watching.RELEASE,),
    )


def _plugin() -> Chart:
    return Chart(
        name="nvidia-device-plugin",
        namespace="kube-system",
        repository="https://nvidia.github.io/k8s-device-plugin",
        chart="nvidia-device-plugin",
        version=_PLUGIN_VERSION,
        seen="tag v0.20.0 of github.com/NVIDIA/k8s-device-plugin, 2026-08-19",
        reason="Advertises nvidia.com/gpu on the GPU nodes, whose image has driver and toolkit.",
        values={
            "affinity": _on_gpu_nodes(
                {"key": "nvidia.com/gpu.deploy.device-plugin", "operator": "NotIn", "values": ["false"]}
            ),
            "tolerations": _TOLERATIONS,
            # A node whose driver does not answer must show, not advertise zero GPUs in silence.
            "failOnInitError": True,
        },
    )


def _exporter(pools: Sequence[Placement]) -> Chart:
    return Chart(
        name="dcgm-exporter",
        namespace="monitoring",
        repository="https://nvidia.github.io/dcgm-exporter/helm-charts",
        chart="dcgm-exporter",
        version=_EXPORTER_VERSION,
        seen="release 4.6.0-4.8.3 of github.com/NVIDIA/dcgm-exporter, 2026-07-15",
        reason="Utilisation, memory, temperature and errors of the GPUs, for Prometheus.",
        values={
            "affinity": _on_gpu_nodes(),
            "tolerations": _TOLERATIONS,
            "serviceMonitor": {"enabled": True, "interval": "15s"},
            "kubernetesDRA": {"enabled": any(pool.unit.dra for pool in pools)},
        },
        after=(watching.RELEASE,),
    )


def _dra_driver(pools: Sequence[Placement]) -> Chart:
    units = ", ".join(pool.unit.name for pool in pools if pool.unit.dra)
    return Chart(
        name="dra-driver-nvidia-gpu",
        namespace="dra-driver-nvidia-gpu",
        repository="oci://registry.k8s.io/dra-driver-nvidia/charts",
        chart="dra-driver-nvidia-gpu",
        version=_DRA_VERSION,
        seen="docs/install.md of github.com/NVIDIA/k8s-dra-driver-gpu, 2026-05-15",
        reason=f"Units {units} claim their GPUs by Dynamic Resource Allocation; there this driver replaces the plugin.",
        values={
            # The chart asks for this consent to GPUs, beside ComputeDomains, which only NVLink between nodes needs.
            "gpuResourcesEnabledOverride": True,
            "resources": {"gpus": {"enabled": True}, "computeDomains": {"enabled": False}},
            # EKS's images have the driver on the host.
            "nvidiaDriverRoot": "/",
            "kubeletPlugin": {"nodeSelector": {selection.DRA: "true"}, "tolerations": _TOLERATIONS},
        },
    )


_TOLERATIONS: list[Object] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def _on_gpu_nodes(*further: Object) -> Object:
    """Node affinity, in place of labels that node feature discovery would give."""
    present = {"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}
    terms = [{"matchExpressions": [present, *further]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}

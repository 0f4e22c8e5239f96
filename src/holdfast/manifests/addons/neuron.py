"""AWS Neuron's part: what advertises Inferentia and Trainium devices, and finds neighbouring ones."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.addons import minor
from holdfast.manifests.addons.chart import Chart
from holdfast.manifests.compute import nodes, selection
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement
from holdfast.model.cluster import Cluster, Nodes

_VERSION = "1.10.0"


def charts(placed: Sequence[Placement]) -> tuple[Chart, ...]:
    """The chart for the fleet's Neuron pools; none where Auto Mode brings the device plugin, or there are none.

    By chart, and not by the static files of the documentation, which leave out trn2.
    """
    pools = [pool for pool in placed if not nodes.is_nvidia(pool) and nodes.kind(pool) is not Nodes.AUTO_MODE]
    if not pools:
        return ()
    apart = [pool.unit.name for pool in pools if selection.scheduler(pool) is not None]
    reason = "Advertises aws.amazon.com/neuron on the Inferentia and Trainium nodes."
    if apart:
        reason += f" The scheduler extension finds neighbouring devices for {', '.join(apart)}."
    return (
        Chart(
            name="neuron",
            namespace="kube-system",
            repository="oci://public.ecr.aws/neuron",
            chart="neuron-helm-chart",
            version=_VERSION,
            seen="release 1.10.0 of github.com/aws-neuron/neuron-helm-charts, 2026-08-19",
            reason=reason,
            values={
                "devicePlugin": {"enabled": True},
                "scheduler": _scheduler(pools[0].fleet.spec.cluster) if apart else {"enabled": False},
                # A privileged reader of kernel logs whose node conditions nothing here acts upon.
                "npd": {"enabled": False},
            },
        ),
    )


def _scheduler(cluster: Cluster) -> Object:
    """A second scheduler beside EKS's own, which takes no extension; the chart's default is of Kubernetes 1.31."""
    return {
        "enabled": True,
        "customScheduler": {
            "enabled": True,
            "fullnameOverride": selection.NEURON_SCHEDULER,
            "image": {
                "repository": "public.ecr.aws/eks-distro/kubernetes/kube-scheduler",
                "tag": minor.kube_scheduler(cluster),
            },
        },
        "defaultScheduler": {"enabled": False},
    }

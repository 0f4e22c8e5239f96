"""neuron-monitor, whose counters of Neuron devices Prometheus reads: no chart has it."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests import metadata
from holdfast.manifests.addons.chart import FOLDER
from holdfast.manifests.compute import nodes
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.placement import Placement
from holdfast.model.plan import Plan

NAME = "neuron-monitor"

_IMAGE = "public.ecr.aws/neuron/neuron-monitor:1.3.0"
"""With its command as in src/k8/k8s-neuron-monitor-daemonset.yml of github.com/aws-neuron/aws-neuron-sdk, read
2026-11-21. Newer images are out; no source says with which arguments they start."""

_PORT = 8000


def manifests(plan: Plan, placed: Sequence[Placement]) -> tuple[Manifest, ...]:
    """Namespace, DaemonSet and PodMonitor; none without Neuron pools."""
    pools = [placement for placement in placed if not nodes.is_nvidia(placement)]
    if not pools:
        return ()
    return _namespace(plan), _daemon_set(plan, pools), _pod_monitor(plan)


def _namespace(plan: Plan) -> Manifest:
    described = metadata.of_fleet_cluster_wide(plan, NAME)
    described["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    return _manifest("namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": described})


_PRIVILEGED = "it opens the Neuron devices, privileged as in AWS's own manifest"
_WITHOUT_MEANING = "of no effect on a privileged container"
_EXPLAINED = {
    "CKV_K8S_16": _PRIVILEGED,
    "CKV_K8S_20": "a privileged container may always escalate",
    "CKV_K8S_22": "AWS's image writes to its own file system",
    "CKV_K8S_23": "the devices are root's",
    **dict.fromkeys(("CKV_K8S_28", "CKV_K8S_29", "CKV_K8S_31", "CKV_K8S_37"), _WITHOUT_MEANING),
    **dict.fromkeys(("CKV_K8S_8", "CKV_K8S_9"), "Prometheus alone asks it, and says when it does not answer"),
    "CKV2_K8S_6": "it serves counters of devices, to whoever asks in the cluster",
}


def _daemon_set(plan: Plan, pools: Sequence[Placement]) -> Manifest:
    labels = {"app.kubernetes.io/name": NAME}
    described = _metadata(plan)
    described["annotations"] |= {f"{metadata.ACCEPT}privileges": _PRIVILEGED} | metadata.explained(_EXPLAINED)
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": described,
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod(pools)},
        },
    }
    note = "Privileged, as AWS's own manifest is: it opens /dev/neuron* and the driver's files. It has no other rights."
    return _manifest("daemon-set", daemon_set, note)


def _pod(pools: Sequence[Placement]) -> Object:
    types = sorted({pool.instance.name for pool in pools})
    expression = {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": types}
    terms = [{"matchExpressions": [expression]}]
    return {
        "automountServiceAccountToken": False,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}},
        "tolerations": [{"key": "aws.amazon.com/neuron", "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [
            {
                "name": NAME,
                "image": _IMAGE,
                "command": ["/opt/bin/entrypoint.sh"],
                "args": [
                    "--port",
                    str(_PORT),
                    "--neuron-monitor-config",
                    "/opt/aws/neuron/bin/neuron-monitor.conf",
                ],
                "env": [{"name": "GOMEMLIMIT", "value": "160MiB"}],
                "ports": [{"name": "metrics", "containerPort": _PORT, "protocol": "TCP"}],
                "resources": {
                    "requests": {"cpu": "256m", "memory": "128Mi"},
                    "limits": {"memory": "256Mi"},
                },
                "securityContext": {"privileged": True},
            }
        ],
    }


def _pod_monitor(plan: Plan) -> Manifest:
    monitor = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": _metadata(plan),
        "spec": {
            "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "podMetricsEndpoints": [{"port": "metrics", "interval": "15s"}],
        },
    }
    return _manifest("pod-monitor", monitor)


def _metadata(plan: Plan) -> Object:
    return metadata.of_fleet(plan, NAME) | {"namespace": NAME}


def _manifest(file: str, found: Object, note: str = "") -> Manifest:
    return Manifest(f"{FOLDER}/objects/{NAME}-{file}.yaml", found, note)

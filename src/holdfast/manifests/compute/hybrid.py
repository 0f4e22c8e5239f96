"""EKS Hybrid Nodes: how machines of the user's own join as a pool's nodes. Nothing here is applied to the cluster."""

from __future__ import annotations

from holdfast.manifests import yaml
from holdfast.manifests.compute import selection
from holdfast.manifests.manifest import File, TextFile
from holdfast.manifests.placement import Placement


def files(placement: Placement) -> tuple[File, ...]:
    """The configuration that nodeadm joins a machine with, and the steps."""
    folder = f"hybrid/{placement.unit.name}"
    return (
        TextFile(f"{folder}/node-config.yaml", _node_config(placement)),
        TextFile(f"{folder}/README.md", _steps(placement)),
    )


def _node_config(placement: Placement) -> str:
    """nodeadm's NodeConfig (docs.aws.amazon.com/eks/latest/userguide/hybrid-nodes-nodeadm.html).

    The label eks.amazonaws.com/compute-type is nodeadm's own. The activation is a secret: it is filled in on the
    machine.
    """
    labels = ",".join(f"{key}={value}" for key, value in sorted(selection.node_labels(placement).items()))
    taints = ",".join(f"{taint['key']}={taint['value']}:{taint['effect']}" for taint in selection.taints(placement))
    return yaml.dump(
        {
            "apiVersion": "node.eks.aws/v1alpha1",
            "kind": "NodeConfig",
            "spec": {
                "cluster": {"name": placement.fleet.spec.cluster.name, "region": placement.fleet.spec.region},
                "hybrid": {"ssm": {"activationCode": "${ACTIVATION_CODE}", "activationId": "${ACTIVATION_ID}"}},
                "kubelet": {"flags": [f"--node-labels={labels}", f"--register-with-taints={taints}"]},
            },
        }
    )


def _steps(placement: Placement) -> str:
    instance, accelerator = placement.instance, placement.accelerator
    return f"""# Hybrid nodes of unit {placement.unit.name}

The plan needs {placement.nodes_for(placement.pool.replicas)} machines now and {placement.most_nodes} at most; nothing
adds or removes them. It was made with {instance.name}, so each must have {instance.devices} {accelerator.name},
{instance.vcpus} CPUs and {instance.memory_gib:.6g} GiB of memory or more: the replicas ask for that.

Before: the cluster was created with the remote networks of nodes and pods, pods' addresses can be reached from the
VPC (load balancers send to them directly), and an SSM activation exists for the hybrid nodes' role
(docs.aws.amazon.com/eks/latest/userguide/hybrid-nodes-prereqs.html).

On each machine, as root, with nodeadm for hybrid nodes and the cluster's minor version of Kubernetes, e.g. 1.33:

    nodeadm install "$KUBERNETES_VERSION" --credential-provider ssm
    export ACTIVATION_CODE=... ACTIVATION_ID=...
    envsubst < node-config.yaml > /etc/eks-node-config.yaml && chmod 600 /etc/eks-node-config.yaml
    nodeadm init -c file:///etc/eks-node-config.yaml

The NVIDIA GPU Operator (addons/) then brings driver, container toolkit and device plugin.
"""

"""What stands around the jobs: their identity, their network, and the volume of their runs."""

from __future__ import annotations

from holdfast.manifests import metadata, names, network
from holdfast.manifests.jobs import job, pod
from holdfast.manifests.manifest import Manifest, Object
from holdfast.manifests.serving import engine
from holdfast.model.cluster import Runs
from holdfast.model.plan import Plan

_SIZE = "20Gi"
"""A request is about a kilobyte on disk with its arrival times: room for some twenty million."""


def manifests(plan: Plan, runs: Runs) -> tuple[Manifest, ...]:
    claim = [] if runs.storage_class is None else [_claim(plan, runs.storage_class)]
    return _account(plan), _network_policy(plan, runs), *claim


def _account(plan: Plan) -> Manifest:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata.of_fleet(plan, pod.account(plan.fleet)),
        "automountServiceAccountToken": False,
    }
    return Manifest(f"{job.FOLDER}/service-account.yaml", account)


def _network_policy(plan: Plan, runs: Runs) -> Manifest:
    """Nobody comes in; requests go to the fleet's servers, runs to S3.

    Names are asked of whoever has the port: on nodes of Auto Mode, where jobs may be too, DNS is no pod.
    """
    servers = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": plan.fleet.metadata.name}}}
    egress: list[Object] = [
        network.to_dns_from_any_node(plan.fleet),
        {"to": [servers], "ports": [network.port(engine.PORT)]},
    ]
    if runs.s3 is not None:
        egress += [network.to_https(), network.to_pod_identity()]
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata.of_fleet(plan, names.label(plan.fleet.metadata.name, "load")),
        "spec": {
            "podSelector": {"matchLabels": pod.labels(plan.fleet)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": egress,
        },
    }
    return Manifest(f"{job.FOLDER}/network-policy.yaml", policy)


def _claim(plan: Plan, storage_class: str) -> Manifest:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata.of_fleet(plan, pod.claim(plan.fleet)),
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": _SIZE}},
        },
    }
    return Manifest(f"{job.FOLDER}/volume-claim.yaml", claim)

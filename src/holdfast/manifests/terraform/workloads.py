"""What runs with rights in AWS: each has a service account of its own, and of its rights only what it needs.

The operator is not here: it speaks to the Kubernetes API alone.
"""

from __future__ import annotations

from holdfast.manifests import names
from holdfast.manifests.manifest import Object
from holdfast.manifests.routing import cascade_proxy
from holdfast.manifests.serving import service_account
from holdfast.model.cluster import Scaler
from holdfast.model.fleet import InferenceFleet

_S3 = "s3://"

_KEDA = {"namespace": "keda", "service_account": "keda-operator"}
"""The account that KEDA's chart makes (github.com/kedacore/charts, keda/values.yaml, 2026-11-21): with `podIdentity:
aws` and no role of its own a trigger asks with the operator's rights."""


def bucket(fleet: InferenceFleet) -> str | None:
    """The bucket of the fleet's model; None where the model comes from elsewhere."""
    source = fleet.spec.model.source.s3
    return None if source is None else source.removeprefix(_S3).partition("/")[0]


def load_account(fleet: InferenceFleet) -> str:
    """Service account of the jobs that measure load."""
    return names.label(fleet.metadata.name, "load")


def results_prefix(fleet: InferenceFleet) -> str:
    """Where in the bucket these jobs write; beside the prefix that replicas read, not below it."""
    return f"results/{fleet.metadata.name}"


def rights(fleet: InferenceFleet) -> dict[str, Object]:
    """Terraform's variable `workloads`: by name, a service account and what it may do."""
    name, cluster = fleet.metadata.name, fleet.spec.cluster
    found = {f"{name}-load": _of(fleet, load_account(fleet), write_prefix=results_prefix(fleet))}
    source = fleet.spec.model.source.s3
    if source is not None:
        prefix = source.removeprefix(_S3).partition("/")[2].strip("/")
        found[f"{name}-model"] = _of(fleet, service_account.name(fleet), read_prefix=prefix)
    if cluster.cascade is not None:
        account = cascade_proxy.name(fleet)
        found[f"{name}-cascade"] = _of(fleet, account, bedrock_model=cluster.cascade.bedrock_model)
    if cluster.scaler is Scaler.KEDA_CLOUDWATCH:
        found["keda"] = _KEDA | {"read_metrics": True}
    return found


def _of(fleet: InferenceFleet, account: str, **may: str) -> Object:
    return {"namespace": fleet.metadata.namespace, "service_account": account, **may}

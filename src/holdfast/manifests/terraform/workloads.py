"""What runs with rights in AWS: each has a service account of its own, and of its rights only what it needs.

The operator is here where the rate of a fleet is read in AWS; else it speaks to the cluster alone.
"""

from __future__ import annotations

from holdfast.manifests.jobs import place, pod
from holdfast.manifests.manifest import Object
from holdfast.manifests.operator import surroundings
from holdfast.manifests.routing import cascade_proxy
from holdfast.manifests.scaling import prometheus
from holdfast.manifests.serving import service_account
from holdfast.model.cluster import Cluster, Scaler
from holdfast.model.fleet import InferenceFleet

_S3 = "s3://"

_KEDA = {"namespace": "keda", "service_account": "keda-operator"}
"""The account that KEDA's chart makes (github.com/kedacore/charts, keda/values.yaml, 2026-11-21): with `podIdentity:
aws` and no role of its own a trigger asks with the operator's rights."""

_OPERATOR = {"namespace": surroundings.NAMESPACE, "service_account": surroundings.NAME}


def bucket(fleet: InferenceFleet) -> str | None:
    """The bucket of the fleet's model, else that of its jobs' runs; None where neither is in S3."""
    address = fleet.spec.model.source.s3 or _runs(fleet)
    return None if address is None else _parts(address)[0]


def rights(fleet: InferenceFleet) -> dict[str, Object]:
    """Terraform's variable `workloads`: by name, a service account and what it may do."""
    name, cluster = fleet.metadata.name, fleet.spec.cluster
    found: dict[str, Object] = {}
    runs, source = _runs(fleet), fleet.spec.model.source.s3
    if runs is not None:
        own, prefix = _parts(runs)
        elsewhere = {} if own == bucket(fleet) else {"bucket": own}
        # What joins the shards of a load reads them there.
        found[f"{name}-load"] = _of(fleet, pod.account(fleet), read_prefix=prefix, write_prefix=prefix, **elsewhere)
    if source is not None:
        found[f"{name}-model"] = _of(fleet, service_account.name(fleet), read_prefix=_parts(source)[1])
    if cluster.cascade is not None:
        account = cascade_proxy.name(fleet)
        found[f"{name}-cascade"] = _of(fleet, account, bedrock_model=cluster.cascade.bedrock_model)
    metrics = _metrics(cluster)
    if metrics and cluster.scaler is not Scaler.HPA:
        found["keda"] = _KEDA | metrics
    if metrics and cluster.holdfast is not None:
        # Target groups are listed to be found.
        listing = {"list_metrics": True} if cluster.scaler is Scaler.KEDA_CLOUDWATCH else {}
        found["operator"] = _OPERATOR | metrics | listing
    return found


def _metrics(cluster: Cluster) -> Object:
    """What who reads the fleet's metrics may do; empty where they are not in AWS."""
    if cluster.scaler is Scaler.KEDA_CLOUDWATCH:
        return {"read_metrics": True}
    workspace = prometheus.workspace(cluster.prometheus)
    return {} if workspace is None else {"prometheus": {"region": workspace[0], "workspace": workspace[1]}}


def _runs(fleet: InferenceFleet) -> str | None:
    """Where in S3 the rendered jobs keep runs; None where there are no jobs, or a volume keeps them."""
    runs = None if fleet.spec.cluster.holdfast is None else place.of(fleet)
    return None if runs is None else runs.s3


def _parts(address: str) -> tuple[str, str]:
    """Bucket and prefix, without slashes at its ends."""
    found, _, prefix = address.removeprefix(_S3).partition("/")
    return found, prefix.strip("/")


def _of(fleet: InferenceFleet, account: str, **may: str) -> Object:
    return {"namespace": fleet.metadata.namespace, "service_account": account, **may}

"""Selecting series: of a pool's servers, of all the fleet's, of the operator."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.manifests.manifest import Object
from holdfast.manifests.observing import pod_monitor
from holdfast.manifests.placement import Placement
from holdfast.model.fleet import InferenceFleet
from holdfast.model.metrics import Metric

COMPLETED = "vllm:request_success_total"
REJECTED = "vllm:admission_rejections_total"


def labels(fleet: InferenceFleet) -> dict[str, str]:
    """The labels of what is recorded of a fleet, the same that the operator's metrics have."""
    return {"fleet_namespace": fleet.metadata.namespace, "fleet": fleet.metadata.name}


def pool_labels(placement: Placement) -> dict[str, str]:
    return labels(placement.fleet) | {"pool": placement.unit.name}


def select(name: str, **wanted: str) -> str:
    """The series of that name with these labels."""
    matched = ",".join(f'{label}="{value}"' for label, value in wanted.items())
    return f"{name}{{{matched}}}"


def of_pool(placement: Placement, name: str, **wanted: str) -> str:
    """Series of the servers that answer a pool's requests: where prefill is apart it would count each a second time."""
    role = placement.scale_target.role
    by_role = {} if role is None else {"llm_d_ai_role": role.value}
    return select(name, job=pod_monitor.job(placement), **by_role, **wanted)


def of_pools(placed: Sequence[Placement], name: str, **wanted: str) -> str:
    """The same of several pools, as one vector."""
    plain = [placement for placement in placed if placement.scale_target.role is None]
    apart = [of_pool(placement, name, **wanted) for placement in placed if placement.scale_target.role is not None]
    if not plain:
        return " or ".join(apart)
    jobs = "|".join(pod_monitor.job(placement) for placement in plain)
    matched = "".join(f',{label}="{value}"' for label, value in wanted.items())
    return " or ".join([f'{name}{{job=~"{jobs}"{matched}}}', *apart])


def rate(selected: str, window: str) -> str:
    """The sum of the rates of each of the selected series, which `or` joins."""
    return f"sum({' or '.join(f'rate({one}[{window}])' for one in selected.split(' or '))})"


def of_operator(metric: Metric, fleet: InferenceFleet, **wanted: str) -> str:
    return select(metric.name, **labels(fleet), **wanted)


def record(name: str, expression: str, given: dict[str, str]) -> Object:
    """A rule that keeps a series under a name of its own."""
    return {"record": name, "expr": expression, "labels": given}

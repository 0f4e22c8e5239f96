"""KEDA triggers on Prometheus: one for each of a pool's queries; the one that asks for most replicas decides.

Keys: keda.sh/docs/2.20/scalers/prometheus. All values are strings.
"""

from __future__ import annotations

import re

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.scaling import bounds, queries
from holdfast.model.errors import InputError

_MANAGED = re.compile(r"https://aps-workspaces\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/")
"""Amazon Managed Service for Prometheus, whose requests are signed."""

_WORKSPACE = re.compile(rf"{_MANAGED.pattern}workspaces/(?P<workspace>ws-[A-Za-z0-9-]+)(/.*)?")


def is_managed(address: str) -> bool:
    """Whether a server there wants to know who asks."""
    return _MANAGED.match(address) is not None


def workspace(address: str) -> tuple[str, str] | None:
    """Region and id of the workspace of Amazon's that the address is of; None where it is not Amazon's.

    Raises InputError where it is, and names no workspace.
    """
    if not is_managed(address):
        return None
    found = _WORKSPACE.fullmatch(address)
    if found is None:
        raise InputError(
            f"{address} is Amazon's Prometheus, and names no workspace",
            where="spec.cluster.prometheus",
            mend="give the workspace's address, as https://aps-workspaces.us-west-2.amazonaws.com/workspaces/ws-1a2b3c4d",
        )
    return found["region"], found["workspace"]


def triggers(placement: Placement, target: ScaleTarget, authentication: str) -> list[Object]:
    """The triggers of what is scaled; `authentication` is the TriggerAuthentication for servers that want one."""
    return [_trigger(placement, target, query, authentication) for query in queries.of(placement, target)]


def _trigger(placement: Placement, target: ScaleTarget, query: queries.Query, authentication: str) -> Object:
    address = placement.fleet.spec.cluster.prometheus
    trigger: Object = {
        "type": "prometheus",
        "name": query.name,
        "metricType": "AverageValue" if query.per_server else "Value",
        "metadata": {
            "serverAddress": address,
            "query": query.query,
            "threshold": f"{query.value:.6g}",
            # No series means that nobody is measuring, which the fallback is for, not that nobody is asking;
            # except where a pool may have no replica to be measured.
            "ignoreNullValues": "true" if bounds.of(placement, target).least == 0 else "false",
        },
    }
    managed = _MANAGED.match(address)
    if managed is not None:
        trigger["metadata"]["awsRegion"] = managed["region"]
        trigger["authenticationRef"] = {"name": authentication}
    return trigger

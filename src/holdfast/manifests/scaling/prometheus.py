"""KEDA triggers on Prometheus: one for each of a pool's queries; the one that asks for most replicas decides.

Keys: keda.sh/docs/2.20/scalers/prometheus. All values are strings.
"""

from __future__ import annotations

import re

from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement, ScaleTarget
from holdfast.manifests.scaling import bounds, queries

_MANAGED = re.compile(r"https://aps-workspaces\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/")
"""Amazon Managed Service for Prometheus, whose requests are signed."""


def is_managed(address: str) -> bool:
    """Whether a server there wants to know who asks."""
    return _MANAGED.match(address) is not None


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

"""Where pods are put with regard to each other: servers apart, the parts that talk all the time together."""

from __future__ import annotations

from holdfast.manifests import metadata
from holdfast.manifests.manifest import Object
from holdfast.manifests.placement import Placement

_ZONE = "topology.kubernetes.io/zone"
_GROUP = "leaderworkerset.sigs.k8s.io/group-key"
"""LeaderWorkerSet's own label of the pods of one group."""


def of_pod(placement: Placement, *, leads: bool) -> Object:
    """Spread and affinity of a pod."""
    if placement.unit.disaggregated is not None:
        # KV caches go between any two of the pool's servers: EFA does not cross zones (EC2 user guide, "Elastic Fabric
        # Adapter", limitations), and other traffic is paid for.
        return _together(placement, [])
    if placement.spans_nodes:
        group = _together(placement, [_GROUP])
        return group | _apart(placement) if leads else group
    return _apart(placement)


def _apart(placement: Placement) -> Object:
    """Zones evenly where they can be had: a rule that must hold would refuse the zone that has capacity left."""
    spread = {
        "maxSkew": 1,
        "topologyKey": _ZONE,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": metadata.selector(placement)},
    }
    return {"topologySpreadConstraints": [spread]}


def _together(placement: Placement, of_the_same: list[str]) -> Object:
    """In one zone with the pool's pods that have the same values of these labels."""
    term: Object = {"topologyKey": _ZONE, "labelSelector": {"matchLabels": metadata.selector(placement)}}
    if of_the_same:
        term["matchLabelKeys"] = of_the_same
    return {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}

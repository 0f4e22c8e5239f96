"""What the API server last told of one fleet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.kube.kinds import Object

Key = tuple[str, str]
"""Kind and name of an object in the fleet's namespace, e.g. `("Deployment", "sd21-g5")`."""


@dataclass(frozen=True)
class Seen:
    """One moment's view of a fleet; objects are as the server has them and must not be changed.

    fleet:       the InferenceFleet.
    managed:     what carries the label `app.kubernetes.io/managed-by: holdfast` and is the fleet's, by kind and name:
                 Deployments, ScaledObjects, the route, ...
    config:      the fleet's ConfigMaps (label `holdfast.dev/fleet`), by name.
    autoscalers: HorizontalPodAutoscalers of the fleet's pools, by name (KEDA makes `keda-hpa-<ScaledObject>`).
    pods:        of the fleet.
    nodes:       that its pods are on, by name.
    node_claims: of its node pools, by name. node_pools: names of all NodePools that are there.
    events:      of its node pools and nodes, and of the pods of its workloads, newest last, as `events.kept` has them;
                 told: when each was delivered to us, by its uid, Unix seconds.
    age_s:       0 while all of it is watched; else seconds since something of it was lost sight of.
    """

    fleet: Object
    managed: Mapping[Key, Object] = field(default_factory=dict)
    config: Mapping[str, Object] = field(default_factory=dict)
    autoscalers: Mapping[str, Object] = field(default_factory=dict)
    pods: tuple[Object, ...] = ()
    nodes: Mapping[str, Object] = field(default_factory=dict)
    node_claims: Mapping[str, Object] = field(default_factory=dict)
    node_pools: frozenset[str] = frozenset()
    events: tuple[Object, ...] = ()
    told: Mapping[str, float] = field(default_factory=dict)
    age_s: float = 0.0


@dataclass(frozen=True)
class Reading:
    """What metrics say of the fleet now. rate_per_s: offered requests/s; None where nobody knows. age_s: of it.

    latency_s: mean end-to-end latency; highest_per_s: highest offered rate of the last day. None where unknown.
    """

    rate_per_s: float | None
    age_s: float
    latency_s: float | None = None
    highest_per_s: float | None = None

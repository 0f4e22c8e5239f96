"""What is watched: fleets, and what is in the namespaces that have one; nodes and what Karpenter says of them.

A namespace is watched from its first fleet to its last: the operator has rights where a fleet is, and nowhere else. All
kinds that a fleet may be made of are watched, for what is left of one that a fleet once had must go. Where the cluster
does not know a kind, that stream looks for it now and then, and nobody waits for it but fleets that need the kind.
What the Cluster Autoscaler says of its groups is watched while a fleet has node groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from holdfast.control.operator.seeing import events
from holdfast.control.operator.seeing.sight import MANAGED_BY, FleetKey, Sight, has_node_groups
from holdfast.kube import kinds
from holdfast.kube.connection import Connection
from holdfast.kube.errors import KubeError, NotFoundError, RefusedError
from holdfast.kube.kinds import Kind, Object
from holdfast.kube.watching import Watched
from holdfast.manifests.fleet import plan_map

MANAGED = (
    kinds.DEPLOYMENT,
    kinds.DAEMON_SET,
    kinds.LEADER_WORKER_SET,
    kinds.SERVICE,
    kinds.SERVICE_ACCOUNT,
    kinds.CONFIG_MAP,
    kinds.DISRUPTION_BUDGET,
    kinds.NETWORK_POLICY,
    kinds.SCALED_OBJECT,
    kinds.TRIGGER_AUTHENTICATION,
    kinds.INGRESS,
    kinds.HTTP_ROUTE,
    kinds.GATEWAY,
    kinds.GATEWAY_PARAMETERS,
    kinds.LISTENER_RULE,
    kinds.LOAD_BALANCER,
    kinds.TARGET_GROUP,
    kinds.INFERENCE_POOL,
    kinds.CLAIM_TEMPLATE,
    kinds.CLAIM_TEMPLATE_1_33,
    kinds.POD_MONITOR,
    kinds.PROMETHEUS_RULE,
)
"""What fleets are made of, beside what is watched anyway."""

_CLUSTER = (kinds.NODE, kinds.NODE_POOL, kinds.NODE_CLAIM)
_OPTIONAL = frozenset({kinds.NODE_POOL, kinds.NODE_CLAIM})
"""Without Karpenter a cluster has none."""

_READ_ONLY = frozenset({kinds.POD, *_CLUSTER})

_VITAL = frozenset({kinds.POD, kinds.CONFIG_MAP})
"""Without these a fleet is not seen; of others only its parts of that kind are not."""

_DECIDES = _VITAL | {
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    kinds.SCALED_OBJECT,
    kinds.AUTOSCALER,
    kinds.INGRESS,
    kinds.HTTP_ROUTE,
    kinds.FLEET,
    kinds.NODE,
    kinds.EVENT,
}
"""What decisions go by. One that is lost sight of makes a fleet stale."""

LOST_S = 10.0
"""From when another kind that the server does not tell of counts as hidden. A conversion webhook that is down fails all
requests for its kind, and must not keep traffic on a pool that is gone."""

Changed = Callable[[Iterable[FleetKey]], None]


class Watches:
    """Keeps `sight` true. changed: hears of the fleets that something new was told about."""

    def __init__(
        self,
        connection: Connection,
        sight: Sight,
        *,
        namespaces: Sequence[str],
        clock: Callable[[], float],
        changed: Changed,
    ) -> None:
        self._connection, self._sight, self._clock, self._changed = connection, sight, clock, changed
        self._fleets = [self._watched(kinds.FLEET, namespace) for namespace in namespaces or (None,)]
        self._cluster = [self._watched(kind) for kind in _CLUSTER]
        self._cluster.append(self._watched(kinds.EVENT, events.OF_NODES, fields=events.NOT_OF_PODS))
        self._groups: asyncio.Task[None] | None = None
        self._spaces: dict[str, list[Watched]] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Watches, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for watched in (*self._fleets, *self._cluster):
                group.create_task(watched.run(), name=f"watch {watched.kind.plural}")

    @property
    def unlisted(self) -> tuple[str, ...]:
        """What has not been listed yet, of fleets and what every fleet needs."""
        needed = [one for one in self._cluster if one.kind not in _OPTIONAL or not self._hidden(one)]
        return tuple(dict.fromkeys(one.kind.plural for one in (*self._fleets, *needed) if not one.synced))

    def age_s(self, namespace: str, now_s: float) -> float:
        """How old what is seen of a fleet there is, by its oldest part that can be seen at all (`unseen`)."""
        space = [one for one in self._spaces[namespace] if one.kind in _VITAL or not self._hidden(one)]
        cluster = [one for one in self._cluster if one.kind not in _OPTIONAL or not self._hidden(one)]
        return max(one.age_s(now_s) for one in (*self._fleets, *cluster, *space))

    def unseen(self, namespace: str) -> Mapping[Kind, KubeError]:
        """The kinds that the cluster does not know or does not let us see there, of those that fleets are
        made of or run on."""
        watched = (*self._cluster, *self._spaces[namespace])
        return {one.kind: one.problem for one in watched if one.problem and self._hidden(one)}

    def plans_unlisted(self, namespace: str) -> str:
        """Why the plans of fleets there are not known, a sentence; empty where they are."""
        lists = [one for one in self._spaces[namespace] if one.kind == kinds.CONFIG_MAP and not one.synced]
        if not lists:
            return ""
        problem = next((one.problem for one in lists if one.problem), None)
        why = "" if problem is None else f": {str(problem).rstrip('.')}"
        mend = " Apply `fleet/rights` of a rendered tree for this namespace." if _is_forbidden(problem) else ""
        return f"The API server has not told yet which ConfigMaps the fleet has, its plan among them{why}.{mend}"

    def _hidden(self, watched: Watched) -> bool:
        """Whether the objects cannot be seen, for longer than a moment: the API server does not tell."""
        if watched.problem is None:
            return False
        if watched.kind not in _DECIDES and watched.age_s(self._clock()) > LOST_S:
            return True
        return not watched.synced and isinstance(watched.problem, NotFoundError | RefusedError)

    def _watched(self, kind: Kind, namespace: str | None = None, labels: str = "", fields: str = "") -> Watched:
        return Watched(
            self._connection,
            kind,
            namespace,
            labels=labels,
            fields=fields,
            changed=partial(self._told, kind),
            clock=self._clock,
            kept=events.kept if kind == kinds.EVENT else _slim if kind in _READ_ONLY else lambda whole: whole,
        )

    def _told(self, kind: Kind, found: Object, deleted: bool) -> None:
        concerned = self._sight.told(kind, found, deleted, self._clock())
        if kind == kinds.FLEET:
            self._follow(found["metadata"]["namespace"])
            self._follow_groups()
        self._changed(concerned)

    def _follow(self, namespace: str) -> None:
        """Begins to watch a namespace that has a fleet now, and ends with one that has none any more."""
        has_one = any(key[0] == namespace for key in self._sight.fleets)
        if has_one and namespace not in self._spaces:
            self._begin(namespace)
        elif not has_one and namespace in self._spaces:
            del self._spaces[namespace]
            for task in self._tasks.pop(namespace):
                task.cancel()
            self._sight.forget(namespace)

    def _follow_groups(self) -> None:
        has_some = any(map(has_node_groups, self._sight.fleets.values()))
        if has_some and self._groups is None:
            assert self._group is not None
            groups = self._watched(kinds.EVENT, events.OF_GROUPS, fields=events.OF_CONFIG_MAPS)
            self._groups = self._group.create_task(groups.run(), name="watch events of node groups")
        elif not has_some and self._groups is not None:
            self._groups.cancel()
            self._groups = None

    def _begin(self, namespace: str) -> None:
        assert self._group is not None
        space = [self._watched(kind, namespace, MANAGED_BY) for kind in (kinds.POD, *MANAGED)]
        space.append(self._watched(kinds.CONFIG_MAP, namespace, plan_map.FLEET_LABEL))
        space.append(self._watched(kinds.AUTOSCALER, namespace))
        space.append(self._watched(kinds.EVENT, namespace, fields=events.NOT_LOUD))
        self._spaces[namespace] = space
        self._tasks[namespace] = [
            self._group.create_task(one.run(), name=f"watch {one.kind.plural} in {namespace}") for one in space
        ]


def _is_forbidden(problem: KubeError | None) -> bool:
    return problem is not None and problem.status == 403


def _slim(whole: Object) -> Object:
    """Without what takes the most room and nobody here reads: who owns which field, and the images on a node."""
    described = {key: value for key, value in whole["metadata"].items() if key != "managedFields"}
    slim = whole | {"metadata": described}
    if "images" in whole.get("status", {}):
        slim["status"] = {key: value for key, value in whole["status"].items() if key != "images"}
    return slim

"""Events of others: which are asked for, what is kept of them, what they are about, and for how long.

Events of                        are in the namespace   and say
NodeClaims, NodePools, Nodes     `default`              refused launches, interruptions
pods, and who makes and deletes  the fleet's            what waits for a node, since when and until when
groups of nodes                  `kube-system`          that the Cluster Autoscaler could not grow one

A namespace has thousands an hour, and most are of a pod's daily life. The API server leaves out those that are said
most; of the rest only what `capacity` and `interruptions` read is kept, and nothing for longer than an hour.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from holdfast.control.operator.seeing import capacity, interruptions, stamps
from holdfast.kube.kinds import Object

OF_NODES = "default"
"""Namespace of the events of what has none (client-go, tools/events: an event has its object's, or this)."""

OF_GROUPS = "kube-system"
"""Namespace of the Cluster Autoscaler, as `addons` installs it: it tells of its groups on its ConfigMap there."""

READ = frozenset({*capacity.REASONS, *interruptions.EVENTS})

_LOUD = ("Pulling", "Pulled", "Created", "Started", "Killing", "BackOff", "Unhealthy")
"""What kubelets say of every container (kubernetes, pkg/kubelet/events/event.go), and nobody here reads."""

NOT_OF_PODS = "regarding.kind!=Pod"
NOT_LOUD = ",".join(f"reason!={reason}" for reason in _LOUD)
OF_CONFIG_MAPS = "regarding.kind=ConfigMap"
"""Field selectors of the three (kubernetes, pkg/apis/events/v1/conversion.go, has their labels)."""

KEPT_S = 3600.0
"""As long as the API server keeps them (kube-apiserver, --event-ttl)."""

_FIELDS = (
    "reason",
    "note",
    "regarding",
    "series",
    "eventTime",
    "deprecatedFirstTimestamp",
    "deprecatedLastTimestamp",
)
_DESCRIBED = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")

_GROUP = re.compile(r"\beks-([a-z0-9-]+)-[0-9a-f]{8}-[0-9a-f]{4}\b")
"""As EKS names the Auto Scaling group of a managed node group: eks-<node group>-<uuid>."""

Subject = tuple[str, str]
"""What an event is about: `("Node", name)`; `of_pool(...)`, also for its NodeClaims and its group of nodes; or
`(namespace, name)` of what may have made a pod."""


def of_pool(node_pool: str) -> Subject:
    """By what the names of its NodeClaims begin with."""
    return "NodePool", capacity.stem(node_pool)


def kept(whole: Object) -> Object:
    """What is remembered of an event: of one that nobody reads, that it is there."""
    described = {key: value for key, value in whole["metadata"].items() if key in _DESCRIBED}
    read = _FIELDS if whole.get("reason") in READ else ()
    return {"metadata": described, **{key: whole[key] for key in read if key in whole}}


def subjects(event: Object) -> tuple[Subject, ...]:
    """What it may be about; nothing for one of no interest."""
    regarding = event.get("regarding") or {}
    kind, name, namespace = regarding.get("kind"), regarding.get("name") or "", regarding.get("namespace") or ""
    if kind == "NodeClaim":
        return (("NodePool", name[: -capacity.RANDOM]),)
    if kind == "NodePool":
        return (of_pool(name),)
    if kind == "Node":
        return ((kind, name),)
    if kind == "ConfigMap":
        return tuple(of_pool(group) for group in sorted(set(_GROUP.findall(event.get("note") or ""))))
    if kind in ("Pod", "ReplicaSet", "StatefulSet"):
        # A pod is named after its Deployment and ReplicaSet, or after its LeaderWorkerSet, its group, and its place.
        parts = name.split("-")
        return tuple((namespace, "-".join(parts[: len(parts) - less])) for less in range(min(3, len(parts))))
    return ()


class Events:
    """Those of the last hour, by subject, and when each was told last, Unix seconds, by its uid."""

    def __init__(self) -> None:
        self._by_subject: dict[Subject, dict[str, Object]] = {}
        self._subjects: dict[str, tuple[Subject, ...]] = {}
        self._told: dict[str, float] = {}

    @property
    def told(self) -> Mapping[str, float]:
        return MappingProxyType(self._told)

    def take(self, event: Object, deleted: bool, now_s: float) -> tuple[Subject, ...]:
        """Takes in what was told of it at `now_s`, and gives what it is about."""
        uid, about = str(event["metadata"]["uid"]), subjects(event)
        self._forget(uid)
        last_s = stamps.happened_s(event)
        if about and not deleted and (last_s is None or now_s < last_s + KEPT_S):
            self._told[uid], self._subjects[uid] = now_s, about
            for subject in about:
                self._by_subject.setdefault(subject, {})[uid] = event
        while self._told and now_s >= self._told[oldest := next(iter(self._told))] + KEPT_S:
            self._forget(oldest)
        return about

    def about(self, wanted: Iterable[Subject]) -> tuple[Object, ...]:
        """Those about any of these, newest last."""
        found = {uid: event for subject in wanted for uid, event in self._by_subject.get(subject, {}).items()}
        return tuple(found[uid] for uid in sorted(found, key=lambda uid: (self._told[uid], uid)))

    def forget(self, namespace: str) -> None:
        """Those of the namespace's pods."""
        for subject in [subject for subject in self._by_subject if subject[0] == namespace]:
            for uid in list(self._by_subject.get(subject, ())):
                self._forget(uid)

    def _forget(self, uid: str) -> None:
        self._told.pop(uid, None)
        for subject in self._subjects.pop(uid, ()):
            del self._by_subject[subject][uid]
            if not self._by_subject[subject]:
                del self._by_subject[subject]

"""KEDA and the HorizontalPodAutoscalers that it makes: replicas that follow load, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from cluster.view import REST_S, View, name, namespace
from holdfast.kube.kinds import DEPLOYMENT, SCALED_OBJECT, Object

Needed = Callable[[Object], int]
"""Replicas that the load of a ScaledObject's target needs."""


def none(_scaled: Object) -> int:
    return 0


@dataclass
class KedaStandIn:
    """Keeps each Deployment that a ScaledObject names between its bounds, at what a made-up load needs.

    As the HPA: up at once, down by one a minute after five in which no more was needed. Unlike it: load is what
    `needed` says, no metrics or tolerance, no HPA objects, no rule of its own for 0 replicas, only Deployments.
    """

    view: View
    needed: Needed = none
    poll_s: float = 15.0
    settle_s: float = 300.0
    down_every_s: float = 60.0
    _wanted_s: dict[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.view.watch(SCALED_OBJECT, DEPLOYMENT)

    async def run(self) -> None:
        await self.view.follow((SCALED_OBJECT, DEPLOYMENT), self.step)

    async def step(self, now_s: float) -> float:
        due = [await self._scale(scaled, now_s) for scaled in self.view.all(SCALED_OBJECT)]
        return max(0.0, min(due, default=now_s + REST_S) - now_s)

    async def _scale(self, scaled: Object, now_s: float) -> float:
        spec = scaled["spec"]
        target = self.view.get(DEPLOYMENT, spec["scaleTargetRef"]["name"], namespace(scaled))
        if target is None:
            return now_s + REST_S
        asked = target["spec"].get("replicas", 1)
        wanted = min(max(self.needed(scaled), spec.get("minReplicaCount", 0)), spec.get("maxReplicaCount", 100))
        key = (namespace(target), name(target))
        poll_s = now_s + self.poll_s
        if wanted >= asked:
            # The next step down is due when this has not been needed for as long as the HPA waits.
            self._wanted_s[key] = now_s + self.settle_s
        elif asked <= spec.get("maxReplicaCount", 100):
            due_s = self._wanted_s.setdefault(key, now_s + self.settle_s)
            if now_s < due_s:
                return min(due_s, poll_s)
            self._wanted_s[key] = now_s + self.down_every_s
            wanted = asked - 1
        if wanted != asked:
            patch = {"spec": {"replicas": wanted}}
            await self.view.connection.merge(DEPLOYMENT, key[1], key[0], patch, subresource="scale")
            await self.view.until(DEPLOYMENT, lambda: self._asked(key) != asked)
        return poll_s

    def _asked(self, key: tuple[str, str]) -> int | None:
        found = self.view.get(DEPLOYMENT, key[1], key[0])
        return None if found is None else found["spec"].get("replicas", 1)

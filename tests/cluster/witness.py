"""Somebody who watches a fleet's route and pods, and says when the fleet was not as it must be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cluster.view import Clock, labels, name, serves
from holdfast.kube.connection import Connection
from holdfast.kube.kinds import INGRESS, POD, Object
from holdfast.kube.watching import Watched

ACTION = "alb.ingress.kubernetes.io/actions.weighted-pools"
UNIT = "holdfast.dev/unit"
TOTAL = 100
"""Sum of the weights of a fleet's pools."""


@dataclass(frozen=True)
class Moment:
    """From `at_s` on: the weights that the route has, None without a route; and the pods that serve, by unit."""

    at_s: float
    weights: Mapping[str, int] | None
    ready: Mapping[str, int]

    def dead(self) -> frozenset[str]:
        """Units with weight and no replica that serves, while another has one."""
        if self.weights is None or not any(self.ready.values()):
            return frozenset()
        return frozenset(unit for unit, weight in self.weights.items() if weight and not self.ready.get(unit))


@dataclass
class Witness:
    """Sees what an ALB controller and the load balancer's health checks would see of a fleet, at every moment."""

    connection: Connection
    clock: Clock
    fleet: str
    namespace: str
    moments: list[Moment] = field(default_factory=list)
    _watched: list[Watched] = field(default_factory=list)

    def __post_init__(self) -> None:
        ours = f"app.kubernetes.io/part-of={self.fleet}"
        self._watched = [
            Watched(self.connection, kind, self.namespace, labels=ours, changed=self._changed, clock=self.clock)
            for kind in (INGRESS, POD)
        ]

    def watches(self) -> list[Watched]:
        """To be run, each in a task."""
        return self._watched

    @property
    def now(self) -> Moment:
        return self.moments[-1] if self.moments else Moment(self.clock(), None, {})

    @property
    def units_ready(self) -> list[str]:
        return [unit for unit, count in self.now.ready.items() if count]

    def weight(self, unit: str) -> int:
        return (self.now.weights or {}).get(unit, 0)

    def forgive(self) -> None:
        """What was until now is not judged: somebody has meddled on purpose."""
        self.moments = self.moments[-1:]

    def since(self, start_s: float) -> list[Moment]:
        return [moment for moment in self.moments if moment.at_s >= start_s]

    def shifts(self, start_s: float = 0.0) -> list[Moment]:
        """The moments whose weights differ from those before."""
        pairs = zip(self.moments, self.moments[1:], strict=False)
        return [later for earlier, later in pairs if later.weights != earlier.weights and later.at_s >= start_s]

    def _changed(self, _object: Object, _deleted: bool) -> None:
        routes, pods = (watched.objects.values() for watched in self._watched)
        route = next((found for found in routes if name(found) == self.fleet), None)
        ready: dict[str, int] = {}
        for pod in pods:
            ready[labels(pod)[UNIT]] = ready.get(labels(pod)[UNIT], 0) + serves(pod)
        moment = Moment(self.clock(), None if route is None else weights_of(route), ready)
        if (moment.weights, moment.ready) != (self.now.weights, self.now.ready) or not self.moments:
            self.moments.append(moment)

    def wrong(self, reaction_s: float, start_s: float = 0.0) -> list[str]:
        """What was not as it must be since `start_s`, in sentences.

        reaction_s: how long a pool that has just lost its last replica may still have weight.
        """
        found = list(_sums(self.since(start_s)))
        for unit, from_s, to_s in self.exposures(start_s):
            if to_s - from_s > reaction_s:
                found.append(f"{unit} had weight and no replica for {to_s - from_s:.2f} s from {from_s:.2f} on")
        return found + list(self._raised_dead(reaction_s, start_s))

    def exposures(self, start_s: float = 0.0) -> list[tuple[str, float, float]]:
        """When a unit had weight and no replica while another had one: unit, from, to."""
        found, open_s = [], dict[str, float]()
        for moment in [*self.since(start_s), Moment(self.clock(), None, {})]:
            dead = moment.dead()
            found += [(unit, open_s.pop(unit), moment.at_s) for unit in list(open_s) if unit not in dead]
            open_s |= {unit: moment.at_s for unit in dead if unit not in open_s}
        return found

    def _raised_dead(self, reaction_s: float, start_s: float) -> Iterator[str]:
        """Weight that was given to a pool which had been empty for longer than can have been unseen."""
        empty_since: dict[str, float] = {}
        before: Mapping[str, int] = {}
        for moment in self.moments:
            for unit in moment.weights or {}:
                if moment.ready.get(unit):
                    empty_since.pop(unit, None)
                else:
                    empty_since.setdefault(unit, moment.at_s)
            if moment.weights is None:
                before = {}
                continue
            for unit, weight in moment.weights.items():
                lately = moment.at_s - empty_since.get(unit, moment.at_s) <= reaction_s
                raised = bool(before) and weight > before.get(unit, 0)
                if raised and unit in moment.dead() and not lately and moment.at_s >= start_s:
                    yield f"{unit} was raised to {weight} at {moment.at_s:.2f} though it had no replica"
            before = moment.weights


def weights_of(route: Object) -> dict[str, int]:
    """Weights by unit that an Ingress forwards by."""
    action = json.loads(route["metadata"]["annotations"][ACTION])
    fleet = name(route)
    groups = action["forwardConfig"]["targetGroups"]
    return {group["serviceName"].removeprefix(f"{fleet}-"): group["weight"] for group in groups}


def _sums(moments: list[Moment]) -> Iterator[str]:
    for moment in moments:
        weights = moment.weights
        if weights is None:
            continue
        if sum(weights.values()) != TOTAL or not all(0 <= weight <= 999 for weight in weights.values()):
            yield f"the weights are {dict(weights)} at {moment.at_s:.2f}, and do not sum to {TOTAL}"

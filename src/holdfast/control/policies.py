"""The policies that a fleet may choose from, by the name in its document, and what each promises.

A promise is an invariant of `promises.py`; `invariants.check` judges every decision by what its policy promises,
and by one thing that all do: the same cluster gives the same decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from holdfast.control import merit, promises, published
from holdfast.control.decision import Decision
from holdfast.control.observation import Observation
from holdfast.control.promises import Promise
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy

Decide = Callable[[Observation, RoutingPolicy, CapacityPolicy, float], Decision]


@dataclass(frozen=True)
class Policy:
    """A way to decide.

    scales:       whether its decisions say how many replicas; where not, an autoscaler does, pool by pool.
    look_every_s: its fixed interval between looks; None where each decision says when the next is due.
    promises:     the invariants that every decision of it keeps.
    """

    name: str
    decide: Decide
    scales: bool
    look_every_s: float | None
    promises: tuple[Promise, ...]


MERIT_ORDER = Policy("merit-order", merit.merit_order, True, None, promises.ALL)

TWO_MODE = Policy(
    "two-mode",
    published.two_mode,
    scales=False,
    look_every_s=published.TWO_MODE_EVERY_S,
    # Not 1: with weights by inverse cost a dead pool keeps its share until somebody logs a shortage.
    promises=(promises.weights_can_be_applied, promises.unseen_pools_are_held),
)

ROUND_ROBIN = Policy(
    "round-robin",
    published.round_robin,
    scales=False,
    look_every_s=None,
    promises=(promises.no_traffic_to_the_dead, promises.weights_can_be_applied, promises.unseen_pools_are_held),
)

STATIC = Policy(
    "static",
    published.static,
    scales=True,
    look_every_s=None,
    promises=(promises.no_traffic_to_the_dead, promises.weights_can_be_applied, promises.unseen_pools_are_held),
)

POLICIES: Mapping[str, Policy] = {policy.name: policy for policy in (MERIT_ORDER, TWO_MODE, ROUND_ROBIN, STATIC)}

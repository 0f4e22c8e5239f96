"""Whether a decision keeps what its policy promises. Whoever acts on decisions refuses one that does not."""

from __future__ import annotations

import dataclasses

from holdfast.control.decide import decide
from holdfast.control.decision import Decision
from holdfast.control.look import Look
from holdfast.control.observation import Observation
from holdfast.control.policies import POLICIES
from holdfast.control.promises import target_groups_fit
from holdfast.model.fleet import CapacityPolicy, DataPlane, RoutingPolicy


def check(
    observation: Observation,
    decision: Decision,
    routing: RoutingPolicy,
    capacity: CapacityPolicy,
    now_s: float,
    *,
    data_plane: DataPlane = DataPlane.ALB,
    restart: bool = True,
) -> list[str]:
    """Every violation by a decision that was made on `observation` at `now_s`, in sentences; empty when sound.

    restart: whether to decide a second time, for promise 7; who checks a hundred thousand looks may do so at some.
    """
    look = Look(observation, routing, capacity, now_s)
    found = [violation for promise in POLICIES[routing.policy].promises for violation in promise(look, decision)]
    if restart:
        found += restart_changes_nothing(look, decision)
    return found + (target_groups_fit(look, decision) if data_plane is DataPlane.ALB else [])


def restart_changes_nothing(look: Look, decision: Decision) -> list[str]:
    """7. The same cluster, listed in whatever order, gives the same decision. Every policy promises that."""
    observation = dataclasses.replace(look.observation, pools=look.observation.pools[::-1])
    again = decide(observation, look.routing, look.capacity, look.now_s)
    return [] if again == decision else ["a controller that starts anew here decides otherwise"]

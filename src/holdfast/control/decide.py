"""The failover decision: from one look at the fleet to what the fleet shall be, by the policy that the fleet names."""

from __future__ import annotations

from holdfast.control.decision import Decision
from holdfast.control.observation import Observation
from holdfast.control.policies import POLICIES
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy


def decide(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
    """What the fleet shall be at `now_s`, in seconds on the clock of the observation's times.

    A function of its arguments. What it returns keeps what the policy promises (`invariants.check`).
    """
    return POLICIES[routing.policy].decide(observation, routing, capacity, now_s)

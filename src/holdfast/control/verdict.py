"""Between observing and acting: decide, and find out whether the decision may be carried out.

Whoever acts on decisions, in the simulator, on one machine or in a cluster, asks here at every look.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.control import pool_states
from holdfast.control.decide import decide as decide_as_named
from holdfast.control.decision import Decision
from holdfast.control.invariants import check
from holdfast.control.observation import Observation
from holdfast.control.policies import Decide
from holdfast.control.states import IllegalMoveError
from holdfast.model.fleet import CapacityPolicy, DataPlane, RoutingPolicy


@dataclass(frozen=True)
class Verdict:
    """One look at a fleet and what was decided. refused: why it must not be carried out, in sentences; else empty."""

    now_s: float
    observation: Observation
    decision: Decision
    refused: tuple[str, ...]


def reach(
    observation: Observation,
    routing: RoutingPolicy,
    capacity: CapacityPolicy,
    now_s: float,
    *,
    data_plane: DataPlane,
    before: Verdict | None,
    restart: bool = True,
    decide: Decide = decide_as_named,
) -> Verdict:
    """The decision at `now_s`, held against what its policy promises and against the look before.

    before:  the last verdict under the same policies and pools; None where there is none.
    restart: whether to decide a second time to see that a restart would change nothing.
    """
    decision = decide(observation, routing, capacity, now_s)
    refused = check(observation, decision, routing, capacity, now_s, data_plane=data_plane, restart=restart)
    if before is not None and now_s < before.now_s + routing.dwell_s:
        refused += _contradictions(before.decision, decision)
    return Verdict(now_s, observation, decision, tuple(refused))


def _contradictions(before: Decision, after: Decision) -> list[str]:
    """What of a look cannot be, less than the dwell time after another."""
    try:
        pool_states.follow(before.states, after.states)
    except IllegalMoveError as error:
        return [str(error)]
    return []

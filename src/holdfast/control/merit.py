"""The merit-order policy: per pool, partial, the cheapest first within what is ready.

Theory
------
Let pool i have n_i ready replicas of limit l_i (requests/s) and a cost c_i per request, let u be the
utilisation target and r the rate. The cheapest traffic is merit order: fill the pools by rising c_i to
u n_i l_i each (to less where few replicas would keep requests waiting at u; `look.easy_fill`). Three things
keep a controller from simply applying that at every look.

1. Capacity goes in an instant and comes back in minutes. So the two directions are not alike. Weight
   leaves a pool in the very decision that sees it unable to carry it, and only as much as must. Weight
   returns when the pool has proved itself (enough ready replicas for its share, stable for the dwell
   time), by steps. In between, a pool keeps what it carries and gains nothing, unless everything else is
   full. `shares` says where the weights go, `shifts` how far they go now.
2. Replicas must be there before the traffic is. So replicas are asked for from the capacity that can be
   depended on, and are given back only after the failback is complete (`scaling`).
3. The controller may die at any moment, and must not have known anything. So a decision is a function of
   what the cluster holds: no phase, timer or counter survives in memory. What looks like history (has it
   been stable? is a step due?) is the distance of `now_s` to times in the observation.

Where a loss is announced (a spot interruption notice) n_i is of the replicas that last: replacements are asked
for, and weight leaves, while the others still serve. Only what the rest cannot carry stays on them, and not
in their last seconds (`look`).

Weights w_i are integers of one sum W, so load comes in grains of r/W. "No pool is given more than its ready
limit while another has room" is meant to the grain: while another has room for one grain more. Two weight
vectors that keep every w_i r/W <= n_i l_i also keep it at every vector between them; hence steps from the
standing weights to the target are safe as soon as both ends are, and a decision first mends its near end
(`leave_lost_capacity`) and steps only from a sound one. Where capacity is too small for any sound vector, or
grains too coarse, `shares.fit` closes what is left.

Hysteresis, so that a wobbling rate changes nothing: weights have a dead band around their target; replicas
one around the rate; a pool is lost when its share exceeds its limit, but proved only when it fits under u.

The seed of this rule is the two-mode switch of the published controller, D_cost(t) in {0, 1} for the whole
fleet ("Option 3: failover to compute-optimized configuration with fallback to cost-optimized"); here the
mode only reports what the pools, each by itself, have brought about.
"""

from __future__ import annotations

from holdfast.control import explain, pool_states, scaling, shifts
from holdfast.control.decision import Decision
from holdfast.control.look import LEAVE_S, Look
from holdfast.control.observation import Observation
from holdfast.control.states import Event, Phase, move, recall
from holdfast.model.fleet import CapacityPolicy, RoutingPolicy

LOOK_EVERY_S = 10.0
"""Seconds between looks when nothing is due earlier; a few of them fit into the age at which pools are unknown."""

LOOK_SOONEST_S = 1.0
"""Seconds between looks at least, so that a clock that stands on an event does not spin."""


def merit_order(observation: Observation, routing: RoutingPolicy, capacity: CapacityPolicy, now_s: float) -> Decision:
    """What the fleet shall be at `now_s` by merit order. What it returns keeps all that `promises` has."""
    look = Look(observation, routing, capacity, now_s)
    phase = _phase(look)
    shift = shifts.shift(look)
    if phase is Phase.FAILING_BACK and shift.arrived:
        phase = move(phase, Event.ARRIVAL)
    replicas = scaling.replicas(look, shift.weights, phase)
    states = {pool.name: pool_states.state(look, pool, shift) for pool in look.pools}
    applied = observation.applied
    return Decision(
        weights=shift.weights,
        replicas=replicas,
        mode=phase.mode,
        mode_since_s=applied.mode_since_s if phase.mode is applied.mode else now_s,
        last_shift_s=applied.last_shift_s if applied.routes_by(shift.weights) else now_s,
        next_look_s=_next_look_s(look),
        reasons=explain.reasons(look, shift, states, replicas),
        summary=explain.summary(look, phase, shift),
        states=states,
    )


def _phase(look: Look) -> Phase:
    phase = recall(look.observation.applied.mode)
    if not look.steers:
        return phase
    if look.lost:
        return move(phase, Event.LOSS)
    if phase is Phase.FAILED_OVER and look.all_proved and _dwelt(look):
        return move(phase, Event.PROOF)
    return phase


def _dwelt(look: Look) -> bool:
    return look.now_s >= look.observation.applied.mode_since_s + look.routing.dwell_s


def _next_look_s(look: Look) -> float:
    applied = look.observation.applied
    due = [look.now_s + LOOK_EVERY_S, applied.mode_since_s + look.routing.dwell_s]
    due.append(applied.last_shift_s + look.routing.ramp.every_s)
    due.extend(look.proved_at_s(pool) for pool in look.ready)
    due.extend(fact.expires_s for pool in look.pools for fact in pool.shortages)
    due.extend(pool.gone_at_s - LEAVE_S for pool in look.pools if pool.draining)
    return max(look.now_s + LOOK_SOONEST_S, min(at_s for at_s in due if at_s > look.now_s))

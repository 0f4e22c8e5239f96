"""What the fleet shall be: the outcome of one look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.control.pool_states import PoolState
from holdfast.model.pools import RoutingMode


@dataclass(frozen=True)
class Decision:
    """Weights to route by and replicas to ask for.

    weights:      integers that sum to TOTAL_WEIGHT, by pool; the applied weights while the pools are unknown.
    replicas:     replicas to ask of each pool, beside those that have an interruption notice; a pool that is not named
                  keeps what it has been asked for.
    mode_since_s, last_shift_s: to be stored beside the weights; they come back in the next `Applied`.
    next_look_s:  when to look again at the latest, on the clock of `now_s`; sooner does no harm.
    reasons:      one sentence per pool; summary: one sentence for the fleet.
    states:       what each pool is to the fleet; empty where the policy knows no such thing.
    """

    weights: Mapping[str, int]
    replicas: Mapping[str, int]
    mode: RoutingMode
    mode_since_s: float
    last_shift_s: float
    next_look_s: float
    reasons: Mapping[str, str]
    summary: str
    states: Mapping[str, PoolState] = field(default_factory=dict)
